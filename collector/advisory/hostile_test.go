package advisory

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// openssl is a title that the first of the records is about.
var openssl = &pb.Software{Kind: "deb", Name: "openssl", Version: "3.0.11-1~deb12u1"}

// What is broken is left out, counted and named; the rest is kept.
func TestBrokenRecords(t *testing.T) {
	long := `{"id":"LONG","details":"` + strings.Repeat("x", MaxRecord) + `"}`
	many := `{"id":"MANY","affected":[{}` + strings.Repeat(",{}", maxAffected) + `]}`
	lines := []string{`{"id":"CUT","affec`, oneLine(t, records[0]), "", `[1]`, `{"id":""}`, long, `{"id":"A\u0000B"}`, `{"id":"DEEP","affected":` + strings.Repeat("[", 100_000), many, oneLine(t, records[1])}
	for name, path := range map[string]string{
		"lines of a file that says so": write(t, filepath.Join(t.TempDir(), "x.ndjson"), strings.Join(lines, "\n")),
		"lines of a file":              write(t, filepath.Join(t.TempDir(), "x.json"), strings.Join(lines, "\n")),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			info := imported(t, Import{Dir: dir, Path: path})[0]
			left := make(map[string]Skipped)
			for _, s := range info.Skipped {
				left[s.Reason] = s
			}
			if b, l := left[skipBroken], left[skipLarge]; info.Advisories != 2 || b.Count != 6 || l.Count != 1 || !strings.Contains(strings.Join(append(b.Examples, l.Examples...), " "), ":6") {
				t.Errorf("%d advisories, left out %+v", info.Advisories, info.Skipped)
			}
			if got := matches(t, open(t, dir).Set(), "Debian:12", openssl); len(got) != 1 {
				t.Errorf("matches %v", got)
			}
		})
	}
}

// An import that fails leaves what was held, and no file behind.
func TestFailedImportsLeaveWhatWasHeld(t *testing.T) {
	dir := t.TempDir()
	imported(t, Import{Dir: dir, Path: write(t, filepath.Join(t.TempDir(), "debian.json"), records[0])})
	whole, err := os.ReadFile(osvZip(t, filepath.Join(t.TempDir(), "all.zip"), map[string]string{"a.json": records[0], "b.json": records[1]}))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a ZIP file that is cut":      string(whole[:len(whole)-40]),
		"nothing":                     "",
		"no JSON":                     "<html>sign in</html>",
		"other records only":          records[9],
		"a catalog without entry":     `{"catalogVersion":"1","vulnerabilities":[{"cveID":1}]}`,
		"a list that is cut":          `[` + records[0] + `,`,
		"a catalog with one too many": `{"catalogVersion":"1","vulnerabilities":[0` + strings.Repeat(",0", maxExploited) + `]}`,
		"a catalog of another kind":   `{"catalogVersion":"1","vulnerabilities":{}}`,
	} {
		if _, err := (Import{Dir: dir, Path: write(t, filepath.Join(t.TempDir(), "debian.json"), text), Now: testNow}).Run(t.Context()); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	stopped, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("stopped"))
	if _, err := (Import{Dir: dir, Path: write(t, filepath.Join(t.TempDir(), "debian.json"), records[0]), Now: testNow}).Run(stopped); err == nil {
		t.Error("an import goes on after its end")
	}
	for _, name := range []string{"../x", "", "A", CatalogName, strings.Repeat("x", 65)} {
		if _, err := (Import{Dir: dir, Path: "x", From: "\x00", Name: name, Now: testNow}).Run(t.Context()); err == nil {
			t.Errorf("%q is taken as a name", name)
		}
	}
	if got := matches(t, open(t, dir).Set(), "Debian:12", openssl); len(got) != 1 {
		t.Errorf("matches %v", got)
	}
	entries, err := os.ReadDir(dir)
	if len(entries) != 1 || err != nil {
		t.Errorf("the folder has %v (%v)", entries, err)
	}
}

