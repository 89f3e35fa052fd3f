package updates

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/pkg/release"
)

func private(seed string) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(seed, ed25519.SeedSize)))
}

// stocked is a folder with a program and its manifest, on a clock that stands.
type stocked struct {
	*Shelf
	t   *testing.T
	dir string
	at  time.Time
	log bytes.Buffer
}

func newStocked(t *testing.T) *stocked {
	t.Helper()
	s := &stocked{t: t, dir: t.TempDir(), at: time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)}
	keys, err := release.ParseKeys([]string{release.FormatKey(private("a").Public().(ed25519.PublicKey))})
	if err != nil {
		t.Fatal(err)
	}
	s.Shelf, err = New(Options{Dir: s.dir, Keys: keys, Now: func() time.Time { return s.at }, Logger: slog.New(slog.NewTextHandler(&s.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put writes a file of the folder, whose time no earlier one has.
func (s *stocked) put(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chtimes(path, s.at, s.at); err != nil {
		s.t.Fatal(err)
	}
}

// sign puts a version of a content there and signs it.
func (s *stocked) sign(version, content, seed string) {
	s.t.Helper()
	sum := sha256.Sum256([]byte(content))
	m := release.Manifest{Format: release.Format, Sequence: s.at.Unix(), IssuedAt: s.at, ExpiresAt: s.at.Add(24 * time.Hour), Releases: []release.Release{{
		Version: version, Ring: "broad", Files: []release.File{{OS: "linux", Arch: "amd64", Name: "agent", Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}}}}}
	b, err := release.Sign(m, private(seed))
	if err != nil {
		s.t.Fatal(err)
	}
	s.put(ManifestName, string(b))
	s.put("agent", content)
}

func (s *stocked) wait(d time.Duration) { s.at = s.at.Add(d) }

func (s *stocked) offers(want string) {
	s.t.Helper()
	if got := s.Offer(Agent{ID: "a", Version: "1.0.0", Platform: "linux/amd64"}); got != want {
		s.t.Errorf("%q is offered, want %q; the log has\n%s", got, want, &s.log)
	}
}

func TestShelfFollowsItsFolder(t *testing.T) {
	s := newStocked(t)
	s.offers("")
	s.sign("1.1.0", "program", "a")
	s.wait(lookEvery)
	s.offers("1.1.0")
	signed, program, err := s.Open("1.1.0", "linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	b, err := io.ReadAll(program)
	want, _ := os.ReadFile(filepath.Join(s.dir, ManifestName))
	if err != nil || string(b) != "program" || !bytes.Equal(signed, want) {
		t.Errorf("%q, %v", b, err)
	}
	s.sign("1.2.0", "another", "a")
	s.wait(lookEvery)
	s.offers("1.2.0")

	// A manifest that is not good leaves that in force which was; none is none.
	s.sign("1.3.0", "third", "b")
	s.wait(lookEvery)
	s.offers("1.2.0")
	if !strings.Contains(s.log.String(), release.ErrUnknownKey.Error()) {
		t.Errorf("the log has\n%s", &s.log)
	}
	if err := os.Remove(filepath.Join(s.dir, ManifestName)); err != nil {
		t.Fatal(err)
	}
	s.wait(lookEvery)
	s.offers("")
}

func TestExpiredManifestOffersNothingAndIsLoggedOnce(t *testing.T) {
	s := newStocked(t)
	s.sign("1.1.0", "program", "a")
	s.offers("1.1.0")
	for range 5 {
		s.wait(24 * time.Hour)
		s.offers("")
	}
	if n := strings.Count(s.log.String(), "sign the folder anew"); n != 1 {
		t.Errorf("the log has it %d times:\n%s", n, &s.log)
	}
	if s.Expires().After(s.at) || s.Expires().IsZero() {
		t.Errorf("it expires %s", s.Expires())
	}
	// Signed anew, it is offered again.
	s.sign("1.1.0", "program", "a")
	s.wait(lookEvery)
	s.offers("1.1.0")
}

func TestWhatCannotBeHandedOut(t *testing.T) {
	s := newStocked(t)
	s.sign("1.1.0", "program", "a")
	for _, tc := range [][2]string{{"1.1.0", "linux/arm64"}, {"1.2.0", "linux/amd64"}, {"", ""}} {
		if _, _, err := s.Open(tc[0], tc[1]); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%v: %v", tc, err)
		}
	}
	agent := filepath.Join(s.dir, "agent")
	for name, change := range map[string]func() error{
		"a file of another size":   func() error { s.put("agent", "program of another size"); return nil },
		"no file":                  func() error { return os.Remove(agent) },
		"a folder":                 func() error { return errors.Join(os.Remove(agent), os.Mkdir(agent, 0o700)) },
		"a link out of the folder": func() error { return errors.Join(os.Remove(agent), os.Symlink("/etc/passwd", agent)) },
	} {
		s.put("agent", "program")
		if err := change(); err != nil {
			t.Fatal(err)
		}
		_, _, err := s.Open("1.1.0", "linux/amd64")
		if !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), s.dir) {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.RemoveAll(agent); err != nil {
			t.Fatal(err)
		}
	}
}

func TestShelfNeedsItsFolder(t *testing.T) {
	if _, err := New(Options{Dir: filepath.Join(t.TempDir(), "none"), Now: time.Now}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
