package host

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A recording answers as the machine did, to the word of the errors.
func TestReplayAnswersAsTheMachine(t *testing.T) {
	now := time.Date(2025, 1, 2, 3, 4, 5, 6, time.UTC)
	root := machineFolder(t)
	live := &Host{FS: deniedFS{os.DirFS(root).(fs.ReadLinkFS)}, OS: "windows", Now: func() time.Time { return now }, source: fakeSource{}}
	dir := filepath.Join(t.TempDir(), "capture")
	r, recorded, err := Record(live, dir, RecordOptions{AgentVersion: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	want := everything(t, live)
	if diff := cmp.Diff(want, everything(t, recorded)); diff != "" {
		t.Errorf("while recording (-live +recorded):\n%s", diff)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if left := r.LeftOut(); len(left) > 0 {
		t.Errorf("left out: %v", left)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", info, err)
	}
	again, err := Replay(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Now().Equal(now) || again.OS != "windows" {
		t.Errorf("at %s on %s", again.Now(), again.OS)
	}
	got := everything(t, again)
	for i := range got {
		// The system's own words for a missing file are those of Windows in a
		// capture of it, and some name it by its whole path.
		got[i] = strings.ReplaceAll(got[i], "The system cannot find the file specified.", "no such file or directory")
		got[i], want[i] = strings.ReplaceAll(got[i], root+"/", ""), strings.ReplaceAll(want[i], root+"/", "")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-live +replayed):\n%s", diff)
	}
}

// Captures come from strangers: what is wrong with one is told, and it shows
// nothing of this machine.
func TestReplayOfBrokenCaptures(t *testing.T) {
	const good = `{"os":"windows","time":"2025-01-02T03:04:05Z"}`
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		links map[string]string
		want  string
	}{
		{"empty", nil, nil, "it is no capture"},
		{"half json", map[string]string{"machine.json": good[:20]}, nil, "read machine.json: "},
		{"two values", map[string]string{"machine.json": good + "{}"}, nil, "something follows its end"},
		{"unknown field", map[string]string{"machine.json": `{"os":"linux","tme":""}`}, nil, `unknown field "tme"`},
		{"newer", map[string]string{"machine.json": `{"format":2,"os":"linux"}`}, nil, "use a newer agent"},
		{"unknown os", map[string]string{"machine.json": `{"os":"plan9","time":"2025-01-02T03:04:05Z"}`}, nil, `the os is "plan9"`},
		{"no time", map[string]string{"machine.json": `{"os":"linux"}`}, nil, "the time is missing"},
		{"long", map[string]string{"machine.json": good + strings.Repeat(" ", maxRecord)}, nil, "more than"},
		{"link for machine.json", nil, map[string]string{"machine.json": outside}, "not a regular file"},
		{"link for files", map[string]string{"machine.json": good}, map[string]string{"files": "/"}, "files is no folder"},
		{"link in files", map[string]string{"machine.json": good, "files/etc/a": ""}, map[string]string{"files/etc/b": outside}, "neither file nor folder"},
		{"link to a folder", map[string]string{"machine.json": good, "files/etc/a": ""}, map[string]string{"files/b": "/etc"}, "neither file nor folder"},
		{"code for nothing", map[string]string{"machine.json": good, "files/%zz": ""}, nil, "a code that stands for nothing"},
		{"half a code", map[string]string{"machine.json": good, "files/%2": ""}, nil, "half a code"},
		{"code out", map[string]string{"machine.json": good, "files/%2E%2E": ""}, nil, "stands for none of a file"},
		{"code for a slash", map[string]string{"machine.json": good, "files/a%2Fb": ""}, nil, "a code that stands for nothing"},
		{"name out", map[string]string{"machine.json": good, "files.json": `{"../x":{}}`}, nil, "no name of a file"},
		{"no node", map[string]string{"machine.json": good, "files.json": `{"x":null}`}, nil, "no name of a file"},
		{"entry out", map[string]string{"machine.json": good, "files.json": `{"x":{"entries":["-../y"]}}`}, nil, "has the entry"},
		{"overlap", map[string]string{"machine.json": good, "files.json": `{"x":{"parts":[[0,5],[3,5]]}}`}, nil, "its parts"},
		{"endless part", map[string]string{"machine.json": good, "files.json": `{"x":{"parts":[[1,9223372036854775807]]}}`}, nil, "its parts"},
		{"no registry", map[string]string{"machine.json": good, "registry.reg": "MZ"}, nil, "not a registry file"},
		{"broken registry", map[string]string{"machine.json": good, "registry.reg": "REGEDIT4\n[HKEY_USERS\\a]\n\"x\"=?"}, nil, "read registry.reg: line 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range c.files {
				if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			for name, target := range c.links {
				if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
					t.Skip(err)
				}
			}
			_, err := Replay(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

// A capture that a person writes needs no index but for links.
func TestReplayOfHandWrittenCapture(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"machine.json":     `{"os":"windows","time":"2025-01-02T03:04:05Z","answers":{"hostname":"pc1"}}`,
		"files.json":       `{"etc/localtime":{"link":"/usr/share/zone"},"lib":{"link":"usr/lib"},"loop":{"link":"loop"},"up":{"link":"../../../etc/os"}}`,
		"files/usr/lib/os": "os", "files/etc/os": "os", "files/usr/share/zone": "utc",
		"registry.reg": "REGEDIT4\n[HKEY_LOCAL_MACHINE\\A\\B]\n\"x\"=\"1\"\n",
		"commands/c":   "out", "commands/d.error": "permission Access is denied", "commands/e.error": "crashed", "queries/q.json": `[{"a":"b"}]`, "queries/bad.json": `{`,
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	h, err := Replay(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"etc/localtime": "utc", "lib/os": "os", "up": "os"} {
		if b, err := h.ReadFile(name, 10); string(b) != want || err != nil {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if b, err := h.ReadFile("loop", 10); err == nil {
		t.Errorf("loop: %q", b)
	}
	if i, err := fs.Stat(h.FS, "etc/os"); err != nil || !i.ModTime().Equal(h.Now()) || i.Size() != 2 {
		t.Errorf("stat: %v, %v", i, err)
	}
	entries, err := fs.ReadDir(h.FS, ".")
	if fmt.Sprint(entries) != "[d etc/ L lib L loop L up d usr/]" || err != nil {
		t.Errorf("root: %v, %v", entries, err)
	}
	if k, err := h.RegistryKey(`HKLM\a`); err != nil || !slices.Equal(k.Subkeys, []string{"B"}) {
		t.Errorf("key: %v, %v", k, err)
	}
	if name, err := h.Hostname(); name != "pc1" || err != nil {
		t.Errorf("host name: %q, %v", name, err)
	}
	if _, err := h.Memory(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("memory: %v", err)
	}
	run := func(name string) string {
		b, err := h.source.run(t.Context(), Command{Name: name})
		return fmt.Sprintf("%s %v %v", b, err, errors.Is(err, fs.ErrPermission))
	}
	if got := run("c") + run("d") + run("e") + run("f"); got != "out <nil> false Access is denied true crashed false it is not in the capture: unsupported operation false" {
		t.Error(got)
	}
	rows, err := h.source.query(t.Context(), Query{Name: "q"})
	if len(rows) != 1 || rows[0]["a"] != "b" || err != nil {
		t.Errorf("rows: %v, %v", rows, err)
	}
	if _, err := h.source.query(t.Context(), Query{Name: "bad"}); err == nil {
		t.Error("half a file of rows is read")
	}
	f, err := h.FS.Open("etc/os")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); string(b) != "os" || err != nil {
		t.Errorf("read: %q, %v", b, err)
	}
}
