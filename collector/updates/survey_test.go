package updates

import (
	"crypto/ed25519"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/pkg/release"
)

// built is a program of this system whose package is called name.
func built(t *testing.T, name string) []byte {
	t.Helper()
	dir := t.TempDir()
	for file, text := range map[string]string{"go.mod": "module example.com/" + name + "\n", "main.go": "package main\n\nfunc main() {}\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-o", "program", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "program"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func put(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func here(version string) string {
	return programPrefix + version + "_" + runtime.GOOS + "_" + runtime.GOARCH
}

func keysOf(t *testing.T, seed string) release.Keys {
	t.Helper()
	keys, err := release.ParseKeys([]string{release.FormatKey(private(seed).Public().(ed25519.PublicKey))})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestSurveyKeepsWhatWasSignedBefore(t *testing.T) {
	agent, dir, at := built(t, "agent"), t.TempDir(), time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
	put(t, dir, here("1.2.0"), agent)
	put(t, dir, "README", nil)
	terms := Terms{Now: at, Life: time.Hour, Minimum: map[string]string{"1.2.0": "1.0.0"}}
	sign := func() release.Manifest {
		t.Helper()
		m, err := Survey(dir, keysOf(t, "a"), terms)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := release.Sign(m, private("a"))
		if err == nil {
			err = Write(dir, signed)
		}
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	first := sign()
	put(t, dir, here("1.10.0"), agent)
	// The clock of who signs was set back: the sequence grows all the same.
	terms = Terms{Now: at.Add(-24 * time.Hour), Life: time.Hour, Rings: map[string]string{"1.2.0": "broad"}}
	second := sign()
	if second.Sequence != first.Sequence+1 || first.Sequence != at.Unix() || !second.ExpiresAt.Equal(at.Add(-23*time.Hour)) {
		t.Errorf("sequences %d and %d, expires %s", first.Sequence, second.Sequence, second.ExpiresAt)
	}
	var got []string
	for _, r := range second.Releases {
		got = append(got, r.Version+" "+r.Ring+" "+r.MinimumAgent)
	}
	if diff := cmp.Diff([]string{"1.10.0 canary ", "1.2.0 broad 1.0.0"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := Check(dir, second); err != nil {
		t.Error(err)
	}
	put(t, dir, here("1.2.0"), append(agent, 0))
	if err := Check(dir, second); err == nil || !strings.Contains(err.Error(), "1.2.0") {
		t.Errorf("a program that was changed: %v", err)
	}
	if _, err := Survey(dir, keysOf(t, "b"), terms); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("a manifest of another key: %v", err)
	}
}

func TestSurveyRefusesWhatIsNoAgent(t *testing.T) {
	agent, other := built(t, "agent"), built(t, "collector")
	for name, tc := range map[string]struct {
		file  string
		b     []byte
		terms Terms
		want  string
	}{
		"nothing there":     {"README", nil, Terms{}, "no program"},
		"no version":        {programPrefix + "new_linux_amd64", agent, Terms{}, "MAJOR.MINOR.PATCH"},
		"no system":         {programPrefix + "1.0.0", agent, Terms{}, "OS_ARCH"},
		"another system":    {programPrefix + "1.0.0_plan9_386", agent, Terms{}, "built for"},
		"another program":   {here("1.0.0"), other, Terms{}, "not an agent"},
		"no program at all": {here("1.0.0"), []byte("hello"), Terms{}, "no program built by Go"},
		"a ring for nobody": {here("1.0.0"), agent, Terms{Rings: map[string]string{"2.0.0": "broad"}}, "2.0.0"},
		"a ring of no name": {here("1.0.0"), agent, Terms{Rings: map[string]string{"1.0.0": "Every One"}}, "ring"},
		"no minimum":        {here("1.0.0"), agent, Terms{Minimum: map[string]string{"1.0.0": "old"}}, "minimum"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, tc.file, tc.b)
			tc.terms.Now, tc.terms.Life = time.Now(), time.Hour
			if m, err := Survey(dir, keysOf(t, "a"), tc.terms); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%+v, %v", m, err)
			}
		})
	}
}
