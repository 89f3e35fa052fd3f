package host

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"time"
)

// Names in the folder of a capture.
const (
	captureMachine  = "machine.json"
	captureIndex    = "files.json"
	captureFiles    = "files"
	captureRegistry = "registry.reg"
	captureCommands = "commands"
	captureQueries  = "queries"
	captureSMBIOS   = "smbios.bin"
	// captureError ends the name of the file beside a command's output, a
	// query's rows or the table that tells how it failed.
	captureError = ".error"
)

// captureFormat is the version of the layout of a capture.
const captureFormat = 1

// machineRecord is machine.json: whose capture it is, and what is not a file.
type machineRecord struct {
	// Format is the version of the layout; 0 in those written by hand stands
	// for 1.
	Format int `json:"format,omitempty"`
	// OS is the machine's GOOS.
	OS           string `json:"os"`
	AgentVersion string `json:"agent_version,omitempty"`
	// Time is when the machine was as captured: the clock of the replay, and
	// the time of files that files.json does not have.
	Time time.Time `json:"time"`
	// Scrubbed tells that names, serials and addresses were replaced.
	Scrubbed bool `json:"scrubbed,omitempty"`
	// Answers are those of the kernel: hostname, kernel, processors,
	// logical_processors, memory, interfaces, "usage /" for each mount point.
	Answers map[string]json.RawMessage `json:"answers,omitempty"`
	// Failures are the errors of those that were asked in vain.
	Failures map[string]failure `json:"failures,omitempty"`
	// LeftOut is what was asked for and is not in the capture, with the reason.
	LeftOut []string `json:"left_out,omitempty"`
}

// failure is an error in a capture.
type failure struct {
	// Kind is one of those in kinds, empty for others.
	Kind string `json:"kind,omitempty"`
	// Op and Path are the operation and the file that the error names, where
	// those are not what was asked for.
	Op   string `json:"op,omitempty"`
	Path string `json:"path,omitempty"`
	Text string `json:"text"`
}

type errorKind struct {
	name string
	err  error
}

// kinds are the errors that facts tell apart, the special ones before those
// that they wrap.
var kinds = []errorKind{
	{"not_exist", fs.ErrNotExist},
	{"permission", fs.ErrPermission},
	{"asleep", ErrAsleep},
	{"unsupported", errors.ErrUnsupported},
	{"timeout", context.DeadlineExceeded},
	{"invalid", fs.ErrInvalid},
}

// failed returns an error as it is kept.
func failed(err error) failure {
	f := failure{Text: err.Error()}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			f.Kind = k.name
			break
		}
	}
	return f
}

// err returns the error that was kept.
func (f failure) err() error {
	for _, k := range kinds {
		if k.name == f.Kind {
			return &replayedError{text: f.Text, kind: k.err}
		}
	}
	return errors.New(f.Text)
}

// replayedError is an error of another machine.
type replayedError struct {
	text string
	kind error
}

func (e *replayedError) Error() string { return e.text }
func (e *replayedError) Unwrap() error { return e.kind }

// longRoots are the names of the registry's roots as the registry editor
// writes them, by those used here.
var longRoots = map[string]string{"HKLM": "HKEY_LOCAL_MACHINE", "HKU": "HKEY_USERS"}

// shortRoot writes the path of a key with the root's name as used here.
func shortRoot(path string) string {
	for short, long := range longRoots {
		if rest, ok := cutPrefixFold(path, long); ok && (rest == "" || rest[0] == '\\') {
			return short + rest
		}
	}
	return path
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
