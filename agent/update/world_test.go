package update

import (
	"context"
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

	"go.uber.org/goleak"

	"github.com/rollcall-itam/rollcall/pkg/release"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const platform = "linux/amd64"

var discard = slog.New(slog.DiscardHandler)

func private(seed string) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(seed, ed25519.SeedSize)))
}

func keys(t testing.TB, seeds ...string) release.Keys {
	t.Helper()
	var texts []string
	for _, s := range seeds {
		texts = append(texts, release.FormatKey(private(s).Public().(ed25519.PublicKey)))
	}
	k, err := release.ParseKeys(texts)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// content is the program of a version.
func content(version string) string { return "program of " + version }

// manifestOf is a manifest with programs of the versions, good for 90 days.
func manifestOf(sequence int64, now time.Time, versions ...string) release.Manifest {
	m := release.Manifest{Format: release.Format, Sequence: sequence, IssuedAt: now.Add(-time.Hour), ExpiresAt: now.Add(90 * 24 * time.Hour)}
	for _, v := range versions {
		sum := sha256.Sum256([]byte(content(v)))
		m.Releases = append(m.Releases, release.Release{Version: v, Ring: "broad", Files: []release.File{{
			OS: "linux", Arch: "amd64", Name: "rollcall-agent_" + v, Size: int64(len(content(v))), SHA256: hex.EncodeToString(sum[:])}}})
	}
	return m
}

func signed(t testing.TB, m release.Manifest, seed string) []byte {
	t.Helper()
	b, err := release.Sign(m, private(seed))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// shelf is a collector as an updater sees it.
type shelf struct {
	manifest []byte
	program  string
	err      error
	fetched  int
}

func (s *shelf) fetch(_ context.Context, _ string, accept func([]byte) (io.Writer, error)) error {
	s.fetched++
	if s.err != nil {
		return s.err
	}
	w, err := accept(s.manifest)
	if err != nil {
		return err
	}
	for _, part := range []string{s.program[:len(s.program)/2], s.program[len(s.program)/2:]} {
		if _, err := io.WriteString(w, part); err != nil {
			return err
		}
	}
	return nil
}

// tell is how a program says its version: as its content does.
func tell(_ context.Context, path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return "rollcall-agent " + strings.TrimPrefix(string(b), "program of "), nil
}

// updater is one of a version that runs, on a folder and a collector.
func updater(t testing.TB, f Folder, version string, s *shelf) *Updater {
	t.Helper()
	u, err := New(Options{Folder: f, Keys: keys(t, "a"), Version: version, Platform: platform, Fetch: s.fetch, Try: tell,
		Healthy: func() {}, Now: time.Now, Log: discard})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// pass lets time go by, in a bubble whose clock is its own.
func pass(d time.Duration) { <-time.After(d) }

func folder(t testing.TB) Folder { return NewFolder(t.TempDir()) }

func recorded(t testing.TB, f Folder) record {
	t.Helper()
	r, err := f.read()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// staged makes a version the active one, as the version that runs does.
func staged(t testing.TB, f Folder, running, version string) {
	t.Helper()
	s := &shelf{manifest: signed(t, manifestOf(1, time.Now(), version), "a"), program: content(version)}
	if err := updater(t, f, running, s).Exchanged(t.Context(), version); !errors.Is(err, ErrSwitch) {
		t.Fatalf("version %s is not taken: %v, %+v", version, err, recorded(t, f))
	}
}

// files are the names in the update folder.
func files(t testing.TB, f Folder) string {
	t.Helper()
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func pathOf(f Folder, version string) string {
	return filepath.Join(f.dir, version, "rollcall-agent")
}
