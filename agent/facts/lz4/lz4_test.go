package lz4

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// text returns what the frames of testdata hold: lines that repeat themselves
// at every distance, and some that do not.
func text() []byte {
	var b bytes.Buffer
	seed := uint32(1)
	for i := 0; b.Len() < 200_000; i++ {
		b.WriteString("Package: lib")
		for range i % 40 {
			seed = seed*1664525 + 1013904223
			b.WriteByte('a' + byte(seed>>24)%26)
		}
		b.WriteString("\nVersion: 1.0\n\n")
		if i%100 == 0 {
			b.WriteString(strings.Repeat("=-", i%77))
		}
	}
	return b.Bytes()[:200_000]
}

func TestFrames(t *testing.T) {
	names, err := filepath.Glob("testdata/*.lz4")
	if err != nil || len(names) < 4 {
		t.Fatalf("frames of testdata: %v, error %v", names, err)
	}
	want := text()
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			packed, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			r, err := NewReader(bytes.NewReader(packed))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("%d bytes that differ from the %d that were packed", len(got), len(want))
			}
			// However little comes at once.
			if r, err = NewReader(iotest.OneByteReader(bytes.NewReader(packed))); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("byte by byte: %d bytes, error %v", len(got), err)
			}
			for cut := 0; cut < len(packed)-8; cut += 1 + len(packed)/50 {
				got, err := read(packed[:cut])
				if err == nil {
					t.Errorf("cut at %d of %d: no error", cut, len(packed))
				}
				if !bytes.HasPrefix(want, got) {
					t.Errorf("cut at %d of %d: other bytes than were packed", cut, len(packed))
				}
			}
		})
	}
}

func read(packed []byte) ([]byte, error) {
	r, err := NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestNoFrame(t *testing.T) {
	for _, b := range [][]byte{nil, []byte("short"), []byte("not a frame of any kind"), {0x04, 0x22, 0x4d, 0x18, 0x40, 0, 0}} {
		if _, err := read(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: error %v", b, err)
		}
	}
}

// A match of any distance and length repeats what stands before it.
func TestCopyMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(1, 200).Draw(t, "at")
		distance := rapid.IntRange(1, at).Draw(t, "distance")
		length := rapid.IntRange(4, 300).Draw(t, "length")
		dst := make([]byte, at+length+slack)
		for i := range at {
			dst[i] = byte(i)
		}
		want := bytes.Clone(dst[:at+length])
		for i := at; i < len(want); i++ {
			want[i] = want[i-distance]
		}
		copyMatch(dst, at, distance, length)
		if !bytes.Equal(dst[:at+length], want) {
			t.Fatalf("got %v, want %v", dst[:at+length], want)
		}
	})
}

func FuzzReader(f *testing.F) {
	names, err := filepath.Glob("testdata/*.lz4")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 2048)])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		// No byte of a block makes more than 255 bytes.
		if n, _ := io.Copy(io.Discard, r); n > 256*int64(len(b)) {
			t.Fatalf("%d bytes from %d", n, len(b))
		}
	})
}

func BenchmarkReader(b *testing.B) {
	packed, err := os.ReadFile("testdata/linked.lz4")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(200_000)
	for b.Loop() {
		if _, err := read(packed); err != nil {
			b.Fatal(err)
		}
	}
}
