package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeSource is a Windows machine of a few answers.
type fakeSource struct{}

var fakeWritten = time.Date(2024, 5, 1, 10, 0, 0, 7, time.UTC)

func (fakeSource) answer(what string, _ func() (any, error)) (any, error) {
	switch what {
	case "hostname":
		return "web1", nil
	case "interfaces":
		return []NetworkInterface{{Name: "eth0", MAC: "02:00:00:00:00:01", Addresses: []string{"10.0.0.1/8"}}}, nil
	case "usage /":
		return Usage{Size: 1 << 40, Free: 3}, nil
	case "memory":
		return nil, fmt.Errorf("no: %w", fs.ErrPermission)
	}
	return nil, fmt.Errorf("%s: %w", what, errors.ErrUnsupported)
}

func (fakeSource) registryKey(path string) (*RegistryKey, error) {
	wide := func(s string) []byte {
		var out []byte
		for _, c := range s {
			out = append(out, byte(c), byte(c>>8))
		}
		return append(out, 0, 0)
	}
	switch strings.ToLower(path) {
	case `hklm\software`:
		return &RegistryKey{Values: map[string]RegistryValue{}, Subkeys: []string{"Zeta", "Vendor", "secret"},
			SubkeysWritten: []time.Time{fakeWritten.Add(time.Hour), fakeWritten, {}}}, nil
	case `hklm\software\vendor`:
		return &RegistryKey{
			Values: map[string]RegistryValue{
				"": {RegistryString, wide("default")}, "Path": {RegistryExpandString, wide(`%A%\x`)}, "Size": {RegistryDWord, []byte{1, 2, 0, 0}},
				"Big": {RegistryQWord, []byte{0, 0, 0, 0, 0, 0, 0, 1}}, "List": {RegistryMultiString, append(wide("a"), wide("b\x00")...)}, "Empty": {RegistryBinary, nil},
			},
			Subkeys: []string{"Below"}, SubkeysWritten: []time.Time{fakeWritten.Add(-time.Hour)}, Written: fakeWritten,
		}, nil
	case `hklm\software\secret`:
		return nil, fmt.Errorf("open it: %w", fs.ErrPermission)
	}
	return nil, fs.ErrNotExist
}

func (fakeSource) run(_ context.Context, c Command) ([]byte, error) {
	if c.Name == "half" {
		return []byte("some"), fmt.Errorf("broke: %w", context.DeadlineExceeded)
	}
	return []byte("out\x00put\n"), nil
}

func (fakeSource) query(_ context.Context, q Query) ([]Row, error) {
	if q.Name == "denied" {
		return nil, fmt.Errorf("may not: %w", fs.ErrPermission)
	}
	return []Row{{"Name": "a", "Text": "x\ny"}, {}}, nil
}

func (fakeSource) smbios(context.Context) ([]byte, error) {
	return []byte{0, 3, 2, 0, 1, 0, 0, 0, 127}, nil
}

