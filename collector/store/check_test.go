package store

import (
	"context"
	"os"
	"regexp"
	"testing"
)

// The check knows every kind of record: who adds one in keys.go adds it there.
func TestCheckKnowsEveryKind(t *testing.T) {
	source, err := os.ReadFile("keys.go")
	if err != nil {
		t.Fatal(err)
	}
	prefixes := regexp.MustCompile(`(?m)^\tprefix\w+ += "([^"]+)"`).FindAllSubmatch(source, -1)
	if len(prefixes) < 20 {
		t.Fatalf("found only %d kinds in keys.go", len(prefixes))
	}
	seen := make(map[string]bool)
	for _, p := range prefixes {
		if seen[string(p[1])] {
			t.Errorf("two kinds of records have the prefix %q: a rebuild or a scan of one meets the other", p[1])
		}
		seen[string(p[1])] = true
		if _, ok := kinds[string(p[1])]; !ok {
			t.Errorf("the check does not know records under %q", p[1])
		}
	}
}

func TestCheckFindsWhatItDoesNotKnow(t *testing.T) {
	s := open(t)
	update(t, s, func(tx *Tx) error { return tx.kv.Set([]byte("zz/1"), []byte("x")) })
	var problems []Problem
	err := s.View(context.Background(), func(tx *Tx) error {
		_, err := tx.Check(context.Background(), func(p Problem) { problems = append(problems, p) })
		return err
	})
	if err != nil || len(problems) != 1 || problems[0].Derived {
		t.Errorf("%+v (%v)", problems, err)
	}
}
