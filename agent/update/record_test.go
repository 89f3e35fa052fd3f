package update

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/pkg/release"
)

// Whatever versions do, in whatever order, some version works in the end, none
// is started for ever, and one that was refused for good is not run again.
func TestSomeVersionAlwaysWorks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		kinds := rapid.SliceOfN(rapid.SampledFrom([]string{"works", "exits", "hangs", "breaks", "missing"}), 1, 3).Draw(rt, "versions")
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, folder(t))
			var versions []string
			for i := range kinds {
				versions = append(versions, fmt.Sprintf("1.%d.0", i+1))
			}
			// next stages the version after the one that runs, where it may.
			next := func(running string) bool {
				i := slices.Index(versions, running) + 1
				for ; i < len(versions); i++ {
					r := recorded(t, w.Folder)
					if !r.refuses(versions[i], time.Now()) {
						staged(t, w.Folder, running, versions[i])
						return true
					}
				}
				return false
			}
			for i, kind := range kinds {
				v := versions[i]
				switch kind {
				case "works", "breaks":
					w.acts[v] = func(p *fake) {
						w.reach(v)
						close(p.healthy)
						if next(v) {
							p.end(nil)
							return
						}
						if kind == "breaks" {
							w.acts[v] = exits(errors.New("broke"))
							p.end(errors.New("broke"))
							return
						}
						<-p.stopped
						p.end(nil)
					}
				case "exits":
					w.acts[v] = exits(errors.New("exit status 1"))
				case "hangs":
					w.acts[v] = hangs
				}
			}
			w.Own = func(ctx context.Context) error {
				w.ran = append(w.ran, "own")
				if next("1.0.0") {
					return ErrSwitch
				}
				<-ctx.Done()
				return nil
			}
			ctx, cancel := context.WithTimeout(t.Context(), 12*time.Hour)
			defer cancel()
			for ctx.Err() == nil { // the service manager
				_ = w.Run(ctx)
			}
			if len(w.ran) > 200 {
				t.Errorf("%v: %d starts", kinds, len(w.ran))
			}
			last := w.ran[len(w.ran)-1]
			if last != "own" && kinds[slices.Index(versions, last)] != "works" {
				t.Errorf("%v: %s runs in the end, after %v", kinds, last, w.ran)
			}
		})
	})
}

// Whatever stands in the record, it is read or refused.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"sequence":7,"active":{"version":"1.1.0","since":"2026-11-25T08:00:00Z","confirmed":true},"refused":[{"version":"1.2.0","reason":"x","at":"2026-11-25T08:00:00Z","times":1}]}`))
	f.Add([]byte(`{"active":null,"refused":[{}]}`))
	f.Add([]byte("[]"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		folder := NewFolder(dir)
		if err := os.WriteFile(filepath.Join(dir, recordFile), b, 0o600); err != nil {
			t.Fatal(err)
		}
		w := &Launcher{Folder: folder, Keys: release.Keys{}, Version: "1.0.0", Platform: platform, Now: time.Now, Log: discard}
		if p, path := w.choose(); p != nil {
			t.Errorf("%+v at %s runs, which nobody signed", p, path)
		}
	})
}
