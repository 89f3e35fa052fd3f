package update

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
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

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}
