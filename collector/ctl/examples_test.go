package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/rollcall-itam/rollcall/pkg/doctest"
)

// grammar returns the commands as the program has them.
func grammar(t *testing.T) *kong.Kong {
	t.Helper()
	parser, err := kong.New(new(command), kong.Name("rollcall"), kong.Exit(func(int) {}), kong.Writers(io.Discard, io.Discard))
	must(t, err)
	return parser
}

// callsIn returns the calls of rollcall in an example, without the program's name.
func callsIn(t *testing.T, example string) [][]string {
	t.Helper()
	_, found, err := doctest.Read("<!-- runs -->\n```sh\n"+example+"\n```\n", []string{"rollcall"})
	must(t, err)
	var out [][]string
	for _, c := range found {
		out = append(out, c.Words[1:])
	}
	return out
}

// A command without an example, and an example of no command, or of none that there
// is any more.
func TestEveryCommandHasExamples(t *testing.T) {
	left := make(map[string]bool)
	for name := range examples {
		left[name] = true
	}
	for _, n := range grammar(t).Model.Leaves(false) {
		name := commandName(n)
		delete(left, name)
		if len(examples[name]) == 0 {
			t.Errorf("rollcall %s has no example", name)
		}
		if n.Help == "" {
			t.Errorf("rollcall %s has no help", name)
		}
		for i, example := range examples[name] {
			calls := callsIn(t, example)
			if len(calls) == 0 {
				t.Errorf("%q calls nothing", example)
			}
			for j, args := range calls {
				parsed, err := grammar(t).Parse(args) // a parser remembers which flags were set
				if err != nil {
					t.Errorf("%s: %v", example, err)
				} else if got := commandName(parsed.Selected()); i+j == 0 && got != name {
					t.Errorf("%s is of rollcall %s, not of %s", example, got, name)
				}
			}
		}
	}
	for name := range left {
		t.Errorf("there is no rollcall %s", name)
	}
}

// changing are the commands of which the examples are not run: they change
// something, here or at the collector.
var changing = []string{"login", "logout", "set", "views create", "views update", "views delete", "people assert", "people erase", "people readmit", "findings waive", "findings acknowledge",
	"findings reopen", "rules put", "rules delete", "subscriptions create", "subscriptions test", "subscriptions pause", "subscriptions resume", "subscriptions rotate-secret", "subscriptions delete",
	"subscriptions retry", "feeds run", "feeds pause", "feeds resume", "feeds create", "feeds update", "feeds delete", "feeds test", "tokens create", "tokens revoke", "agents revoke"}

// What the help shows works, in every format.
func TestExamplesThatReadAreRun(t *testing.T) {
	w := newFleet(t)
	t.Chdir(t.TempDir())
	must(t, os.WriteFile("chrome.yaml", []byte(`
rules:
  - id: chrome-present
    version: 1
    title: Chrome is installed
    severity: low
    applies: asset.class == "laptop"
    needs: [software]
    require: has_software("Google Chrome", ">= 120")
    remediation: Install Chrome from the software centre.
    examples:
      - {name: current, want: pass, asset: {class: laptop}, software: [{name: Google Chrome, version: "131.0"}]}
      - {name: old, want: fail, asset: {class: laptop}, software: [{name: Google Chrome, version: "99.0"}]}
`), 0o600))
	want := map[string]int{"vulnerabilities show": exitNotFound} // this collector knows of none
	for name, lines := range examples {
		if slices.Contains(changing, name) {
			continue
		}
		for i, example := range lines {
			args := callsIn(t, example)[0]
			if name == "watch" && !slices.Contains(args, "--once") {
				args = append(args, "--once")
			}
			if out, errs, code := w.call(args...); code != want[name] {
				t.Errorf("%s exits with %d: %s%s", example, code, out, errs)
			}
			if name == "export" || name == "completion" || slices.Contains(args, "-o") || want[name] != 0 || i > 0 {
				continue
			}
			formats := []string{formatJSON, formatYAML, formatCSV}
			for _, format := range formats[len(name)%len(formats):][:1] { // one of them each, to keep it short
				out := w.ok(append(slices.Clone(args), "-o", format)...)
				if err := readable(format, out); err != nil && (name != "watch" || out != "") { // of nothing that happens there is nothing to read
					t.Errorf("%s -o %s is not readable: %v\n%s", example, format, err, out)
				}
			}
		}
	}
}

// readable tells whether an output is what its format says.
func readable(format, out string) error {
	if format == formatCSV {
		_, err := csv.NewReader(strings.NewReader(out)).ReadAll() // which wants as many cells in each row
		return err
	}
	next := json.NewDecoder(strings.NewReader(out)).Decode
	if format == formatYAML {
		next = yaml.NewDecoder(strings.NewReader(out)).Decode
	}
	var v any
	for n := 0; ; n++ {
		if err := next(&v); errors.Is(err, io.EOF) && n > 0 {
			return nil
		} else if err != nil {
			return err
		}
	}
}
