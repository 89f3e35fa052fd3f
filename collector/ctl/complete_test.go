package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// completed returns what a shell is told of a command line up to the cursor: what
// to do with it, and the values.
func (w *world) completed(shell string, args ...string) (then string, values []string) {
	w.t.Helper()
	out, errs, code := w.call(append([]string{completeArg, shell}, args...)...)
	if code != 0 || errs != "" {
		w.t.Errorf("%q exits with %d and says %s", args, code, errs)
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	for _, l := range lines[1:] {
		value, _, _ := strings.Cut(l, "\t")
		values = append(values, value)
	}
	return lines[0], values
}

func TestCompletion(t *testing.T) {
	w := newFleet(t)
	for line, want := range map[string]string{
		"rollcall as":                                                           "done assets",
		"rollcall findings wai":                                                 "done waive",
		"rollcall show lt":                                                      "done lt-4711 lt-4712",
		"rollcall show LT-4711":                                                 "done lt-4711",
		"rollcall show PF3ABCD2":                                                "done PF3ABCD2",
		"rollcall findings lt-4712":                                             "done lt-4712",
		"rollcall findings --state=wai":                                         "done --state=waived",
		"rollcall findings --severity hi":                                       "done high",
		"rollcall findings --rule disk-enc":                                     "done disk-encryption",
		"rollcall findings waive lt-4711 disk-enc":                              "done disk-encryption",
		"rollcall feeds run ":                                                   "done jamf",
		"rollcall people show bo":                                               "done bob@example.com",
		"rollcall people show 1001":                                             "done 1001",
		"rollcall assets list --view ":                                          "done stale-laptops",
		"rollcall subscriptions pause si":                                       "done siem",
		"rollcall assets list --order-by last_s":                                "done last_seen",
		"rollcall assets list --order-by 'last_seen d":                          "done last_seen desc",
		"rollcall group labels.":                                                "done labels.site",
		"rollcall group os.fam":                                                 "done os.family",
		"rollcall assets list --fields name,hardware.ser":                       "open name,hardware.serial",
		"rollcall assets list --filter 'asset.labels.":                          "open asset.labels.site",
		"rollcall assets list --filter 'asset.os.fam":                           "open asset.os.family",
		`rollcall assets list --filter 'asset.labels.site == "`:                 `open asset.labels.site == "oslo" asset.labels.site == "berlin"`,
		`rollcall assets list --filter 'asset.class == "x" && has_software("op`: `open asset.class == "x" && has_software("openssl"`,
		"rollcall assets list --filter 'has_so":                                 `open has_software("`,
		`rollcall assets list --filter 'asset.name == "a" && "as`:               "open",
		"rollcall findings --filter 'finding.sev":                               "open finding.severity",
		"rollcall findings --filter 'fin":                                       "open finding.",
		"rollcall findings --order-by asset.os.fam":                             "done asset.os.family",
		"rollcall findings --order-by open":                                     "done opened_at",
		"rollcall set lt-4711 stage":                                            "open stage= stage_since=",
		"rollcall set lt-4711 labels.site=os":                                   "done labels.site=oslo",
		"rollcall -o ":                                                          "done table json yaml csv",
		"rollcall token create --kind api --role vi":                            "done viewer",
		"rollcall subscriptions create x --severity critical,hi":                "done critical,high",
		"rollcall views update stale-laptops --no-sh":                           "done --no-shared",
		"rollcall export --file ":                                               "files",
		"rollcall completion z":                                                 "done zsh",
		"rollcall nonsense more ":                                               "done",
		"rollcall history lt-4711 --field os.kern":                              "done os.kernel",
		"rollcall assets list -- --fil":                                         "done",
	} {
		words, last := splitLine(line)
		args := append(words, last.text)[1:]
		then, values := w.completed("zsh", args...)
		if got := strings.TrimSpace(then + " " + strings.Join(values, " ")); got != want {
			t.Errorf("%s<TAB> gives %q, want %q", line, got, want)
		}
	}
	if _, values := w.completed("fish", "findings", "--"); !slices.Contains(values, "--severity") || !slices.Contains(values, "--output") || slices.Contains(values, "--uses") {
		t.Errorf("the flags are %q", values)
	}
	if _, values := w.completed("zsh", "show", ""); len(values) != 3 {
		t.Errorf("the assets are %q", values)
	}
	w.report("lt-4711", laptop("PF3TWIN"))
	if _, values := w.completed("zsh", "show", "lt-4711"); len(values) != 2 || !uuid.MatchString(values[0]) || !uuid.MatchString(values[1]) {
		t.Errorf("two of one name are completed as %q", values)
	}
	// What it says is for the shell that asked.
	w.report("a b'c", laptop("PF3ODD"))
	for shell, want := range map[string]string{"bash": `a\ b\'c`, "powershell": "'a b''c'", "fish": "a b'c"} {
		args := []string{"show", "a b"}
		switch shell {
		case "bash":
			args = []string{`rollcall show a\ b`, " \t\n\"'><=;|&(:"}
		case "powershell":
			args = []string{"=show", "='a b"}
		}
		if _, values := w.completed(shell, args...); !slices.Equal(values, []string{want}) {
			t.Errorf("%s gets %q, want %q", shell, values, want)
		}
	}
}

// A hostile name is nothing for a prompt.
func TestCompletionIsOfPlainNames(t *testing.T) {
	w := newWorld(t)
	w.report("evil\x1b]0;owned\a", laptop("S1"))
	w.report("evil\nrm -rf ~", laptop("S2"))
	if out, _, _ := w.call(completeArg, "zsh", "show", "ev"); out != "done\n" {
		t.Errorf("it says %q", out)
	}
}

// What a device calls itself is put into a line that an administrator sends off:
// bash itself says whether it is still that name then, and nothing is run.
func TestHostileNamesAreNotComputed(t *testing.T) {
	proof := filepath.Join(t.TempDir(), "proof")
	for _, name := range []string{"ev$(touch " + proof + ")", "ev`touch " + proof + "`", "ev'; touch " + proof + " #", `ev"; touch ` + proof + ` #`, `ev\`, "ev;touch " + proof,
		"ev&touch " + proof, "ev|touch " + proof, "ev$HOME", "ev*", "ev{a,b}", "ev ~", "ev‘x’", "ev!!"} {
		for _, quote := range []string{"", "'", `"`} {
			got := forShell("bash", []string{"rollcall show " + quote + "ev", " \t\n\"'><;|&(:"}, name)
			if got == "" && quote == `"` && strings.Contains(name, "!") {
				continue
			}
			out, err := exec.Command("bash", "-c", "printf %s "+quote+got+quote).Output()
			if err != nil || string(out) != name {
				t.Errorf("%s%s%s says %q, want %q (%v)", quote, got, quote, out, name, err)
			}
		}
	}
	if _, err := os.Stat(proof); err == nil {
		t.Error("what a device calls itself was run")
	}
	for name, want := range map[string]string{"it's": "'it''s'", "a’; b ‘": "'a’’; b ‘‘'", "plain": "plain"} {
		if got := forShell("powershell", nil, name); got != want {
			t.Errorf("PowerShell is given %s, want %s", got, want)
		}
	}
	w := newWorld(t)
	w.report("--url=http://evil.example.com", laptop("S1"))
	if out, _, _ := w.call(completeArg, "zsh", "show", ""); strings.Contains(out, "--url") {
		t.Errorf("a device passes for a flag: %q", out)
	}
}

