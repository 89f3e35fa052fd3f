package host

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

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
