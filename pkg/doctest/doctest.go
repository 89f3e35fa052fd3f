// Package doctest reads the commands out of documents, so that a test can hold
// them to the programs that they are about.
package doctest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Block is a fenced block of commands in a document.
type Block struct {
	// Line is where it begins.
	Line int
	// Runs says that its annotation wants it run; Reason is why it is not.
	Runs   bool
	Reason string
	// Text holds the commands, without what they print.
	Text string
}

// Command is a call of a program.
type Command struct {
	Line int
	// Words are the program and its arguments.
	Words []string
}

var (
	runs   = regexp.MustCompile(`^<!-- runs -->$`)
	notRun = regexp.MustCompile(`^<!-- not run: (.+) -->$`)
	span   = regexp.MustCompile("`([^`]+)`")
	assign = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*=`)
)

// shells are the info strings of fences with commands; every other language is
// no command, and a diagram or a file says so with a word such as text.
var shells = []string{"", "sh", "bash", "console"}

// Read returns the blocks of commands of a document, and all calls of the named
// programs in them and within the text. The error tells of blocks that do not say
// whether they are run.
func Read(document string, programs []string) (blocks []Block, calls []Command, err error) {
	var wrong []string
	var prose strings.Builder
	lines := strings.Split(document, "\n")
	for i := 0; i < len(lines); i++ {
		info, fence := strings.CutPrefix(lines[i], "```")
		if !fence {
			prose.WriteString(lines[i] + "\n")
			continue
		}
		begin := i + 1
		prose.WriteString("\n")
		for i++; i < len(lines) && !strings.HasPrefix(lines[i], "```"); i++ {
			prose.WriteString("\n") // so that lines keep their numbers
		}
		prose.WriteString("\n")
		if !slices.Contains(shells, strings.TrimSpace(info)) || slices.ContainsFunc(lines[begin:min(i, len(lines))], drawn) {
			continue
		}
		b := Block{Line: begin, Text: typed(lines[begin:min(i, len(lines))])}
		if !b.annotate(lines[:begin-1]) {
			wrong = append(wrong, fmt.Sprintf("the block in line %d says neither <!-- runs --> nor <!-- not run: REASON --> in the line above it; one that holds no commands is ```text", begin))
		}
		blocks = append(blocks, b)
		found, splitErr := commands(b.Text, begin+1, programs)
		if splitErr != nil {
			wrong = append(wrong, splitErr.Error())
		}
		calls = append(calls, found...)
	}
	calls = append(calls, inline(prose.String(), programs)...)
	if wrong != nil {
		err = fmt.Errorf("%s", strings.Join(wrong, "\n"))
	}
	return blocks, calls, err
}

// drawn tells whether a line belongs to a drawing.
func drawn(line string) bool {
	return strings.ContainsFunc(line, func(r rune) bool { return r >= 0x2500 && r < 0x25ff })
}

// annotate reads what the last line before a block says of it.
func (b *Block) annotate(before []string) bool {
	if len(before) == 0 {
		return false
	}
	last := strings.TrimSpace(before[len(before)-1])
	if runs.MatchString(last) {
		b.Runs = true
		return true
	}
	if found := notRun.FindStringSubmatch(last); found != nil {
		b.Reason = found[1]
		return true
	}
	return false
}

// typed returns what a person types: where lines begin with a prompt, those.
func typed(lines []string) string {
	prompted := slices.ContainsFunc(lines, func(s string) bool { return strings.HasPrefix(s, "$ ") })
	var out strings.Builder
	for _, l := range lines {
		if prompted && !strings.HasPrefix(l, "$ ") {
			l = "" // what the command prints
		}
		out.WriteString(strings.TrimPrefix(l, "$ ") + "\n")
	}
	return out.String()
}

// inline returns the calls between backquotes.
func inline(prose string, programs []string) []Command {
	var calls []Command
	for _, at := range span.FindAllStringSubmatchIndex(prose, -1) {
		text := strings.Join(strings.Fields(prose[at[2]:at[3]]), " ")
		found, err := commands(strings.ReplaceAll(text, `\|`, "|"), 1+strings.Count(prose[:at[0]], "\n"), programs)
		if err != nil {
			continue // it is no command
		}
		calls = append(calls, found...)
	}
	return calls
}

// commands splits a script and returns the calls of programs, with the lines
// where they begin; the first line has a number.
func commands(script string, line int, programs []string) ([]Command, error) {
	var calls []Command
	var words []string
	begin := line
	end := func() {
		for len(words) > 0 && (assign.MatchString(words[0]) || words[0] == "sudo") {
			words = words[1:]
		}
		// A program by itself is mentioned, not called.
		if len(words) > 1 && slices.Contains(programs, words[0]) {
			calls = append(calls, Command{Line: begin, Words: words})
		}
		words = nil
	}
	s := splitter{rest: script, line: line}
	for {
		t, err := s.next()
		if err != nil {
			return calls, err
		}
		switch t.kind {
		case word:
			if words == nil {
				begin = t.line
			}
			words = append(words, t.text)
		case redirect: // the word that follows is a file
			if _, err := s.next(); err != nil {
				return calls, err
			}
		case separator:
			end()
		case finished:
			end()
			return calls, nil
		}
	}
}
