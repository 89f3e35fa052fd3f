package systest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/pkg/doctest"
)

// ourPrograms are those whose calls in documents are looked at.
var ourPrograms = []string{"rollcall", "rollcall-agent", "rollcall-collector"}

// documents returns those for administrators and developers, by their paths in
// the repository, in a fixed order.
func documents(t *testing.T) (names []string, texts map[string]string) {
	t.Helper()
	root := filepath.Join("..", "..")
	texts = make(map[string]string)
	for _, pattern := range []string{"README.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no document is like %s: %v", pattern, err)
		}
		for _, path := range found {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			names, texts[name] = append(names, name), string(b)
		}
	}
	return names, texts
}

// Every call of our programs in a document, also one within a sentence, has a
// command and flags that exist; every block of commands says whether it is run.
func TestDocumentsCallWhatExists(t *testing.T) {
	names, texts := documents(t)
	known := make(map[string]string) // what is said of each
	for _, name := range names {
		_, calls, err := doctest.Read(texts[name], ourPrograms)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, c := range calls {
			args := make([]string, 0, len(c.Words))
			for _, w := range c.Words[1:] {
				if w == "N" {
					w = "1" // any number
				}
				args = append(args, w)
			}
			line := strings.Join(c.Words, " ")
			complaint, tried := known[shape(c.Words)]
			if !tried {
				// With --help a command line is parsed and nothing is done.
				_, stderr, code := call(t, nil, c.Words[0], append(args, "--help")...)
				if code != 0 {
					complaint = strings.TrimSpace(stderr)
				}
				known[shape(c.Words)] = complaint
			}
			if complaint != "" {
				t.Errorf("%s:%d: %s\n%s", name, c.Line, line, complaint)
			}
		}
	}
	if len(known) < 60 {
		t.Errorf("only %d different calls were found in the documents", len(known))
	}
	if _, stderr, code := call(t, nil, "rollcall", "assets", "list", "--no-such-flag", "--help"); code == 0 {
		t.Errorf("a flag that does not exist is taken: %s", stderr)
	}
}

// shape is what of a call can be wrong: command and flags, without their values
// and what it is about. Starting a program for each of those costs.
func shape(words []string) string {
	var command, flags []string
	for _, w := range words {
		switch {
		case strings.HasPrefix(w, "-"):
			name, _, _ := strings.Cut(w, "=")
			flags = append(flags, name)
		case len(flags) == 0 && len(command) < 4:
			command = append(command, w)
		}
	}
	slices.Sort(flags)
	return strings.Join(append(command, slices.Compact(flags)...), " ")
}

// seed is the fleet that the documents speak of.
const seed = `{"source":"cmdb","source_id":"row-1","observed_at":"2026-11-20T10:00:00Z","device":{"name":"ann-mbp","class":"laptop","hardware":{"manufacturer":"Apple","serial":"C02DOC01"},"os":{"family":"macos"},"owner":{"email":"ann@example.com"},"labels":{"site":"berlin"}}}
{"source":"cmdb","source_id":"row-2","observed_at":"2026-11-20T10:00:00Z","device":{"name":"lt-4711","class":"laptop","hardware":{"manufacturer":"Dell","serial":"DOC4711"},"os":{"family":"windows"},"security":{"disk_encryption":{"state":"off"},"screen_lock":{"state":"on","seconds":300}}}}
{"source":"cmdb","source_id":"row-3","observed_at":"2026-11-20T10:00:00Z","device":{"name":"lt-4712","class":"laptop","hardware":{"manufacturer":"Dell","serial":"DOC4712"},"os":{"family":"windows"},"security":{"disk_encryption":{"state":"on"},"screen_lock":{"state":"off"}}}}
`

// rows is the file that the documents hand in.
const rows = `{"source":"cmdb","source_id":"row-17","observed_at":"2026-11-20T10:00:00Z","device":{"name":"row-17"}}` + "\n"

// The blocks that say so are run, in order, as a person would in a shell, against
// a collector whose fleet has the names that they use.
func TestDocumentsRun(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("the documents call curl, which is not here")
	}
	c := newCollector(t)
	dir := t.TempDir()
	id := c.seedDocuments(t)
	for name, text := range map[string]string{"devices.ndjson": rows, "chrome.yaml": ruleOf(t)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := append(environment(), "HOME="+dir, "XDG_CONFIG_HOME="+filepath.Join(dir, "config"), "PATH="+programs+string(os.PathListSeparator)+os.Getenv("PATH"),
		"TOKEN="+c.token, "ROLLCALL_URL=http://"+c.http, "ROLLCALL_TOKEN="+c.token, "ID="+id)
	// curl tells of errors as people see them, and a shell of tests as exit codes.
	const prelude = "set -euo pipefail\ncurl() { command curl --fail-with-body -sS \"$@\"; }\n"
	// What takes time takes less of it, and a day of the past is one that this
	// collector has seen.
	here := strings.NewReplacer("--seconds 10", "--seconds 1", "2026-10-01T00:00:00Z", time.Now().UTC().Format(time.RFC3339Nano), "http://127.0.0.1:8470", "http://"+c.http, "/var/lib/rollcall-collector", c.dir, "--data-dir data", "--data-dir "+c.dir)
	names, texts := documents(t)
	ran := 0
	for _, name := range names {
		blocks, _, _ := doctest.Read(texts[name], ourPrograms) // the other test tells its errors
		for _, b := range blocks {
			if !b.Runs {
				continue
			}
			ran++
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			cmd := exec.CommandContext(ctx, "bash", "-c", prelude+here.Replace(b.Text))
			cmd.Dir, cmd.Env = dir, env
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s:%d: %v\n%s\nprinted:\n%s", name, b.Line, err, b.Text, tail(string(out)))
			}
			cancel()
		}
	}
	if ran < 15 {
		t.Errorf("only %d blocks were run", ran)
	}
}

// seedDocuments makes the fleet and waits until it is judged. It returns the id of
// ann-mbp.
func (c *collector) seedDocuments(t *testing.T) (id string) {
	t.Helper()
	if body, code := c.ask(t, http.MethodPut, "/v1/sources/cmdb", `{"kind":"file"}`); code != http.StatusOK {
		t.Fatalf("declare a source: %d %s", code, body)
	}
	if body, code := c.ask(t, http.MethodPost, "/v1/observations", seed); code != http.StatusOK || strings.Contains(string(body), `"error"`) {
		t.Fatalf("hand in the fleet: %d %s", code, body)
	}
	until(t, "findings are there", func() error {
		var answer struct{ Findings []struct{ Rule string } }
		c.get(t, "/v1/findings?page_size=1000", &answer)
		var rules []string
		for _, f := range answer.Findings {
			rules = append(rules, f.Rule)
		}
		if !slices.Contains(rules, "disk-encryption") || !slices.Contains(rules, "screen-lock") {
			return fmt.Errorf("there are findings of %v", rules)
		}
		return nil
	})
	for _, a := range c.assets(t) {
		if a["name"] == "ann-mbp" {
			id, _ = a["id"].(string)
		}
	}
	return id
}

// ruleOf returns the rule that docs/rules.md shows first.
func ruleOf(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "rules.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "```yaml\n")
	text, _, _ = strings.Cut(text, "```")
	return text
}
