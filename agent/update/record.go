// Package update replaces the agent by a newer version that is signed, and goes
// back to the one before where that does not do.
package update

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Names in the update folder. They never change: the installed version has to
// find what versions after it leave there.
const (
	recordFile   = "state.json"
	manifestFile = "manifest.json" // in the folder of a version: what vouches for it
	incoming     = "incoming"      // a version that is being fetched
)

const (
	maxRecord   = 256 << 10
	maxRefusals = 16
	maxReason   = 300
	// maxTries is how often a version is given up before it is for good, where the
	// reason may pass, and retryAfter the time between.
	maxTries   = 3
	retryAfter = 24 * time.Hour
)

// record is what is known of updates. Of two programs that use it, the
// installed version writes while no other runs, and that one while it does.
type record struct {
	// Sequence is the highest of the manifests seen.
	Sequence int64 `json:"sequence,omitempty"`
	// Active runs instead of the installed version, Previous is what ran before
	// it. Nil stands for the installed version.
	Active   *program `json:"active,omitempty"`
	Previous *program `json:"previous,omitempty"`
	// Refused are versions that were tried and given up.
	Refused []Refusal `json:"refused,omitempty"`
	// Problem is why the last attempt to fetch a version failed.
	Problem   string    `json:"problem,omitempty"`
	ProblemAt time.Time `json:"problem_at,omitzero"`
}

// program is a version in the update folder.
type program struct {
	Version string    `json:"version"`
	Since   time.Time `json:"since"`
	// Confirmed tells that it reached the collector at least once.
	Confirmed bool `json:"confirmed,omitempty"`
	// Failures are its starts that led to nothing, one after the other. Before it
	// is confirmed, a start counts from its beginning, so that one which takes the
	// machine down is counted too.
	Failures int `json:"failures,omitempty"`
}

// Refusal is a version that is not run.
type Refusal struct {
	Version string    `json:"version"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
	// Times is how often it was given up.
	Times int `json:"times"`
	// Until is when it may be tried again, zero for never.
	Until time.Time `json:"until,omitzero"`
}

// refusal returns what is known against a version, nil if nothing is.
func (r *record) refusal(version string) *Refusal {
	if i := slices.IndexFunc(r.Refused, func(f Refusal) bool { return f.Version == version }); i >= 0 {
		return &r.Refused[i]
	}
	return nil
}

// refuse notes why a version is given up: for good, or, where the reason may
// pass, for a day, unless it had its tries.
func (r *record) refuse(version, reason string, now time.Time, forGood bool) {
	f := r.refusal(version)
	if f == nil {
		if len(r.Refused) >= maxRefusals {
			r.Refused = slices.Delete(r.Refused, 0, len(r.Refused)-maxRefusals+1)
		}
		r.Refused = append(r.Refused, Refusal{Version: version})
		f = &r.Refused[len(r.Refused)-1]
	}
	f.Reason, f.At, f.Until = clip(reason), now.UTC(), time.Time{}
	if f.Times++; !forGood && f.Times < maxTries {
		f.Until = f.At.Add(retryAfter)
	}
}

// refuses tells whether a version must not be tried now. A clock that was set
// back must not make it wait for ever, nor one set forward let it try at once
// for ever: the number of tries is bounded.
func (r *record) refuses(version string, now time.Time) bool {
	f := r.refusal(version)
	return f != nil && (f.Until.IsZero() || now.Before(f.Until) && !now.Before(f.At))
}

// back makes the version before the active one.
func (r *record) back() { r.Active, r.Previous = r.Previous, nil }

func clip(s string) string {
	if len(s) > maxReason {
		s = s[:maxReason] + "..."
	}
	return s
}

// Folder is where versions of the agent are kept, each in a folder of its own.
type Folder struct{ dir string }

// Dir is the update folder of a state folder.
func Dir(stateDir string) string { return filepath.Join(stateDir, "update") }

// NewFolder returns the folder at dir, which must be there, and nobody else's.
func NewFolder(dir string) Folder { return Folder{dir: dir} }

// read returns the record, empty where there is none. Fields that a later
// version wrote do not matter.
func (f Folder) read() (record, error) {
	var r record
	b, err := readBounded(filepath.Join(f.dir, recordFile), maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("read the record of updates: %w", err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return record{}, fmt.Errorf("read the record of updates %s: %w", filepath.Join(f.dir, recordFile), err)
	}
	return r, nil
}

// change reads the record, has it changed and writes it. One that cannot be
// read begins anew: it says which version to run, and the installed one is a
// good answer.
func (f Folder) change(fn func(*record)) error {
	r, err := f.read()
	if err != nil && errors.Is(err, fs.ErrPermission) {
		return err
	}
	fn(&r)
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the record of updates: %w", err)
	}
	if err := replace(filepath.Join(f.dir, recordFile), b); err != nil {
		return fmt.Errorf("write the record of updates: %w", err)
	}
	return nil
}

func readBounded(path string, most int) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, int64(most)+1))
	if err == nil && len(b) > most {
		err = fmt.Errorf("%s: larger than %d bytes", path, most)
	}
	return b, err
}

// replace writes a file so that a reader sees the old or the new one, and that
// it is on the disk when replace returns.
func replace(path string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp*")
	if err != nil {
		return err
	}
	_, err = io.Copy(tmp, bytes.NewReader(b))
	if err == nil {
		err = tmp.Sync()
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes a rename last. Some systems cannot sync a folder and need
// not.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrInvalid) {
		return err
	}
	return nil
}
