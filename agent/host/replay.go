package host

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/agent/host/regfile"
)

// Bounds of a capture that is replayed.
const (
	maxRecord = 64 << 20
	maxNote   = 64 << 10
)

// systems are the values of GOOS that a capture may have.
var systems = []string{"linux", "darwin", "windows", "freebsd"}

// Replay opens a capture: a machine as Record, or a person, has written it into
// the folder dir. It answers as the machine did at the time of the capture;
// what was not asked there does not exist. testdata/machines/README.md of
// agent/facts tells what is in the folder. Links in the folder itself are not
// followed, so that it cannot show files of this machine as its own.
func Replay(dir string) (*Host, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the capture: %w", err)
	}
	r := &replayed{root: root}
	if err := r.load(); err != nil {
		return nil, fmt.Errorf("open the capture %s: %w", dir, errors.Join(err, root.Close()))
	}
	files, err := openFiles(r)
	if err != nil {
		return nil, fmt.Errorf("open the capture %s: %w", dir, errors.Join(err, root.Close()))
	}
	h := &Host{FS: files, Root: dir, OS: r.machine.OS, Now: func() time.Time { return r.machine.Time }, source: r}
	// What nobody closes: a capture is open for as long as its host is used.
	runtime.AddCleanup(h, func(root *os.Root) { _ = root.Close() }, root)
	return h, nil
}

// replayed is the source of a capture.
type replayed struct {
	root     *os.Root
	machine  machineRecord
	registry map[string]*replayedKey
}

// replayedKey is a key of the registry of a capture.
type replayedKey struct {
	RegistryKey
	failed string
}

// load reads what every question needs.
func (r *replayed) load() error {
	if err := r.decode(captureMachine, &r.machine); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("it is no capture, which has a file %s: %w", captureMachine, fs.ErrNotExist)
		}
		return err
	}
	switch {
	case r.machine.Format > captureFormat:
		return fmt.Errorf("its format is %d and this agent knows up to %d: use a newer agent", r.machine.Format, captureFormat)
	case !slices.Contains(systems, r.machine.OS):
		return fmt.Errorf("%s: the os is %.40q, not one of %s", captureMachine, r.machine.OS, strings.Join(systems, ", "))
	case r.machine.Time.IsZero():
		return fmt.Errorf("%s: the time is missing", captureMachine)
	}
	return r.loadRegistry()
}

// decode reads a JSON file strictly.
func (r *replayed) decode(name string, into any) error {
	b, err := r.read(name, maxRecord)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s: something follows its end", name)
	}
	return nil
}

// read returns a file of the capture's folder, which must be an ordinary one of
// at most max bytes.
func (r *replayed) read(name string, max int64) ([]byte, error) {
	info, err := r.root.Lstat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", name)
	case info.Size() > max:
		return nil, fmt.Errorf("%s has %d bytes, more than %d", name, info.Size(), max)
	}
	f, err := r.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, max))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return b, nil
}

// loadRegistry reads the registry, with keys that only have others below them.
func (r *replayed) loadRegistry() error {
	r.registry = map[string]*replayedKey{}
	text, err := r.read(captureRegistry, regfile.MaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	keys, err := regfile.Parse(text)
	if err != nil {
		return fmt.Errorf("read %s: %w", captureRegistry, err)
	}
	for _, k := range keys {
		out := r.key(shortRoot(k.Path))
		// A key stands there as one of those below another, too, of which less is
		// known.
		if !k.Written.IsZero() {
			out.Written = k.Written
		}
		out.failed = cmp.Or(k.Failed, out.failed)
		for _, v := range k.Values {
			out.Values[v.Name] = RegistryValue{Type: RegistryType(v.Type), Data: v.Data}
		}
	}
	return nil
}

// key returns the key of a path; it and those above are made where they are
// missing.
func (r *replayed) key(path string) *replayedKey {
	lower := strings.ToLower(path)
	if k := r.registry[lower]; k != nil {
		return k
	}
	k := &replayedKey{RegistryKey: RegistryKey{Values: map[string]RegistryValue{}}}
	r.registry[lower] = k
	if at := strings.LastIndexByte(path, '\\'); at > 0 {
		above := r.key(path[:at])
		above.Subkeys = append(above.Subkeys, path[at+1:])
	}
	return k
}

func (r *replayed) answer(what string, _ func() (any, error)) (any, error) {
	if f, ok := r.machine.Failures[what]; ok {
		return nil, f.err()
	}
	if a, ok := r.machine.Answers[what]; ok {
		return a, nil
	}
	return nil, errNotCaptured
}

// errNotCaptured is the answer to what a capture does not have.
var errNotCaptured = fmt.Errorf("it is not in the capture: %w", errors.ErrUnsupported)

func (r *replayed) registryKey(path string) (*RegistryKey, error) {
	if r.machine.OS != "windows" {
		return nil, errors.ErrUnsupported
	}
	k := r.registry[strings.ToLower(path)]
	switch {
	case k == nil:
		return nil, fs.ErrNotExist
	case k.failed != "":
		return nil, noted(k.failed)
	}
	// The caller owns what it gets.
	out := &RegistryKey{Values: maps.Clone(k.Values), Subkeys: slices.Clone(k.Subkeys), Written: k.Written}
	for _, name := range k.Subkeys {
		out.SubkeysWritten = append(out.SubkeysWritten, r.registry[strings.ToLower(path+`\`+name)].Written)
	}
	return out, nil
}

// noted returns the error that a capture notes: its kind, a blank and its text,
// or a text alone.
func noted(note string) error {
	kind, text, ok := strings.Cut(note, " ")
	if ok && slices.ContainsFunc(kinds, func(k errorKind) bool { return k.name == kind }) {
		return failure{Kind: kind, Text: text}.err()
	}
	return errors.New(note)
}

// failure returns the error with which the machine answered what is kept in a
// file, which stands beside it; nil where there was none.
func (r *replayed) failure(name string) error {
	note, err := r.read(name+captureError, maxNote)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return noted(strings.TrimSpace(string(note)))
}

// content returns what is kept in a file, and the error that stands beside it.
func (r *replayed) content(name string, max int64) ([]byte, error) {
	b, err := r.read(name, max)
	if errors.Is(err, fs.ErrNotExist) {
		err = errNotCaptured
	}
	return b, cmp.Or(r.failure(name), err)
}

func (r *replayed) run(_ context.Context, c Command) ([]byte, error) {
	most, _ := c.limits()
	return r.content(path.Join(captureCommands, c.Name), int64(most))
}

func (r *replayed) query(_ context.Context, q Query) ([]Row, error) {
	name := path.Join(captureQueries, q.Name+".json")
	if err := r.failure(path.Join(captureQueries, q.Name)); err != nil {
		return nil, err
	}
	var rows []Row
	err := r.decode(name, &rows)
	if errors.Is(err, fs.ErrNotExist) {
		err = errNotCaptured
	}
	return rows, err
}

func (r *replayed) smbios(context.Context) ([]byte, error) {
	return r.content(captureSMBIOS, maxSMBIOSTable)
}
