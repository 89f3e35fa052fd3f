package main

import (
	"fmt"
	"regexp"
	"strings"
)

// completeArg is the first argument of a call with which a shell asks for what
// could stand at the cursor.
const completeArg = "__complete"

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish,powershell" help:"bash, zsh, fish or powershell."`
}

// Help says how each shell is told.
func (completionCommand) Help() string {
	return `What is completed is asked of the collector that you are signed in to, for at most a second: assets, rules, feeds, people, views, fields and their values.

Install for

  bash        rollcall completion bash > ~/.local/share/bash-completion/completions/rollcall    (where bash-completion is installed)
              echo 'eval "$(rollcall completion bash)"' >> ~/.bashrc                              (anywhere)
  zsh         rollcall completion zsh > "${fpath[1]}/_rollcall"                                  (then autoload -U compinit && compinit)
  fish        rollcall completion fish > ~/.config/fish/completions/rollcall.fish
  powershell  rollcall completion powershell >> $PROFILE`
}

// Run prints the script of a shell.
func (cmd completionCommand) Run(s *session) error {
	fmt.Fprint(s.out, scripts[cmd.Shell])
	return nil
}

// What a script does with an answer: its first line says files, open or done, and
// each further line has a value and, for the shells that show it, what it is.
const (
	// thenFiles has the shell complete the name of a file.
	thenFiles = "files"
	// thenOpen has it put no space behind the value, which may go on.
	thenOpen = "open"
	thenDone = "done"
)

// scripts are what shells are told. Each asks the program that is typed, and
// nothing else is worth to be told apart in the language of a shell.
var scripts = map[string]string{
	"bash": `# Completion of rollcall for bash.
_rollcall() {
    local then='' value
    COMPREPLY=()
    while IFS= read -r value; do
        if [[ -z $then ]]; then then=$value; else COMPREPLY+=("$value"); fi
    done < <("$1" __complete bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
    case $then in
    files) compopt -o default 2>/dev/null ;;
    open) compopt -o nospace 2>/dev/null ;;
    esac
}
complete -F _rollcall rollcall
`,
	"zsh": `#compdef rollcall
# Completion of rollcall for zsh.
_rollcall() {
    local -a answer values shown
    local line
    answer=("${(@f)$("${words[1]}" __complete zsh "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    if [[ $answer[1] == files ]]; then
        _files
        return
    fi
    for line in "${(@)answer[2,-1]}"; do
        values+=("${line%%$'\t'*}")
        shown+=("${line/$'\t'/  -- }")
    done
    (( $#values )) || return 1
    if [[ $answer[1] == open ]]; then
        compadd -l -S '' -d shown -a values
    else
        compadd -l -d shown -a values
    fi
}
if [[ $funcstack[1] == _rollcall ]]; then
    _rollcall "$@"
else
    compdef _rollcall rollcall
fi
`,
	"fish": `# Completion of rollcall for fish.
function __rollcall_complete
    set -l words (commandline -opc)
    set -l answer ($words[1] __complete fish $words[2..-1] (commandline -ct) 2>/dev/null)
    if test "$answer[1]" = files
        __fish_complete_path (commandline -ct)
    else if set -q answer[2]
        printf '%s\n' $answer[2..-1]
    end
end
complete -c rollcall -f -a '(__rollcall_complete)'
`,
	"powershell": `# Completion of rollcall for PowerShell.
Register-ArgumentCompleter -Native -CommandName rollcall -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    # Words go with a = before each, as an empty one would get lost.
    $words = @($commandAst.CommandElements | Select-Object -Skip 1 | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object {
        if ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst]) { '=' + $_.Value } else { '=' + $_.Extent.Text }
    })
    $words += '=' + $wordToComplete
    $answer = @(& $commandAst.CommandElements[0].Extent.Text __complete powershell @words 2>$null)
    $answer | Select-Object -Skip 1 | ForEach-Object {
        $value, $shown = $_ -split [char]9, 2
        if (-not $shown) { $shown = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $shown)
    }
}
`,
}

// typedWords returns the words before the cursor, the last of which is being
// typed, from what the script of a shell hands over.
func typedWords(shell string, args []string) []string {
	switch shell {
	case "bash":
		words, last := splitLine(args[0])
		return append(words, last.text)[1:]
	case "powershell":
		for i, w := range args {
			args[i] = strings.TrimPrefix(w, "=")
		}
		args[len(args)-1] = strings.TrimLeft(args[len(args)-1], `'"`)
	case "fish":
		args[len(args)-1] = strings.TrimLeft(args[len(args)-1], `'"`)
	}
	return args
}

// typedWord is a word as bash sees it: what it says, and what of that bash will
// not touch when it puts another in its place.
type typedWord struct {
	text string
	// quote is the one that is open at the end, 0 where none is.
	quote byte
	// fixed is how much of text stands before the open quote.
	fixed int
}

// splitLine splits a line as far as the cursor as bash does.
func splitLine(line string) (words []string, last typedWord) {
	var w typedWord
	begun := false
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case w.quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			if begun {
				words = append(words, w.text)
			}
			w, begun = typedWord{}, false
			continue
		case w.quote == 0 && (c == '\'' || c == '"'):
			w.quote, w.fixed = c, len(w.text)
		case c == w.quote && c != 0:
			w.quote = 0
		case c == '\\' && w.quote != '\'' && i+1 < len(line):
			i++
			w.text += line[i : i+1]
		default:
			w.text += line[i : i+1]
		}
		begun = true
	}
	if len(words) == 0 { // the program itself is not typed to its end
		words = []string{w.text}
		w = typedWord{}
	}
	return words, w
}

var special = regexp.MustCompile(`[^A-Za-z0-9_@%+=:,./-]`)

// forShell returns a value as it has to be written in place of the word that is
// typed, empty for one that cannot be. Names come from devices, which may be hostile:
// what they say must not be computed when the line is sent off.
func forShell(shell string, args []string, value string) string {
	switch shell {
	case "bash":
		_, last := splitLine(args[0])
		switch last.quote {
		case '\'':
			return strings.ReplaceAll(value[min(last.fixed, len(value)):], "'", `'\''`)
		case '"':
			if strings.Contains(value, "!") { // an older line, which nothing within these quotes keeps from being put in
				return ""
			}
			return computed.ReplaceAllString(value[min(last.fixed, len(value)):], `\$0`)
		}
		// What bash takes for the word begins behind the last of its break characters.
		from := 0
		if len(args) > 1 {
			from = strings.LastIndexAny(last.text, strings.Trim(args[1], " \t\n\"'")) + 1
		}
		return special.ReplaceAllString(value[min(from, len(value)):], `\$0`)
	case "powershell":
		if special.MatchString(value) {
			return "'" + powershellQuotes.ReplaceAllString(value, "$0$0") + "'"
		}
	}
	return value
}

// computed are the characters that mean something between double quotes in bash.
var computed = regexp.MustCompile("[\\\\\"$`]")

// powershellQuotes are all that PowerShell takes for a single quote.
var powershellQuotes = regexp.MustCompile(`['\x{2018}\x{2019}\x{201A}\x{201B}]`)
