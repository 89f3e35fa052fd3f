package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