// A ZIP file whose entries grow without end, or that has too many, costs no more
// than its bounds.
func TestZIPBombs(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("bomb.json")
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 3 * MaxRecord >> 20 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if w, err = z.Create("good.json"); err == nil {
		_, err = w.Write([]byte(records[0]))
	}
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	info := imported(t, Import{Dir: t.TempDir(), Path: write(t, filepath.Join(t.TempDir(), "bomb.zip"), b.String())})[0]
	if info.Advisories != 1 || len(info.Skipped) != 1 || info.Skipped[0].Reason != skipLarge {
		t.Errorf("%+v", info)
	}
	// The directory is read to a bound.
	f, err := os.Open(write(t, filepath.Join(t.TempDir(), "x.zip"), b.String()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := &metered{f, 100}
	if _, err := zip.NewReader(m, int64(b.Len())); err == nil || m.left >= 0 {
		t.Errorf("a directory over the bound: %v, %d left", err, m.left)
	}
	// So are records and text.
	for name, r := range map[string]*reader{"records": {records: 1, text: maxText}, "text": {records: 9, text: 1200}} {
		r.ctx, r.skip = t.Context(), func(string, string) {}
		r.record = func([]byte, string) error { return nil }
		if err := r.json(bufio.NewReader(strings.NewReader(oneLine(t, records[0])+"\n"+oneLine(t, records[0])+"\n"+oneLine(t, records[0]))), "x"); err == nil {
			t.Errorf("more %s than the bound are taken", name)
		}
	}
}

// Rows come out in order however little is held in memory.
func TestSortingWithLittleMemory(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp("", "sort")
		if err != nil {
			r.Fatal(err)
		}
		defer os.RemoveAll(dir)
		s := newSorter(dir, rapid.IntRange(1, 60).Draw(r, "limit"))
		texts := rapid.SliceOfN(rapid.StringMatching(`[a-c]{0,6}`), 0, 30).Draw(r, "rows")
		var want, got []string
		for _, text := range texts {
			if err := s.add([]byte(text), []byte("="+text)); err != nil {
				r.Fatal(err)
			}
			want = append(want, text+"="+text)
		}
		err = s.each(func(key, value []byte) error {
			got = append(got, string(key)+string(value))
			return nil
		})
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			r.Fatalf("%v, want %v (%v)", got, want, err)
		}
		if err := s.close(); err != nil {
			r.Fatal(err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			r.Fatalf("files are left: %v", left)
		}
	})
}