// everything returns what a host answers to a list of questions, as text.
func everything(t *testing.T, h *Host) []string {
	t.Helper()
	ctx := t.Context()
	var out []string
	add := func(what string, v any, err error) {
		out = append(out, fmt.Sprintf("%s: %+v, %v, not exist %v, permission %v, unsupported %v, timeout %v", what, v, err,
			errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, errors.ErrUnsupported), errors.Is(err, context.DeadlineExceeded)))
	}
	info := func(i fs.FileInfo, err error) string {
		if err != nil {
			return ""
		}
		return fmt.Sprint(i.Name(), i.Mode(), i.ModTime().UTC(), i.Mode().IsRegular() && i.Size() > 0)
	}
	for _, name := range []string{"etc/passwd", "etc/link", "etc/dangling", "etc/denied", "etc", "none", "etc/linkdir/a", "dev/fifo", "Etc/Passwd", "aux.d/a:b*?", "etc/passwd/x", "etc/shut"} {
		i, err := fs.Stat(h.FS, name)
		add("stat "+name, info(i, err), err)
		i, err = fs.Lstat(h.FS, name)
		add("lstat "+name, info(i, err), err)
		b, err := h.ReadFile(name, 100)
		add("read "+name, string(b), err)
		b, size, err := h.ReadTail(name, 3)
		add("tail "+name, fmt.Sprint(string(b), size), err)
		target, err := fs.ReadLink(h.FS, name)
		add("link "+name, target, err)
		entries, err := fs.ReadDir(h.FS, name)
		for _, e := range entries {
			i, ierr := e.Info()
			add("entry "+name, fmt.Sprint(e, info(i, ierr)), ierr)
		}
		add("list "+name, len(entries), err)
	}
	_, err := fs.Stat(h.FS, "../x")
	add("invalid", nil, err)
	name, err := h.Hostname()
	add("hostname", name, err)
	u, err := h.Usage(ctx, "/")
	add("usage", u, err)
	m, err := h.Memory(ctx)
	add("memory", m, err)
	n, err := h.LogicalProcessors(ctx)
	add("processors", n, err)
	list, err := h.NetworkInterfaces(ctx)
	add("interfaces", list, err)
	table, err := h.SMBIOS(ctx)
	add("smbios", table, err)
	for _, path := range []string{`HKLM\SOFTWARE`, `HKLM\Software\Vendor`, `HKLM\SOFTWARE\secret`, `HKLM\SOFTWARE\none`, `HKU\S-1`, `HKCU\x`} {
		k, err := h.RegistryKey(path)
		add("key "+path, k, err)
	}
	if h.source != nil {
		for _, name := range []string{"whole", "half"} {
			b, err := h.source.run(ctx, Command{Name: name})
			add("run "+name, string(b), err)
		}
		for _, name := range []string{"rows", "denied"} {
			rows, err := h.source.query(ctx, Query{Name: name})
			add("query "+name, rows, err)
		}
	}
	return out
}

// machineFolder makes a folder that stands for a machine's file system.
func machineFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"etc/passwd": "root:x:0", "etc/denied": "x", "etc/real/a": "one", "Etc/Passwd": "other case", "aux.d/a:b*?": "odd name", "etc/shut/in": "x",
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Skipf("names that Linux has: %v", err)
		}
		at := time.Unix(1700000000, 5)
		if err := os.Chtimes(filepath.Join(dir, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"etc/link": "passwd", "etc/dangling": "/gone", "etc/linkdir": "real"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Skipf("no links here: %v", err)
		}
	}
	return dir
}

// deniedFS refuses what a file system refuses to others than root, which tests
// may run as.
type deniedFS struct{ fs.ReadLinkFS }

func (f deniedFS) Stat(name string) (fs.FileInfo, error) { return fs.Stat(f.ReadLinkFS, name) }

