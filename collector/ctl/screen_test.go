package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whatever is in a table and however narrow the screen is, a row is one line of it.
func TestNoRowIsWiderThanTheScreen(t *testing.T) {
	w := newWorld(t)
	for i, name := range []string{"ann", "a-machine-with-" + strings.Repeat("a-very-long-", 8) + "name", strings.Repeat("日本", 12)} {
		w.report(name, laptop(fmt.Sprint("PF3ABCD", i)))
	}
	for _, columns := range []int{1, 7, 20, 40, 80, 81, 120, 200} {
		w.screen = screen{columns: columns}
		for _, args := range []string{"assets list", "software top", "group name", "token list", "people", "assets list --fields name,id,labels.site,hardware.model"} {
			for line := range strings.Lines(w.ok(strings.Fields(args)...)) {
				// Each column that is left keeps one column of the screen, and the gap.
				if got := cells(strings.TrimRight(line, "\n")); got > max(columns, 4*3) {
					t.Errorf("%s, on %d columns, prints a line of %d: %s", args, columns, got, line)
				}
			}
		}
	}
	w.screen = screen{}
	if out := w.ok("assets", "list"); strings.Contains(out, "…") || !strings.Contains(out, strings.Repeat("日本", 12)) {
		t.Errorf("into a pipe it is not whole:\n%s", out)
	}
}

func TestAValueIsFoldedUnderItself(t *testing.T) {
	w := newWorld(t)
	d := laptop("PF3ABCDE")
	d.Patch.RebootReasons = []string{"linux-image-6.12.9-amd64", "a kernel module", strings.Repeat("x", 70), "日本語テキスト"}
	id := w.report("ann", d)
	w.screen = screen{columns: 60}
	out := w.ok("show", id)
	for line := range strings.Lines(out) {
		if n := cells(strings.TrimSuffix(line, "\n")); n > 60 {
			t.Errorf("a line of %d: %s", n, line)
		}
	}
	_, reasons, _ := strings.Cut(out, "Reboot required   ")
	var parts []string
	for i, line := range strings.Split(reasons, "\n") {
		if i > 0 && !strings.HasPrefix(line, strings.Repeat(" ", 18)) {
			break
		}
		parts = append(parts, strings.TrimSpace(line))
	}
	want := "yes linux-image-6.12.9-amd64, a kernel module, " + strings.Repeat("x", 70) + ", 日本語テキスト"
	if got := strings.Join(parts, ""); len(parts) < 3 || strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("the reasons are folded as %q", parts)
	}
}

func TestColours(t *testing.T) {
	tab := &table{columns: []column{{"NAME", 8, 0}, {"SEVERITY", 0, 0}, {"STATE", 0, 0}}}
	tab.add("critical", "critical", "open")
	tab.add("b", "medium", "waived until 2027-01-01")
	tab.add("c", "low", "resolved")
	var coloured, plainly strings.Builder
	tab.write(&plainly, screen{})
	tab.write(&coloured, screen{colours: true})
	if strings.Contains(plainly.String(), "\x1b") {
		t.Errorf("without colours it is %q", plainly.String())
	}
	for _, want := range []string{"\x1b[1mNAME\x1b[0m", "critical  \x1b[31mcritical\x1b[0m", "\x1b[33mmedium\x1b[0m    \x1b[33mwaived until 2027-01-01\x1b[0m", "c         low       \x1b[32mresolved\x1b[0m\n"} {
		if !strings.Contains(coloured.String(), want) {
			t.Errorf("no %q in %q", want, coloured.String())
		}
	}
	bare := coloured.String()
	for _, s := range []string{"0", "1", "31", "32", "33"} {
		bare = strings.ReplaceAll(bare, "\x1b["+s+"m", "")
	}
	if diff := cmp.Diff(plainly.String(), bare); diff != "" {
		t.Errorf("colours move the columns (-without +with):\n%s", diff)
	}
}
