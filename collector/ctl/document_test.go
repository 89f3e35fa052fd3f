package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what the help says into docs/cli.md")

// generated is the line of docs/cli.md below which it is written from the help.
const generated = "<!-- What follows is written by `go test ./collector/ctl -run TestCommandLineDocument -update`, from the help of the program. -->\n"

// docs/cli.md says what the help says, of every command and flag, and the exit
// codes are those of the program.
func TestCommandLineDocument(t *testing.T) {
	const file = "../../docs/cli.md"
	b, err := os.ReadFile(file)
	must(t, err)
	byHand, found, ok := strings.Cut(string(b), generated)
	if !ok {
		t.Fatalf("%s has no line %q", file, generated)
	}
	want := reference(t)
	if *update {
		must(t, os.WriteFile(file, []byte(byHand+generated+want), 0o644))
		return
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("%s is not what the help says (-help +document); go test ./collector/ctl -run TestCommandLineDocument -update writes it:\n%s", file, diff)
	}
	for _, code := range []int{0, exitError, exitUsage, exitNotFound, exitUnauthorised, exitUnreachable, exitConflict, exitInterrupted} {
		if !strings.Contains(byHand, "\n| "+strconv.Itoa(code)+" | ") || !strings.Contains(exits, " "+strconv.Itoa(code)+" ") {
			t.Errorf("the exit code %d is not in %s, or not in the help", code, file)
		}
	}
}

// reference is the part of the document that is made from the help.
func reference(t *testing.T) string {
	var b strings.Builder
	model := grammar(t).Model
	fmt.Fprint(&b, "\n## Flags of all commands\n\n")
	flagList(&b, model.Flags)
	fmt.Fprint(&b, "\n## Commands\n")
	for _, n := range model.Leaves(false) {
		fmt.Fprintf(&b, "\n### rollcall %s\n\n%s\n", commandName(n), asText(n.Help))
		fmt.Fprintf(&b, "\n```text\nrollcall %s\n```\n\n", usage(n))
		for _, p := range n.Positional {
			fmt.Fprintf(&b, "* `%s`: %s\n", p.Summary(), asText(p.Help))
		}
		flagList(&b, n.Flags)
		fmt.Fprintf(&b, "\n```shell\n%s\n```\n", strings.Join(examples[commandName(n)], "\n"))
	}
	return strings.ReplaceAll(b.String(), "\n\n\n", "\n\n")
}

func usage(n *kong.Node) string {
	words := []string{commandName(n)}
	for _, p := range n.Positional {
		words = append(words, p.Summary())
	}
	if len(n.Flags) > 0 {
		words = append(words, "[flags]")
	}
	return strings.Join(words, " ")
}

func flagList(b *strings.Builder, flags []*kong.Flag) {
	for _, f := range flags {
		if f.Hidden || f.Name == "help" {
			continue
		}
		fmt.Fprintf(b, "* `%s`: %s\n", f.String(), asText(f.Help))
	}
}

// asText keeps what the help says from being taken for markup.
func asText(s string) string { return strings.NewReplacer("<", "&lt;", "*", `\*`).Replace(s) }
