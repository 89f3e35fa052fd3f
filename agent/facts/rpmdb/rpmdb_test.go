package rpmdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/rollcall-itam/rollcall/agent/facts/pages"
)

// load returns a file of testdata, decompressed where it is compressed there.
func load(t testing.TB, name string) []byte {
	t.Helper()
	if b, err := os.ReadFile(filepath.Join("testdata", name)); err == nil {
		return b
	}
	b, err := os.ReadFile(filepath.Join("testdata", name+".zst"))
	if err != nil {
		t.Fatal(err)
	}
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	if b, err = dec.DecodeAll(b, nil); err != nil {
		t.Fatalf("decompress %s: %v", name, err)
	}
	return b
}

func file(b []byte) pages.File { return pages.File{ReaderAt: bytes.NewReader(b), Size: int64(len(b))} }

// lines returns packages as the expected files have them, sorted.
func lines(ps []Package) []string {
	var out []string
	for _, p := range ps {
		vendor := p.Vendor
		if vendor == "" {
			vendor = "(none)"
		}
		out = append(out, fmt.Sprintf("%s\t%d\t%s\t%s\t%s\t%d\t%s", p.Name, p.Epoch, p.Version, p.Release, p.Arch, p.InstallTime, vendor))
	}
	slices.Sort(out)
	return out
}

func TestRealDatabases(t *testing.T) {
	for _, name := range []string{"mariner2-rpmdb.sqlite", "sle15-Packages.db", "libuuid-Packages", "epoch-Packages"} {
		t.Run(name, func(t *testing.T) {
			got, err := Packages(file(load(t, name)), pages.File{})
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Split(strings.TrimSpace(string(load(t, name+".expected.tsv"))), "\n")
			slices.Sort(want)
			if diff := cmp.Diff(want, lines(got)); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
			for _, p := range got {
				if p.Size < 0 {
					t.Errorf("%s has no size", p.Name)
				}
			}
		})
	}
}

// names returns name=version of packages.
func names(ps []Package) map[string]string {
	out := make(map[string]string)
	for _, p := range ps {
		out[p.Name] = p.EVR()
	}
	return out
}

// Lengths of the parts of a write-ahead log.
const walHeader, walFrameHeader = 32, 24

func TestWriteAheadLog(t *testing.T) {
	db, log := load(t, "wal-rpmdb.sqlite"), load(t, "wal-rpmdb.sqlite-wal")
	before := map[string]string{"alpha": "1.0-1", "beta": "1.0-1", "gamma": "1.0-1"}
	after := map[string]string{"alpha": "3:2.0-1", "gamma": "1.0-1"}
	for i := range 40 {
		after[fmt.Sprintf("delta%02d", i)] = fmt.Sprintf("1.%d-4", i)
	}
	badSum := slices.Clone(log)
	badSum[walHeader+walFrameHeader+100] ^= 1
	badHeader := slices.Clone(log)
	badHeader[20] ^= 1
	for _, tt := range []struct {
		name string
		log  []byte
		want map[string]string
	}{
		{"none", nil, before},
		{"empty", []byte{}, before},
		{"committed and uncommitted", log, after},
		{"cut in its first frame", log[:walHeader+500], before},
		{"first frame damaged", badSum, before},
		{"header damaged", badHeader, before},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Packages(file(db), file(tt.log))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, names(got)); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
		})
	}
	other := slices.Clone(log)
	copy(other, "not a log")
	if _, err := Packages(file(db), file(other)); err == nil {
		t.Error("a log that is none gave no error")
	}
}

// A database that was cut short gives the packages before the cut, and an
// error.
func TestTruncated(t *testing.T) {
	for _, name := range []string{"mariner2-rpmdb.sqlite", "sle15-Packages.db", "libuuid-Packages", "epoch-Packages"} {
		whole := load(t, name)
		all, err := Packages(file(whole), pages.File{})
		if err != nil {
			t.Fatal(err)
		}
		known := names(all)
		most := 0
		for cut := 0; cut < len(whole); cut += 1 + len(whole)/23 {
			got, err := Packages(file(whole[:cut]), pages.File{})
			if err == nil && len(got) < len(all) {
				t.Errorf("%s cut at %d: %d of %d packages and no error", name, cut, len(got), len(all))
			}
			for n, v := range names(got) {
				if known[n] != v {
					t.Errorf("%s cut at %d: package %s %s, want %q", name, cut, n, v, known[n])
				}
			}
			most = max(most, len(got))
		}
		if len(all) > 1 && most == 0 {
			t.Errorf("%s: nothing survives any cut", name)
		}
	}
}

