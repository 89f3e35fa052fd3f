package identity

import (
	"strings"
	"testing"
)

// Every value of the list is there for a reason that somebody can look up, once,
// and is found by its reader.
func TestEachPlaceholderCitesWhoSaysSo(t *testing.T) {
	sources := make(map[string]int)
	seen := make(map[[2]string]bool)
	entries := 0
	for i, line := range strings.Split(strings.TrimSuffix(junkFile, "\n"), "\n") {
		if told, ok := strings.CutPrefix(line, "#   "); ok {
			if name, what, ok := strings.Cut(told, " "); ok && name != "" && strings.TrimSpace(what) != "" {
				sources[name] = 0
			}
			continue
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		entries++
		columns := strings.Split(line, "\t")
		if len(columns) != 3 {
			t.Errorf("line %d: %q has %d columns, want kind, value and who says so", i+1, line, len(columns))
			continue
		}
		if _, ok := sources[columns[2]]; !ok {
			t.Errorf("line %d: %q is said by %q, which the head does not explain", i+1, line, columns[2])
		}
		sources[columns[2]]++
		key := [2]string{columns[0], strings.ToLower(columns[1])}
		if seen[key] {
			t.Errorf("line %d: %q is there twice", i+1, line)
		}
		seen[key] = true
		if !junkList()[[2]string{columns[0], junkForm(columns[0], columns[1])}] {
			t.Errorf("line %d: %q is not found by its reader", i+1, line)
		}
	}
	if entries < 60 {
		t.Errorf("%d entries were read", entries)
	}
	for name, n := range sources {
		if n == 0 {
			t.Errorf("nothing is said by %q", name)
		}
	}
}
