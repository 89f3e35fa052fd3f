package host

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rollcall-itam/rollcall/agent/host/regfile"
)

// Bounds of a recording.
const (
	// maxRecordedFile is the longest file that is recorded whole; of a longer one
	// the beginning and the end are.
	maxRecordedFile = 32 << 20
	recordedHead    = 1 << 20
	recordedTail    = 16 << 20
	// defaultRecording is how much a recording may have that says nothing else.
	defaultRecording = 256 << 20
	maxLeftOut       = 200
)

// RecordOptions say how to record. The zero value is good.
type RecordOptions struct {
	// Scrub replaces what must not be in the recording by something of the same
	// length; it must not change its argument. The name is that of a file, empty
	// for anything else. Nil leaves all as it is.
	Scrub func(name string, data []byte) []byte
	// MaxBytes bounds the files of the recording together; 0 means 256 MiB.
	MaxBytes int64
	// AgentVersion is noted in the recording.
	AgentVersion string
}

// Recorder writes into a folder what a machine is asked and what it answers.
type Recorder struct {
	options RecordOptions
	dir     *os.Root

	// whole is the longest file that is recorded whole, head and tail are the
	// parts of longer ones.
	whole, head, tail int64

	mu     sync.Mutex
	closed bool
	room   int64
	nodes  map[string]*node
	// written has the names of stored files in lower case, since not every file
	// system tells case apart.
	written  map[string]bool
	machine  machineRecord
	registry []regfile.Key
	keys     map[string]bool
	bad      error
}

// Record makes the folder dir, or takes it where it is empty, and returns what
// records into it, and a host that answers as h does and is recorded. The
// recording is complete when the recorder was closed.
func Record(h *Host, dir string, o RecordOptions) (*Recorder, *Host, error) {
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultRecording
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, nil, fmt.Errorf("make the folder of the capture: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("open the folder of the capture: %w", err)
	}
	if err := claim(root); err != nil {
		return nil, nil, fmt.Errorf("capture into %s: %w", dir, errors.Join(err, root.Close()))
	}
	at := h.Now()
	r := &Recorder{
		options: o, dir: root, whole: maxRecordedFile, head: recordedHead, tail: recordedTail, room: o.MaxBytes, nodes: map[string]*node{}, written: map[string]bool{}, keys: map[string]bool{},
		machine: machineRecord{
			Format: captureFormat, OS: h.OS, AgentVersion: o.AgentVersion, Time: at.UTC(), Scrubbed: o.Scrub != nil,
			Answers: map[string]json.RawMessage{}, Failures: map[string]failure{},
		},
	}
	recorded := &Host{FS: &recordedFS{live: h.FS, to: r}, Root: h.Root, OS: h.OS, Now: func() time.Time { return at }}
	if h.source != nil {
		recorded.source = &recordedSource{live: h.source, to: r}
	}
	return r, recorded, nil
}

// claim makes sure that the folder is empty and its owner's only.
func claim(root *os.Root) error {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return errors.New("the folder is not empty: name one that is not there yet")
	}
	return root.Chmod(".", 0o700)
}

// scrub returns what may be written of a text.
func (r *Recorder) scrub(name string, b []byte) []byte {
	if r.options.Scrub == nil {
		return b
	}
	return r.options.Scrub(name, b)
}

func (r *Recorder) scrubText(s string) string { return string(r.scrub("", []byte(s))) }

// node returns the node of a file of the machine. The caller holds mu.
func (r *Recorder) node(name string) *node {
	name = r.scrubText(name)
	n := r.nodes[name]
	if n == nil {
		n = new(node)
		r.nodes[name] = n
	}
	return n
}

// note changes the node of a file; what was noted first stays, since a fact
// that looks twice shall see the same twice.
func (r *Recorder) note(name string, change func(*node)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if len(r.nodes) >= maxNames {
		r.leaveOut(name, "more names than a capture may have")
		return
	}
	change(r.node(name))
}

// leaveOut notes that something is not in the recording. The caller holds mu.
func (r *Recorder) leaveOut(what, why string) {
	switch n := len(r.machine.LeftOut); {
	case n < maxLeftOut:
		r.machine.LeftOut = append(r.machine.LeftOut, r.scrubText(what)+": "+why)
	case n == maxLeftOut:
		r.machine.LeftOut = append(r.machine.LeftOut, "and more")
	}
}

// write stores a file of the recording, scrubbed. The caller holds mu.
func (r *Recorder) write(name string, data []byte) error {
	if dir := path.Dir(name); dir != "." {
		if err := r.dir.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make a folder of the capture: %w", err)
		}
	}
	f, err := r.dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make a file of the capture: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write a file of the capture: %w", err)
	}
	return nil
}

// keep stores what was answered under a name, once, within the room there is.
// The caller holds mu.
func (r *Recorder) keep(name string, data []byte) {
	if r.closed || r.written[name] {
		return
	}
	r.written[name] = true
	if int64(len(data)) > r.room {
		r.leaveOut(name, "the capture is full")
		return
	}
	r.room -= int64(len(data))
	if err := r.write(name, r.scrub(name, data)); err != nil {
		r.bad = cmp.Or(r.bad, err)
	}
}

// keepFailure stores an error beside what it is the error of. The caller holds
// mu.
func (r *Recorder) keepFailure(name string, err error) {
	f := failed(err)
	r.keep(name+captureError, []byte(strings.TrimSpace(f.Kind+" "+f.Text)))
}

// LeftOut lists what was asked for and is not in the recording, with the
// reason.
func (r *Recorder) LeftOut() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.machine.LeftOut)
}

// Close writes what the recording consists of beside files. What the host is
// asked afterwards is not recorded.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	err := r.bad
	if len(r.registry) > 0 {
		err = cmp.Or(err, r.writeRegistry())
	}
	if len(r.nodes) > 0 {
		err = cmp.Or(err, r.writeJSON(captureIndex, r.nodes))
	}
	// Last, since a folder without it is no capture.
	err = cmp.Or(err, r.writeJSON(captureMachine, &r.machine))
	if err = errors.Join(err, r.dir.Close()); err != nil {
		return fmt.Errorf("record the machine: %w", err)
	}
	return nil
}

func (r *Recorder) writeJSON(name string, v any) error {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return r.write(name, append(text, '\n'))
}