// A file that was damaged, in whatever byte, is told, and what was held holds on.
func TestDamagedFiles(t *testing.T) {
	dir := t.TempDir()
	imported(t, Import{Dir: dir, Path: write(t, filepath.Join(t.TempDir(), "debian.json"), "["+strings.Join(records, ",")+"]")})
	imported(t, Import{Dir: dir, Path: write(t, filepath.Join(t.TempDir(), "kev.json"), catalogText)})
	l := open(t, dir)
	name := filepath.Join(dir, "debian"+shelfSuffix)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	put := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(name+".new", b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < len(whole); i += 1 + len(whole)/97 {
		bad := slices.Clone(whole)
		bad[i] ^= 0x55
		put(bad)
		if p := l.Problems(); len(p) != 1 || p[0].Name != "debian" || len(matches(t, l.Set(), "Debian:12", openssl)) != 1 {
			t.Fatalf("byte %d: %v", i, p)
		}
	}
	put(whole[:len(whole)/2])
	put(nil)
	if p := l.Problems(); len(p) != 1 {
		t.Errorf("problems %v", p)
	}
	put(whole)
	if p := l.Problems(); len(p) != 0 {
		t.Errorf("problems %v after it was mended", p)
	}
	write(t, filepath.Join(dir, catalogFile), `{"catalog":{"entries":{"CVE-1":null}}}`)
	if _, err := l.Reload(); err != nil {
		t.Fatal(err)
	}
	if p := l.Problems(); len(p) != 1 || p[0].Name != CatalogName || !strings.Contains(matches(t, l.Set(), "Debian:12", openssl)[0], "CVE-2026-0002") {
		t.Errorf("problems %v with a damaged catalog", p)
	}
	if err := errors.Join(Remove(dir, "debian"), Remove(dir, CatalogName)); err != nil {
		t.Fatal(err)
	}
	if changed, err := l.Reload(); !changed || err != nil || l.Set().Covers("Debian:12") || len(l.Infos()) != 0 {
		t.Errorf("removed advisories are still held: %v %v", changed, err)
	}
	if err := Remove(dir, "debian"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("removed twice: %v", err)
	}
}

// Sources are read again when they are another, and only then.
func TestSourcesAreRefreshed(t *testing.T) {
	body, tag, asked, status := records[0], `"1"`, 0, http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if w.Header().Set("ETag", tag); r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	defer server.Close()
	now := testNow
	l := open(t, t.TempDir())
	l.now = func() time.Time { return now }
	file := write(t, filepath.Join(t.TempDir(), "ubuntu.json"), records[2])
	heard := 0
	r := NewRefresh(l, []Source{{From: server.URL + "/Debian/all.zip", Every: time.Hour, Client: server.Client()}, {Name: "mine", From: file, Every: time.Hour}}, func(*Set) { heard++ })
	turn := func(d time.Duration) {
		now = now.Add(d)
		r.turn(t.Context())
	}
	turn(0)
	turn(time.Minute)
	if asked != 1 || heard != 2 || !l.Set().Covers("Debian:12") || !l.Set().Covers("Ubuntu:22.04") || l.Infos()[0].Name != "debian" || l.Infos()[1].Name != "mine" {
		t.Fatalf("asked %d times, heard %d times: %+v", asked, heard, l.Infos())
	}
	turn(time.Hour)
	if asked != 2 || heard != 2 {
		t.Errorf("asked %d times, heard %d times of what is the same", asked, heard)
	}
	tag, status = `"2"`, http.StatusBadGateway
	turn(time.Hour)
	if p := l.Problems(); len(p) != 1 || !strings.Contains(p[0].Text, "502") || heard != 2 || !l.Set().Covers("Debian:12") {
		t.Errorf("problems %v", p)
	}
	turn(10 * time.Minute)
	if asked != 3 {
		t.Errorf("asked %d times while it fails", asked)
	}
	status, body = http.StatusOK, strings.ReplaceAll(records[0], "Debian:12", "Debian:11")
	if err := os.WriteFile(file, []byte(records[5]), 0o600); err != nil {
		t.Fatal(err)
	}
	turn(time.Hour)
	if p := l.Problems(); len(p) != 0 || l.Set().Covers("Debian:12") || !l.Set().Covers("Debian:11") || !l.Set().Covers("Alpine:3.23") || l.Set().Covers("Ubuntu:22.04") {
		t.Errorf("problems %v, covered %v", p, l.Set().Scopes())
	}
}

// Whatever a record says, it is taken or refused, and what is taken is kept as it is.
func FuzzRecord(f *testing.F) {
	for _, r := range records {
		f.Add([]byte(r))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parseRecord(data)
		if err != nil {
			return
		}
		if _, err := json.Marshal(&p.advisory); err != nil {
			t.Fatal(err)
		}
		for i := range p.affected {
			a := &p.affected[i]
			at, back, err := decodeEntry(encodeEntry(7, a))
			if err != nil || at != 7 || back.ecosystem != a.ecosystem || !slices.Equal(back.events, a.events) || len(a.events) == 0 && !slices.Equal(back.versions, a.versions) {
				t.Fatalf("%+v is read as %+v (%v)", a, back, err)
			}
			a.affects("1.0-1", distributionOf(a.scope).order)
		}
	})
}
