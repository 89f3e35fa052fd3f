package gvdb

import (
	"encoding/binary"
	"os"
	"testing"
)

func sample(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/local.gvdb")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecode(t *testing.T) {
	d, err := Decode(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]uint32{"/org/gnome/desktop/session/idle-delay": 180, "/org/gnome/desktop/screensaver/lock-delay": 30} {
		if got, ok := d.Uint(key); got != want || !ok {
			t.Errorf("%s: %d, %v", key, got, ok)
		}
	}
	for key, want := range map[string]bool{"/org/gnome/desktop/screensaver/lock-enabled": true, "/org/cinnamon/desktop/screensaver/lock-enabled": false} {
		if got, ok := d.Bool(key); got != want || !ok {
			t.Errorf("%s: %v, %v", key, got, ok)
		}
	}
	// Values of other types, folders, and keys that are not there.
	for _, key := range []string{"/org/example/wide", "/org/example/name", "/org/example/list", "/org/example/", "/org/none", ""} {
		_, number := d.Uint(key)
		if _, truth := d.Bool(key); number || truth {
			t.Errorf("%s is neither a number nor a boolean", key)
		}
	}
	if _, ok := d.Bool("/org/gnome/desktop/session/idle-delay"); ok {
		t.Error("a number is no boolean")
	}
	for key, want := range map[string]bool{
		"/org/gnome/desktop/session/idle-delay": true, "/org/gnome/desktop/screensaver/lock-enabled": true, "/org/gnome/desktop/screensaver/lock-delay": false,
	} {
		if got := d.Locked(key); got != want {
			t.Errorf("%s locked: %v", key, got)
		}
	}
}

func TestDecodeBroken(t *testing.T) {
	whole := sample(t)
	change := func(at int, v uint32) []byte {
		b := append([]byte(nil), whole...)
		binary.LittleEndian.PutUint32(b[at:], v)
		return b
	}
	for name, data := range map[string][]byte{
		"empty": nil, "another file": []byte("SQLite format 3"), "cut in the header": whole[:20], "cut in the table": whole[:100],
		"table before its start": change(16, 1<<20), "table of millions": change(0x1c, 0xffffffff),
	} {
		if _, err := Decode(data); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	// An item that is its own parent has no key; others are unharmed.
	d, err := Decode(change(0x68+4, 0))
	if err != nil {
		t.Fatal(err)
	}
	_, looped := d.Bool("/org/cinnamon/desktop/screensaver/lock-enabled")
	if _, other := d.Bool("/org/gnome/desktop/screensaver/lock-enabled"); looped || !other {
		t.Errorf("a key below a loop: %v, another: %v", looped, other)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(sample(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Decode(b)
		if err != nil {
			return
		}
		for key := range d.values {
			d.Bool(key)
			d.Uint(key)
			if len(key) > maxKey {
				t.Fatalf("a key of %d bytes", len(key))
			}
		}
	})
}
