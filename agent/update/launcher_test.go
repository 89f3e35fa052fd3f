package update

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/pkg/release"
)

// fake is a process that does what its version is told to.
type fake struct {
	healthy, done, stopped chan struct{}
	killed                 bool
	err                    error
}

func (p *fake) Healthy() <-chan struct{} { return p.healthy }
func (p *fake) Done() <-chan struct{}    { return p.done }
func (p *fake) Err() error               { return p.err }
func (p *fake) Stop()                    { close(p.stopped) }
func (p *fake) Kill()                    { p.killed = true; close(p.done) }

func (p *fake) end(err error) { p.err = err; close(p.done) }

// behaviour is what a version does after it was started.
type behaviour func(p *fake)

func exits(err error) behaviour { return func(p *fake) { p.end(err) } }

func hangs(*fake) {}

// world is a machine with an installed version and an update folder.
type world struct {
	*Launcher
	t testing.TB
	// ran are the versions that were run, the installed one as "own".
	ran  []string
	acts map[string]behaviour
	// own is what the installed version does, the first time and so on; after
	// that it works until it is stopped.
	own []func(ctx context.Context) error
	// last is the process that was started last.
	last *fake
}

func newWorld(t testing.TB, f Folder) *world {
	t.Helper()
	w := &world{t: t, acts: map[string]behaviour{}}
	w.Launcher = &Launcher{Folder: f, Keys: keys(t, "a"), Version: "1.0.0", Platform: platform, HealthTimeout: 15 * time.Minute, Now: time.Now, Log: discard}
	w.Own = func(ctx context.Context) error {
		w.ran = append(w.ran, "own")
		if len(w.own) > 0 {
			act := w.own[0]
			w.own = w.own[1:]
			return act(ctx)
		}
		<-ctx.Done()
		return nil
	}
	w.Start = func(path string) (Process, error) {
		version := filepath.Base(filepath.Dir(path))
		w.ran = append(w.ran, version)
		act := w.acts[version]
		if act == nil {
			return nil, errors.New("exec format error")
		}
		p := &fake{healthy: make(chan struct{}), done: make(chan struct{}), stopped: make(chan struct{})}
		w.last = p
		go act(p)
		return p, nil
	}
	return w
}

// works reaches the collector, which the version notes, and goes on until it is
// stopped.
func (w *world) works(version string) behaviour {
	return func(p *fake) {
		w.reach(version)
		close(p.healthy)
		select {
		case <-p.stopped:
			p.end(nil)
		case <-p.done:
		}
	}
}

// reach has a version note that it reached the collector.
func (w *world) reach(version string) {
	if err := updater(w.t, w.Folder, version, new(shelf)).Exchanged(context.Background(), ""); err != nil {
		w.t.Error(err)
	}
}

// serve runs the launcher for a while, as a service manager that does not start
// it again.
func (w *world) serve(d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return w.Run(ctx)
}

func (w *world) check(what string, want ...string) {
	w.t.Helper()
	if !slices.Equal(w.ran, want) {
		r, _ := w.Folder.read() // as far as it can be
		w.t.Errorf("%s: %v ran, want %v; %+v", what, w.ran, want, r)
	}
	w.ran = nil
}

func TestTheInstalledVersionRunsWhereThereIsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, folder(t))
		if err := w.serve(time.Hour); err != nil {
			t.Error(err)
		}
		w.check("an empty folder", "own")
		broken := errors.New("state folder on a broken disk")
		w.own = []func(context.Context) error{func(context.Context) error { return broken }}
		if err := w.serve(time.Hour); !errors.Is(err, broken) {
			t.Errorf("its error becomes %v", err)
		}
	})
}

func TestSwitchToAVersionThatWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, folder(t))
		w.own = []func(context.Context) error{func(context.Context) error { staged(t, w.Folder, "1.0.0", "1.1.0"); return ErrSwitch }}
		w.acts["1.1.0"] = w.works("1.1.0")
		if err := w.serve(time.Hour); err != nil {
			t.Error(err)
		}
		w.check("after the switch", "own", "1.1.0")
		if r := recorded(t, w.Folder); !r.Active.Confirmed || r.Active.Failures != 0 {
			t.Errorf("%+v", r)
		}
		// Later starts go straight to it, however long the collector is away.
		w.acts["1.1.0"] = func(p *fake) { <-p.stopped; p.end(nil) }
		if err := w.serve(7 * 24 * time.Hour); err != nil {
			t.Error(err)
		}
		w.check("the next start", "1.1.0")
	})
}

