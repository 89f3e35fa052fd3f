// Package release says which versions of the agent there are, in a manifest
// that is signed by whoever releases them.
package release

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// Format is the form of manifests that this version understands. Fields that
	// may be ignored can be added within a format.
	Format = 1
	// MaxManifest bounds a signed manifest, in bytes.
	MaxManifest = 128 << 10
	// MaxProgram bounds a program, in bytes.
	MaxProgram = 64 << 20

	maxReleases = 64
	maxFiles    = 64
	maxName     = 128
	maxWord     = 32
)

// Errors that say why a program must not be installed.
var (
	// ErrExpired: the manifest is past its time. It forbids an update and
	// nothing else.
	ErrExpired = errors.New("the manifest has expired: whoever releases agents has to sign it anew")
	// ErrNoFile: the manifest has no program of that version for that system.
	ErrNoFile = errors.New("the manifest has no such program")
	// ErrMalformed: it is not a manifest, or not one of a format that is known.
	ErrMalformed = errors.New("malformed manifest")
)

// Manifest lists the versions that may be installed.
type Manifest struct {
	Format int `json:"format"`
	// Sequence grows with each manifest: who saw one does not take an earlier
	// one.
	Sequence int64 `json:"sequence"`
	// Within these times new versions may be installed; what is installed runs
	// on afterwards.
	IssuedAt  time.Time `json:"issued_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Releases  []Release `json:"releases"`
}

// Release is one version.
type Release struct {
	Version string `json:"version"`
	// Ring is the part of the fleet that it is meant for.
	Ring string `json:"ring"`
	// MinimumAgent is the version that an agent must have for this update, empty
	// where any will do.
	MinimumAgent string `json:"minimum_agent,omitempty"`
	Files        []File `json:"files"`
}

// File is the program of a version for one system.
type File struct {
	// OS and Arch are GOOS and GOARCH.
	OS   string `json:"os"`
	Arch string `json:"arch"`
	// Name is the file's, beside the manifest.
	Name string `json:"name"`
	Size int64  `json:"size"`
	// SHA256 is in hexadecimal digits.
	SHA256 string `json:"sha256"`
}

// Platform is the file's GOOS/GOARCH.
func (f File) Platform() string { return f.OS + "/" + f.Arch }

// Find returns the program of a version for a system, GOOS/GOARCH; an error
// wraps ErrNoFile.
func (m Manifest) Find(version, platform string) (Release, File, error) {
	for _, r := range m.Releases {
		if r.Version != version {
			continue
		}
		for _, f := range r.Files {
			if f.Platform() == platform {
				return r, f, nil
			}
		}
	}
	return Release{}, File{}, fmt.Errorf("%.64q for %.40q: %w", version, platform, ErrNoFile)
}

// Check tells whether a manifest is one that may be signed and read; an error
// wraps ErrMalformed.
func (m Manifest) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, args...))
	}
	switch {
	case m.Format != Format:
		return bad("format %d, this version knows %d", m.Format, Format)
	case m.Sequence <= 0:
		return bad("sequence %d: want a positive number", m.Sequence)
	case m.IssuedAt.IsZero() || !m.ExpiresAt.After(m.IssuedAt):
		return bad("it expires at %s, issued at %s", m.ExpiresAt, m.IssuedAt)
	case len(m.Releases) > maxReleases:
		return bad("%d releases, at most %d", len(m.Releases), maxReleases)
	}
	seen := make(map[string]bool)
	for _, r := range m.Releases {
		if err := r.check(); err != nil {
			return bad("release %.64q: %w", r.Version, err)
		}
		if seen[r.Version] {
			return bad("release %s is there twice", r.Version)
		}
		seen[r.Version] = true
	}
	return nil
}

func (r Release) check() error {
	v, err := ParseVersion(r.Version)
	switch {
	case err != nil:
		return err
	case v.String() != r.Version:
		return fmt.Errorf("want %s", v)
	case CheckRing(r.Ring) != nil:
		return CheckRing(r.Ring)
	case len(r.Files) == 0 || len(r.Files) > maxFiles:
		return fmt.Errorf("%d files, want 1 to %d", len(r.Files), maxFiles)
	}
	if r.MinimumAgent != "" {
		if _, err := ParseVersion(r.MinimumAgent); err != nil {
			return fmt.Errorf("minimum_agent: %w", err)
		}
	}
	seen := make(map[string]bool)
	for _, f := range r.Files {
		if err := f.check(); err != nil {
			return fmt.Errorf("file %.40q: %w", f.Name, err)
		}
		if seen[f.Platform()] {
			return fmt.Errorf("%s is there twice", f.Platform())
		}
		seen[f.Platform()] = true
	}
	return nil
}

func (f File) check() error {
	sum, err := hex.DecodeString(f.SHA256)
	switch {
	case !word(f.OS) || !word(f.Arch):
		return fmt.Errorf("system %.40q/%.40q: want GOOS and GOARCH", f.OS, f.Arch)
	case f.Name == "" || len(f.Name) > maxName || strings.HasPrefix(f.Name, ".") || strings.Trim(f.Name, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-") != "":
		return errors.New("want a file name of letters, digits, ., _ and -")
	case f.Size <= 0 || f.Size > MaxProgram:
		return fmt.Errorf("%d bytes: want 1 to %d", f.Size, MaxProgram)
	case err != nil || len(sum) != 32 || strings.ToLower(f.SHA256) != f.SHA256:
		return errors.New("sha256: want 64 hexadecimal digits in lower case")
	}
	return nil
}

// word tells whether s is a short name.
func word(s string) bool {
	return s != "" && len(s) <= maxWord && strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyz_-") == ""
}

// CheckRing tells whether a ring may have that name.
func CheckRing(name string) error {
	if !word(name) {
		return fmt.Errorf("ring %.40q: want a short name of lower-case letters, digits, _ and -", name)
	}
	return nil
}

// Fresh tells whether the manifest may bring about an update at a time; an
// error wraps ErrExpired.
func (m Manifest) Fresh(now time.Time) error {
	if now.Before(m.ExpiresAt) {
		return nil
	}
	return fmt.Errorf("%w (it ended on %s)", ErrExpired, m.ExpiresAt.UTC().Format(time.RFC3339))
}
