// Package updates offers agents the versions that a signed manifest names, ring
// by ring, and hands them out.
package updates

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rollcall-itam/rollcall/pkg/release"
)

// ManifestName is the manifest's file, beside the programs.
const ManifestName = "manifest.json"

// lookEvery is how often the folder is looked at again.
const lookEvery = 10 * time.Second

// ErrUnavailable is wrapped where a version cannot be handed out.
var ErrUnavailable = errors.New("this collector has no such update")

// Options are what a Shelf works with.
type Options struct {
	// Dir has the manifest and the programs.
	Dir  string
	Keys release.Keys
	// Rings are the parts of the fleet, the most daring first; DefaultRings where
	// there are none.
	Rings  []Ring
	Now    func() time.Time
	Logger *slog.Logger
}

// Shelf is a folder of updates. It is read again when its manifest changes, and
// is safe for concurrent use.
type Shelf struct {
	dir   string
	keys  release.Keys
	rings []Ring
	now   func() time.Time
	log   *slog.Logger

	mu       sync.Mutex
	lookedAt time.Time
	seen     stamp
	held     held
	// expired tells that it was said that the manifest is.
	expired bool
}

// stamp is by what a file is known to have changed.
type stamp struct {
	modified time.Time
	size     int64
}

// held is a manifest that was read.
type held struct {
	signed   []byte
	manifest release.Manifest
}

// New returns a shelf. A folder without a manifest, or with one that is not
// good, is no error: it offers nothing until it has a good one, and the log
// says so.
func New(o Options) (*Shelf, error) {
	if len(o.Rings) == 0 {
		o.Rings = DefaultRings()
	}
	if err := checkRings(o.Rings); err != nil {
		return nil, err
	}
	if _, err := os.ReadDir(o.Dir); err != nil {
		return nil, fmt.Errorf("read the folder of updates: %w", err)
	}
	return &Shelf{dir: o.Dir, keys: o.Keys, rings: o.Rings, now: o.Now, log: o.Logger}, nil
}

// Offer returns the version that an agent is to be offered, empty for none.
func (s *Shelf) Offer(a Agent) string {
	h := s.look()
	if h.manifest.Fresh(s.now()) != nil {
		return ""
	}
	return offer(h.manifest, s.rings, a)
}

// Expires returns until when updates may be installed, zero where there is no
// manifest.
func (s *Shelf) Expires() time.Time { return s.look().manifest.ExpiresAt }

// Open returns the signed manifest and the program of a version for a system,
// GOOS/GOARCH. An error wraps ErrUnavailable.
func (s *Shelf) Open(version, platform string) (signed []byte, program io.ReadCloser, err error) {
	h := s.look()
	_, file, err := h.manifest.Find(version, platform)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	f, err := s.program(file)
	if err != nil {
		s.log.Error("an update cannot be handed out", "file", file.Name, "error", err)
		return nil, nil, fmt.Errorf("%w: its file is not what was signed", ErrUnavailable)
	}
	return h.signed, f, nil
}

// program opens a file within the folder.
func (s *Shelf) program(want release.File) (io.ReadCloser, error) {
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, fmt.Errorf("open the folder of updates: %w", err)
	}
	defer root.Close()
	f, err := root.Open(want.Name)
	if err != nil {
		return nil, fmt.Errorf("open the program: %w", err)
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() != want.Size) {
		err = fmt.Errorf("%s has %d bytes, the manifest names %d: sign the folder anew", want.Name, info.Size(), want.Size)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// look returns the manifest in force, after reading it where it changed. One
// that is not good leaves that in force which was.
func (s *Shelf) look() held {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if since := now.Sub(s.lookedAt); since >= 0 && since < lookEvery {
		return s.held
	}
	s.lookedAt = now
	s.read()
	if err := s.held.manifest.Fresh(now); len(s.held.signed) > 0 && (err != nil) != s.expired {
		if s.expired = err != nil; s.expired {
			s.log.Warn("no updates are offered: sign the folder anew", "dir", s.dir, "error", err)
		}
	}
	return s.held
}

// read reads the manifest where it changed.
func (s *Shelf) read() {
	path := filepath.Join(s.dir, ManifestName)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		s.seen, s.held = stamp{}, held{}
		return
	}
	if err != nil {
		s.log.Error("the manifest of updates cannot be read", "error", err)
		return
	}
	now := stamp{modified: info.ModTime(), size: info.Size()}
	if now == s.seen {
		return
	}
	s.seen = now
	signed, m, err := Read(path, s.keys)
	if err != nil {
		s.log.Error("the manifest of updates is not good, it is not used", "path", path, "error", err)
		return
	}
	s.held = held{signed: signed, manifest: m}
	s.log.Info("updates are offered", "sequence", m.Sequence, "releases", len(m.Releases), "expires_at", m.ExpiresAt)
	for _, r := range m.Releases {
		if position(s.rings, r.Ring) < 0 {
			s.log.Warn("a release is in a ring that is not configured, nobody is offered it", "version", r.Version, "ring", r.Ring)
		}
	}
}

// Read returns a manifest of a file, as it is and as one of the keys vouches
// for it.
func Read(path string, keys release.Keys) ([]byte, release.Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, release.Manifest{}, fmt.Errorf("open the manifest: %w", err)
	}
	defer f.Close()
	signed, err := io.ReadAll(io.LimitReader(f, release.MaxManifest+1))
	if err != nil {
		return nil, release.Manifest{}, fmt.Errorf("read the manifest: %w", err)
	}
	m, err := release.Open(signed, keys)
	return signed, m, err
}