// Nobody reads errors at a prompt, and nobody waits for them.
func TestCompletionIsSilentAndQuick(t *testing.T) {
	w := newWorld(t)
	silent := func(name string, env map[string]string, args ...string) {
		t.Helper()
		w.env = env
		begun := time.Now()
		if then, values := w.completed("zsh", args...); then != "done" || values != nil {
			t.Errorf("%s: it says %q", name, values)
		}
		if took := time.Since(begun); took > 5*completionTime {
			t.Errorf("%s: it takes %v", name, took)
		}
	}
	silent("not signed in", nil, "show", "a")
	silent("a wrong token", map[string]string{"ROLLCALL_URL": w.url, "ROLLCALL_TOKEN": "rca_x"}, "show", "a")
	silent("a role that may not", map[string]string{"ROLLCALL_URL": w.url, "ROLLCALL_TOKEN": w.token("viewer")}, "token", "revoke", "")
	silent("a URL that is none", map[string]string{"ROLLCALL_TOKEN": "rca_x"}, "--url", "nonsense", "show", "a")
	silent("a token from the keyboard", map[string]string{"ROLLCALL_URL": w.url}, "--token-file", "-", "show", "a")
	stuck, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	must(t, err)
	defer stuck.Close()
	silent("a collector that does not answer", map[string]string{"ROLLCALL_URL": "http://" + stuck.Addr().String(), "ROLLCALL_TOKEN": "rca_x"}, "show", "a")
	html := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("<html>")) }))
	defer html.Close()
	silent("a web page", map[string]string{"ROLLCALL_URL": html.URL, "ROLLCALL_TOKEN": "rca_x"}, "show", "a")
}

