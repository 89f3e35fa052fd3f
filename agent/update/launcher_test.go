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
)

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
