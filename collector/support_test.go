package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Newer end-of-life data takes the place of what came along; data that cannot
// be used does not.
func TestEndOfLifeDataOfAFile(t *testing.T) {
	const newer = `{"generated_at":"2099-01-01T00:00:00Z","result":[{"name":"debian","label":"Debian","category":"os","releases":[{"name":"12","releaseDate":"2023-06-10","eolFrom":"2030-06-10"}]}]}`
	for name, tc := range map[string]struct {
		content  string
		products int
		broken   bool
		log      string
	}{
		"newer":        {newer, 1, false, ""},
		"older":        {strings.Replace(newer, "2099", "2020", 1), 0, false, "older than what came along"},
		"not json":     {"<html>", 0, true, "cannot be used"},
		"a bad day":    {strings.Replace(newer, "2030-06-10", "2030-13-10", 1), 0, true, `is not a day`},
		"end at first": {strings.Replace(newer, "2030-06-10", "2003-06-10", 1), 0, true, "before it came out"},
	} {
		file := filepath.Join(t.TempDir(), "eol.json")
		if err := os.WriteFile(file, []byte(tc.content), 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		table, broken, err := readSupport(file, newLogger(&log, settings{}))
		if err != nil || broken != tc.broken || tc.products > 0 && table.Len() != tc.products || tc.products == 0 && table.Len() < 400 || !strings.Contains(log.String(), tc.log) {
			t.Errorf("%s: %d products, broken %v, %v, log %s", name, table.Len(), broken, err, log.String())
		}
	}
	if _, broken, err := readSupport(filepath.Join(t.TempDir(), "none"), newLogger(new(bytes.Buffer), settings{})); err != nil || !broken {
		t.Errorf("a file that is not there: %v, %v", broken, err)
	}
}
