package advisory

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// manyRecords are n advisories of Debian 12.
func manyRecords(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"id":"DSA-%d-1","modified":"2026-01-11T00:00:00Z","affected":[{"package":{"ecosystem":"Debian:12","name":"p%d"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2"}]}]}]}`+"\n", i, i)
	}
	return b.String()
}

// What a mirror gives of which much is missing takes the place of nothing and is
// told; a little less is taken, and so is what an import says may be less.
func TestSourcesThatShrink(t *testing.T) {
	now := testNow
	l := open(t, t.TempDir())
	l.now = func() time.Time { return now }
	file := filepath.Join(t.TempDir(), "debian.ndjson")
	r := NewRefresh(l, []Source{{From: file, Every: time.Hour}}, func(*Set) {})
	for _, step := range []struct {
		records, held int
		told          bool
	}{{200, 200, false}, {100, 200, true}, {190, 190, false}, {140, 190, true}, {240, 240, false}} {
		write(t, file, manyRecords(step.records))
		now = now.Add(2 * time.Hour)
		if err := os.Chtimes(file, now, now); err != nil {
			t.Fatal(err)
		}
		r.turn(t.Context())
		p := l.Problems()
		if len(l.Infos()) != 1 || l.Infos()[0].Advisories != step.held || (len(p) == 1) != step.told || step.told && !strings.Contains(p[0].Text, "--fewer") {
			t.Errorf("of %d records: held %+v, problems %v", step.records, l.Infos(), p)
		}
	}
	write(t, file, manyRecords(3))
	if infos := imported(t, Import{Dir: l.dir, Path: file}); infos[0].Advisories != 3 {
		t.Errorf("an import that may be less holds %d", infos[0].Advisories)
	}
	small := Import{Dir: l.dir, Path: write(t, file, manyRecords(1)), Now: now, Held: []Info{{Name: "debian", Advisories: 3}}}
	if _, err := small.Run(t.Context()); err != nil {
		t.Errorf("a list of a few is guarded: %v", err)
	}
}