// The shells themselves, with the program as a process and a collector that lives.
func TestShellsComplete(t *testing.T) {
	w := newFleet(t)
	dir := program(t)
	for shell, tc := range map[string]struct {
		args []string
		want string
	}{
		"bash": {[]string{"-c", `eval "$(rollcall completion bash)"
			try() { COMP_LINE=$1; COMP_POINT=${#1}; COMPREPLY=(); _rollcall rollcall; printf '%s|' "${COMPREPLY[@]}"; echo; }
			try 'rollcall show lt'; try 'rollcall findings --state=wai'; try "rollcall assets list --filter 'asset.labels.site == \"os"`},
			"lt-4711|lt-4712|\nwaived|\nasset.labels.site == \"oslo\"|\n"},
		"fish": {[]string{"-c", `rollcall completion fish | source
			complete -C 'rollcall show lt'`},
			"lt-4711\tlaptop, Debian GNU/Linux 13, ann@example.com\nlt-4712\tlaptop, Debian GNU/Linux 13, ann@example.com\n"},
		"zsh": {[]string{"-f", "-c", `autoload -U compinit && compinit -D -u; eval "$(rollcall completion zsh)"
			compadd() { print -l -- "${values[@]}" }
			try() { words=("$@"); CURRENT=$#; PREFIX=${@[-1]}; _rollcall }
			try rollcall show lt`},
			"lt-4711\nlt-4712\n"},
	} {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skipf("there is no %s here", shell)
			}
			cmd := w.process(dir, append([]string{shell}, tc.args...)...)
			var errs strings.Builder
			cmd.Stderr = &errs
			out, err := cmd.Output()
			if err != nil || string(out) != tc.want || errs.String() != "" {
				t.Errorf("it completes %q, want %q (%v): %s", out, tc.want, err, errs.String())
			}
		})
	}
}

func TestSplitLine(t *testing.T) {
	for line, want := range map[string]struct {
		words []string
		last  typedWord
	}{
		"rollcall":               {[]string{"rollcall"}, typedWord{}},
		"rollcall ":              {[]string{"rollcall"}, typedWord{}},
		`rollcall a\ b "c d" 'e`: {[]string{"rollcall", "a b", "c d"}, typedWord{text: "e", quote: '\''}},
		`rollcall --filter='a "`: {[]string{"rollcall"}, typedWord{text: `--filter=a "`, quote: '\'', fixed: 9}},
		`rollcall "a\"b`:         {[]string{"rollcall"}, typedWord{text: `a"b`, quote: '"'}},
		`rollcall '' x\`:         {[]string{"rollcall", ""}, typedWord{text: `x\`}},
		"rollcall ''":            {[]string{"rollcall"}, typedWord{}},
		"":                       {[]string{""}, typedWord{}},
	} {
		words, last := splitLine(line)
		last.fixed *= min(1, int(last.quote)) // of no meaning where no quote is open
		if !slices.Equal(words, want.words) || last != want.last {
			t.Errorf("%q is split into %q and %+v, want %q and %+v", line, words, last, want.words, want.last)
		}
	}
}