// One damaged package costs that package alone.
func TestDamagedEntryCostsOnlyItself(t *testing.T) {
	ndb := load(t, "sle15-Packages.db")
	blob := int(binary.LittleEndian.Uint32(ndb[32+8:])) * ndbBlock
	copy(ndb[blob:], "XXXX")
	got, err := Packages(file(ndb), pages.File{})
	want := strings.Count(string(load(t, "sle15-Packages.db.expected.tsv")), "\n") - 1
	if err == nil || !strings.Contains(err.Error(), "1 damaged entries left out") {
		t.Errorf("error %v does not say what was lost", err)
	}
	if len(got) != want {
		t.Errorf("%d packages, want %d", len(got), want)
	}
}

func TestLoopsEnd(t *testing.T) {
	// Overflow chain of Berkeley DB whose page points to itself and holds
	// nothing.
	bdb := load(t, "libuuid-Packages")
	for off := 4096; off+4096 <= len(bdb); off += 4096 {
		if bdb[off+25] == bdbOverflow {
			binary.LittleEndian.PutUint32(bdb[off+16:], uint32(off/4096))
			binary.LittleEndian.PutUint16(bdb[off+22:], 0)
		}
	}
	if got, err := Packages(file(bdb), pages.File{}); err == nil || len(got) != 0 {
		t.Errorf("loop in berkeley db: %d packages, error %v", len(got), err)
	}
	// An inner page of SQLite's tree that is its own child.
	db := load(t, "mariner2-rpmdb.sqlite")
	for off := 4096; off+4096 <= len(db); off += 4096 {
		if db[off] == 0x05 {
			binary.BigEndian.PutUint32(db[off+8:], uint32(off/4096+1))
		}
	}
	if _, err := Packages(file(db), pages.File{}); err == nil {
		t.Error("loop in sqlite: no error")
	}
}

func TestNoDatabase(t *testing.T) {
	for _, b := range [][]byte{nil, []byte("short"), bytes.Repeat([]byte("no database "), 100)} {
		if got, err := Packages(file(b), pages.File{}); err == nil || len(got) > 0 {
			t.Errorf("%.20q: %d packages, error %v", b, len(got), err)
		}
	}
}

func TestEVR(t *testing.T) {
	for want, p := range map[string]Package{
		"1.0-2":   {Version: "1.0", Release: "2"},
		"3:1.0-2": {Epoch: 3, Version: "1.0", Release: "2"},
		"1.0":     {Version: "1.0"},
	} {
		if got := p.EVR(); got != want {
			t.Errorf("%+v: %s, want %s", p, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	err := each(file(load(f, "epoch-Packages")), pages.File{}, new(pages.Damage), func(h []byte) error {
		f.Add(bytes.Clone(h))
		return nil
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := Decode(b); err == nil && (p.Name == "" || p.Version == "") {
			t.Fatalf("accepted a package without name or version: %+v", p)
		}
	})
}

// fuzzPackages damages a database at one place, which reaches deeper than
// bytes made up from nothing.
func fuzzPackages(f *testing.F, db, log []byte) {
	f.Add(uint32(0), []byte{})
	f.Add(uint32(len(db)/2), []byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, at uint32, patch []byte) {
		b, l := slices.Clone(db), slices.Clone(log)
		if i := int(at) % (len(b) + len(l) + 1); i < len(b) {
			copy(b[i:], patch)
		} else {
			copy(l[i-len(b):], patch)
		}
		got, _ := Packages(file(b), file(l))
		if len(got) > MaxPackages {
			t.Fatalf("%d packages", len(got))
		}
	})
}

func FuzzSQLite(f *testing.F) {
	fuzzPackages(f, load(f, "wal-rpmdb.sqlite"), load(f, "wal-rpmdb.sqlite-wal"))
}
func FuzzBDB(f *testing.F) { fuzzPackages(f, load(f, "epoch-Packages"), nil) }
func FuzzNDB(f *testing.F) { fuzzPackages(f, load(f, "sle15-Packages.db")[:128<<10], nil) }

func FuzzAnyFormat(f *testing.F) {
	f.Add(load(f, "wal-rpmdb.sqlite")[:4096], []byte{})
	f.Add(load(f, "epoch-Packages")[:4096], []byte{})
	f.Add(load(f, "sle15-Packages.db")[:8192], []byte{})
	f.Fuzz(func(t *testing.T, db, log []byte) {
		_, _ = Packages(file(db), file(log))
	})
}

func BenchmarkSQLite(b *testing.B) {
	db := file(load(b, "mariner2-rpmdb.sqlite"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Packages(db, pages.File{}); err != nil {
			b.Fatal(err)
		}
	}
}