func (f deniedFS) Open(name string) (fs.File, error) {
	if strings.HasPrefix(name, "etc/denied") || strings.HasPrefix(name, "etc/shut") {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return f.ReadLinkFS.Open(name)
}

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

func TestRecordOfLongFiles(t *testing.T) {
	root := t.TempDir()
	f, err := os.Create(filepath.Join(root, "log"))
	if err != nil {
		t.Fatal(err)
	}
	const size = 10 << 30
	_, err1 := f.WriteAt([]byte("begin"), 0)
	_, err2 := f.WriteAt([]byte("end"), size-3)
	if err := errors.Join(err1, err2, f.Close()); err != nil {
		t.Skipf("no files with holes here: %v", err)
	}
	if err := os.WriteFile(filepath.Join(root, "big"), make([]byte, 3<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "capture")
	live := &Host{FS: os.DirFS(root), OS: "linux", Now: time.Now}
	r, h, err := Record(live, dir, RecordOptions{MaxBytes: 18 << 10})
	if err != nil {
		t.Fatal(err)
	}
	r.whole, r.head, r.tail = 32<<10, 1<<10, 16<<10
	for _, h := range []*Host{h, nil} {
		if h == nil {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if h, err = Replay(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := h.ReadFile("log", 20<<10); !errors.Is(err, errContentMissing) {
				t.Errorf("the middle of a long file: %v", err)
			}
		}
		tail, n, err := h.ReadTail("log", 5)
		if string(tail) != "\x00\x00end" || n != size || err != nil {
			t.Errorf("tail %q of %d, %v", tail, n, err)
		}
		head, err := h.ReadFile("log", 5)
		if string(head) != "begin" || err == nil {
			t.Errorf("head %q, %v", head, err)
		}
		if b, err := h.ReadFile("big", 4<<10); len(b) != 3<<10 && !errors.Is(err, errContentMissing) {
			t.Errorf("a file beyond the bound: %d bytes, %v", len(b), err)
		}
	}
	if left := r.LeftOut(); len(left) != 1 || !strings.Contains(left[0], "big: the capture is full") {
		t.Errorf("left out: %q", left)
	}
	if len(slices.Collect(filesBelow(t, dir))) != 3 {
		t.Errorf("files: %v", slices.Collect(filesBelow(t, dir)))
	}
}

// filesBelow lists the files of a folder.
func filesBelow(t *testing.T, dir string) func(func(string) bool) {
	return func(yield func(string) bool) {
		err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !yield(name) {
				return fs.SkipAll
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestRecordScrubs(t *testing.T) {
	hide := func(_ string, b []byte) []byte {
		return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("secret"), []byte("xxxxxx")), []byte("s\x00e\x00c\x00r\x00e\x00t\x00"), []byte("x\x00x\x00x\x00x\x00x\x00x\x00"))
	}
	live := &Host{FS: fstest.MapFS{
		"home/secret/file": {Data: []byte("of secret"), Mode: 0o600}, "home/link": {Data: []byte("secret/file"), Mode: fs.ModeSymlink},
	}, OS: "windows", Now: time.Now, source: secretSource{}}
	dir := filepath.Join(t.TempDir(), "capture")
	r, h, err := Record(live, dir, RecordOptions{Scrub: hide})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := h.ReadFile("home/secret/file", 100); string(b) != "of secret" || err != nil {
		t.Errorf("what facts see is not scrubbed: %q, %v", b, err)
	}
	_, err1 := fs.ReadDir(h.FS, "home")
	_, err2 := fs.ReadLink(h.FS, "home/link")
	_, err3 := h.RegistryKey(`HKU\secret`)
	_, err4 := h.Hostname()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	h.source.run(t.Context(), Command{Name: "c"})
	h.source.query(t.Context(), Query{Name: "q"})
	h.source.query(t.Context(), Query{Name: "denied"})
	h.Memory(t.Context())
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for name := range filesBelow(t, dir) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(name, "secret") || bytes.Contains(b, []byte("secret")) || bytes.Contains(b, []byte("s\x00e\x00c\x00r\x00e\x00t\x00")) {
			t.Errorf("%s tells the secret:\n%s", name, b)
		}
	}
	again, err := Replay(dir)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := again.ReadFile("home/xxxxxx/file", 100); string(b) != "of xxxxxx" || err != nil {
		t.Errorf("replayed: %q, %v", b, err)
	}
	if k, err := again.RegistryKey(`HKU\xxxxxx`); err != nil || len(k.Values) != 1 {
		t.Errorf("replayed: %v, %v", k, err)
	}
}

type secretSource struct{ fakeSource }

func (secretSource) answer(what string, _ func() (any, error)) (any, error) {
	if what == "memory" {
		return nil, errors.New("secret")
	}
	return "secret", nil
}

func (secretSource) registryKey(string) (*RegistryKey, error) {
	return &RegistryKey{Values: map[string]RegistryValue{"secret": {RegistryString, []byte("s\x00e\x00c\x00r\x00e\x00t\x00\x00\x00")}}, Subkeys: []string{"secret"}}, nil
}

func (secretSource) run(context.Context, Command) ([]byte, error) {
	return []byte("secret"), errors.New("secret")
}

func (secretSource) query(_ context.Context, q Query) ([]Row, error) {
	if q.Name == "denied" {
		return nil, errors.New("secret")
	}
	return []Row{{"a": "secret"}}, nil
}

func TestRecordRefusesAFolderInUse(t *testing.T) {
	dir := t.TempDir()
	live := &Host{FS: fstest.MapFS{}, OS: "linux", Now: time.Now}
	if r, _, err := Record(live, dir, RecordOptions{}); err != nil {
		t.Errorf("an empty folder: %v", err)
	} else if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, _, err := Record(live, dir, RecordOptions{}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a folder with something in it: %v", err)
	}
	if _, _, err := Record(live, filepath.Join(dir, "none", "none"), RecordOptions{}); err == nil {
		t.Error("a folder without a parent is made")
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Record(live, file, RecordOptions{}); err == nil {
		t.Error("a file is taken for a folder")
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