// A version that ends at once is started three times, then the one before runs,
// and it is never run again.
func TestCrashLoopIsRolledBack(t *testing.T) {
	for name, act := range map[string]behaviour{"fails": exits(errors.New("exit status 2")), "ends well": exits(nil)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, folder(t))
				staged(t, w.Folder, "1.0.0", "1.1.0")
				w.acts["1.1.0"] = act
				if err := w.serve(time.Hour); err != nil {
					t.Error(err)
				}
				w.check("a crash loop", "1.1.0", "1.1.0", "1.1.0", "own")
				r := recorded(t, w.Folder)
				if r.Active != nil || len(r.Refused) != 1 || !r.refuses("1.1.0", time.Now().Add(365*24*time.Hour)) {
					t.Errorf("%+v", r)
				}
				s := &shelf{manifest: signed(t, manifestOf(2, time.Now(), "1.1.0"), "a"), program: content("1.1.0")}
				if err := updater(t, w.Folder, "1.0.0", s).Exchanged(t.Context(), "1.1.0"); err != nil || s.fetched != 0 {
					t.Errorf("offered again: %v, fetched %d times", err, s.fetched)
				}
			})
		})
	}
}

// The one before is the version that ran, not the installed one.
func TestRollBackGoesToThePreviousVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, folder(t))
		staged(t, w.Folder, "1.0.0", "1.1.0")
		first := true
		w.acts["1.1.0"] = func(p *fake) {
			if !first {
				w.works("1.1.0")(p)
				return
			}
			first = false
			w.reach("1.1.0")
			close(p.healthy)
			staged(t, w.Folder, "1.1.0", "1.2.0")
			p.end(nil)
		}
		w.acts["1.2.0"] = exits(errors.New("exit status 1"))
		if err := w.serve(time.Hour); err != nil {
			t.Error(err)
		}
		w.check("roll-back", "1.1.0", "1.2.0", "1.2.0", "1.2.0", "1.1.0")
		if sum, err := Summarise(w.Folder); err != nil || sum.Active != "1.1.0" || !sum.Confirmed || !strings.Contains(sum.Trouble(), "1.2.0 was given up") {
			t.Errorf("%+v, %v", sum, err)
		}
	})
}

// One that lives but never reaches the collector is ended, and may be tried
// again on later days, a few times.
func TestHungVersionIsRolledBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, folder(t))
		w.acts["1.1.0"] = hangs
		for i := range maxTries {
			staged(t, w.Folder, "1.0.0", "1.1.0")
			begin := time.Now()
			w.own = []func(context.Context) error{func(context.Context) error { return errors.New("back") }}
			if err := w.serve(time.Hour); err == nil || err.Error() != "back" || time.Since(begin) != w.HealthTimeout {
				t.Errorf("%v after %s", err, time.Since(begin))
			}
			w.check("a hung version", "1.1.0", "own")
			r := recorded(t, w.Folder)
			if !r.refuses("1.1.0", time.Now()) || r.refuses("1.1.0", time.Now().Add(retryAfter)) != (i == maxTries-1) {
				t.Errorf("try %d: %+v", i, r.Refused)
			}
			pass(retryAfter)
		}
	})
}

func TestVersionThatCannotBeStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, folder(t))
		staged(t, w.Folder, "1.0.0", "1.1.0")
		if err := w.serve(time.Hour); err != nil {
			t.Error(err)
		}
		w.check("a start that fails", "1.1.0", "own")
		if r := recorded(t, w.Folder); r.Active != nil || !strings.Contains(r.Refused[0].Reason, "exec format error") {
			t.Errorf("%+v", r)
		}
	})
}

// A start counts from its beginning: a version that takes the machine down with
// it does not come back for ever.
func TestPowerCutsDuringTheFirstStartsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, folder(t))
		staged(t, w.Folder, "1.0.0", "1.1.0")
		for range maxStarts {
			// The power goes after the start was counted, and before anything else is.
			if err := w.count("1.1.0", 1); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.serve(time.Hour); err != nil {
			t.Error(err)
		}
		w.check("after three power cuts", "own")
	})
}

// Being stopped is no failure, however often, and however both processes hear
// of it.
func TestStopsAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, folder(t))
		staged(t, w.Folder, "1.0.0", "1.1.0")
		for i := range 3 * maxStarts {
			w.acts["1.1.0"] = func(p *fake) {
				if i%2 == 0 {
					<-p.stopped
				} else {
					pass(time.Minute) // the signal came to the child first
				}
				p.end(nil)
			}
			if err := w.serve(time.Minute + time.Second*time.Duration(i%2)); err != nil {
				t.Error(err)
			}
			w.check(fmt.Sprint("start ", i), "1.1.0")
		}
		if r := recorded(t, w.Folder); r.Active == nil || r.Active.Failures != 0 {
			t.Errorf("%+v", r)
		}
	})
}

func TestVersionThatDoesNotStopIsKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, folder(t))
		staged(t, w.Folder, "1.0.0", "1.1.0")
		w.acts["1.1.0"] = func(p *fake) { <-p.stopped }
		begin := time.Now()
		if err := w.serve(time.Minute); err != nil {
			t.Error(err)
		}
		if !w.last.killed || time.Since(begin) != time.Minute+stopTime {
			t.Errorf("killed %v after %s", w.last.killed, time.Since(begin))
		}
	})
}

// A version that worked and ends is an error, as the end of any agent is; if it
// goes on ending before it reaches the collector again, it is given up.
func TestConfirmedVersionThatBreaksLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, folder(t))
		staged(t, w.Folder, "1.0.0", "1.1.0")
		w.acts["1.1.0"] = func(p *fake) { w.reach("1.1.0"); close(p.healthy); p.end(errors.New("panic")) }
		for range 3 * maxFailures {
			if err := w.serve(time.Hour); err == nil || !strings.Contains(err.Error(), "panic") {
				t.Fatalf("it ends with %v", err)
			}
			w.check("one that reaches the collector each time", "1.1.0")
		}
		w.acts["1.1.0"] = exits(errors.New("panic"))
		if err := w.serve(time.Hour); err != nil {
			t.Error(err)
		}
		w.check("one that does not any more", "1.1.0", "1.1.0", "1.1.0", "1.1.0", "1.1.0", "own")
	})
}

// What was changed in the folder is not run, nor what is signed by a key that
// is trusted no longer; that a manifest expired since does not matter.
func TestOnlyWhatIsVouchedForRuns(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(t *testing.T, w *world)
		want   []string
	}{
		"as it was":        {func(*testing.T, *world) {}, []string{"1.1.0"}},
		"manifest expired": {func(*testing.T, *world) { pass(1000 * 24 * time.Hour) }, []string{"1.1.0"}},
		"key not trusted":  {func(t *testing.T, w *world) { w.Keys = keys(t, "b") }, []string{"own"}},
		"other program":    {func(t *testing.T, w *world) { write(t, pathOf(w.Folder, "1.1.0"), "program of 6.6.6") }, []string{"own"}},
		"no program":       {func(t *testing.T, w *world) { write(t, pathOf(w.Folder, "1.1.0"), "") }, []string{"own"}},
		"no manifest":      {func(t *testing.T, w *world) { os.Remove(filepath.Join(w.Folder.dir, "1.1.0", manifestFile)) }, []string{"own"}},
		"damaged record":   {func(t *testing.T, w *world) { write(t, filepath.Join(w.Folder.dir, recordFile), "{") }, []string{"own"}},
		"planted record": {func(t *testing.T, w *world) {
			write(t, filepath.Join(w.Folder.dir, recordFile), `{"active":{"version":"../../tmp/x"}}`)
		}, []string{"own"}},
		"installed anew":    {func(_ *testing.T, w *world) { w.Version = "1.1.0" }, []string{"own"}},
		"installed a later": {func(_ *testing.T, w *world) { w.Version = "2.0.0" }, []string{"own"}},
		"built by hand":     {func(_ *testing.T, w *world) { w.Version = "devel-0123456789ab" }, []string{"own"}},
		"a later record": {func(t *testing.T, w *world) {
			write(t, filepath.Join(w.Folder.dir, recordFile), `{"active":{"version":"1.1.0","confirmed":true,"news":1},"more":{}}`)
		}, []string{"1.1.0"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, folder(t))
				staged(t, w.Folder, "1.0.0", "1.1.0")
				w.acts["1.1.0"] = w.works("1.1.0")
				tc.change(t, w)
				if err := w.serve(time.Hour); err != nil {
					t.Error(err)
				}
				w.check(name, tc.want...)
			})
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

// Where nothing can be noted, a new version is not started: its starts could
// not be counted.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, folder(t))
		staged(t, w.Folder, "1.0.0", "1.1.0")
		w.acts["1.1.0"] = w.works("1.1.0")
		// A folder in the record's place can be neither read nor replaced.
		path := filepath.Join(w.Folder.dir, recordFile)
		if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
			t.Fatal(err)
		}
		if err := w.serve(time.Hour); err != nil {
			t.Error(err)
		}
		if !slices.Equal(w.ran, []string{"own"}) {
			t.Errorf("%v ran", w.ran)
		}
	})
}

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
