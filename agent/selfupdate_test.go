package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/rollcall-itam/rollcall/agent/update"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// aKey is the public key of RFC 8032, 7.1, test 1.
const aKey = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

func TestSelfUpdateIsOffAndNeedsAKey(t *testing.T) {
	if got := effective(t, "--config", file(t, ""))["self_update"]; got != "false" {
		t.Errorf("by default self_update is %q", got)
	}
	for name, tc := range map[string]struct{ text, want string }{
		"no key":    {"self_update: true\n", "update_keys"},
		"a bad key": {"self_update: true\nupdate_keys: [secret]\n", "keygen"},
		"no time":   {"update_health_timeout: 1s\n", "update_health_timeout"},
	} {
		if _, errs, code := call(t, "config", "check", "--config", file(t, tc.text)); code == 0 || !strings.Contains(errs, tc.want) {
			t.Errorf("%s: exits with %d: %s", name, code, errs)
		}
	}
	name := file(t, "self_update: true\nupdate_keys: ["+aKey+"]\n")
	if out, errs, code := call(t, "config", "check", "--config", name); code != 0 || !strings.Contains(out, "self_update: true") || !strings.Contains(out, aKey) {
		t.Errorf("exits with %d: %s%s", code, out, errs)
	}
}

// A version without a number cannot update itself; the work is done, and the
// report says why.
func TestAgentThatCannotUpdateWorks(t *testing.T) {
	s, err := join(layer{}, layer{SelfUpdate: new(true), UpdateKeys: &[]string{aKey}, StateDir: new(t.TempDir())})
	if err != nil {
		t.Fatal(err)
	}
	w := &ownWork{settings: s, world: outside{getenv: func(string) string { return "" }}}
	_, done, err := w.arrange(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	collect := w.collecting(func(context.Context) (*pb.Observation, error) { return observation(), nil })
	o, err := collect(t.Context())
	if err != nil || len(o.GetProblems()) != 1 || o.GetProblems()[0].GetFact() != "self_update" || !strings.Contains(o.GetProblems()[0].GetError(), "release") {
		t.Errorf("%v, %v", o.GetProblems(), err)
	}
	if w.options.Updates {
		t.Error("it asks for updates")
	}
}

// A version that was launched works until what launched it lets go.
func TestLaunchedVersionEndsWithItsLauncher(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	ctx := attached(t.Context(), read)
	if ctx.Err() != nil {
		t.Fatal("it ends at once")
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("it goes on")
	}
}

func TestStatusTellsOfUpdates(t *testing.T) {
	state := t.TempDir()
	shown := func() string {
		var b strings.Builder
		w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', 0)
		describeUpdates(w, state)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if got := shown(); got != "" {
		t.Errorf("without updates: %s", got)
	}
	dir := update.Dir(state)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	record := `{"active":{"version":"1.2.0","since":"2026-11-25T08:00:00Z","confirmed":true},"previous":{"version":"1.1.0","since":"2026-11-24T08:00:00Z"},
		"refused":[{"version":"1.3.0","reason":"it was started 3 times and never reached the collector","at":"2026-11-25T09:00:00Z","times":1},
			{"version":"1.4.0","reason":"late","at":"2026-11-25T09:00:00Z","times":1,"until":"2026-11-26T09:00:00Z"}],
		"problem":"version 1.5.0 cannot be taken: busy","problem_at":"2026-11-25T10:00:00Z"}`
	if err := os.WriteFile(filepath.Join(dir, "state.json"), []byte(record), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"version 1.2.0, an update (works); before it 1.1.0", "version 1.3.0 on 2026-11-25T09:00:00Z, not tried again: it was started 3 times",
		"tried again from 2026-11-26T09:00:00Z: late", "no update 2026-11-25T10:00:00Z: version 1.5.0 cannot be taken: busy"} {
		if got := shown(); !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
}
