package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"github.com/rollcall-itam/rollcall/pkg/release"
)

const (
	// maxStarts is how often a version that never reached the collector is
	// started, maxFailures how often one that did may end before it does again.
	maxStarts   = 3
	maxFailures = 5
	// firstPause is the time to the next start; it doubles with each.
	firstPause = 2 * time.Second
	lastPause  = time.Minute
	// stopTime is how long a version has to end once it was told to.
	stopTime = 20 * time.Second
)

// Process is a version of the agent that runs beside the installed one.
type Process interface {
	// Healthy is closed once it has reached its collector, Done once it has ended.
	Healthy() <-chan struct{}
	Done() <-chan struct{}
	// Err says how it ended, nil where well; it is for after Done.
	Err() error
	// Stop asks it to end, Kill ends it at once.
	Stop()
	Kill()
}

// Launcher is the installed version of the agent: it runs the newest version
// there is, itself or another, and watches over that.
type Launcher struct {
	Folder Folder
	// Keys are those whose manifests are believed.
	Keys release.Keys
	// Version is the installed one, Platform its GOOS/GOARCH.
	Version, Platform string
	// HealthTimeout is how long a new version has to reach the collector.
	HealthTimeout time.Duration
	// Own does the agent's work in this process, until the context ends or it
	// returns ErrSwitch.
	Own func(ctx context.Context) error
	// Start starts the version at path.
	Start func(path string) (Process, error)
	Now   func() time.Time
	Log   *slog.Logger

	// givenUp are versions of which it could not be noted that they are not to run
	// again.
	givenUp []string
}

// Run does the agent's work until the context ends or the version that does it
// ends by itself.
func (l *Launcher) Run(ctx context.Context) error {
	for {
		again, err := l.once(ctx)
		if !again || ctx.Err() != nil {
			return err
		}
	}
}

// once runs one version, and tells whether another may have to follow.
func (l *Launcher) once(ctx context.Context) (again bool, err error) {
	p, path := l.choose()
	if p == nil {
		if err := l.Own(ctx); !errors.Is(err, ErrSwitch) {
			return false, err
		}
		return true, nil
	}
	if !p.Confirmed {
		// A start that is not counted could be repeated for ever.
		if err := l.count(p.Version, 1); err != nil {
			l.Log.Warn("a new version is not started, since its starts cannot be counted", "version", p.Version, "error", err)
			return false, l.Own(ctx)
		}
	}
	return l.run(ctx, *p, path)
}

// choose returns the version to run and its path, nil for the installed one.
func (l *Launcher) choose() (*program, string) {
	installed, err := release.ParseVersion(l.Version)
	if err != nil {
		return nil, ""
	}
	r, err := l.Folder.read()
	if err != nil {
		l.Log.Warn("the installed version runs", "error", err)
		return nil, ""
	}
	var path string
	changed := false
	for r.Active != nil {
		if path, err = l.fit(&r, installed); err == nil {
			break
		}
		l.Log.Warn("a version is not run", "version", r.Active.Version, "error", err)
		changed = true
		r.back()
	}
	if changed {
		if err := l.Folder.change(func(now *record) { *now = r }); err != nil {
			l.Log.Warn("the state of updates cannot be noted", "error", err)
		}
	}
	return r.Active, path
}

var (
	errOvertaken = errors.New("the installed version is not older")
	errGivenUp   = errors.New("it was given up")
)

// fit returns the path of the active version where that may be run, and
// otherwise notes why not.
func (l *Launcher) fit(r *record, installed release.Version) (string, error) {
	p := r.Active
	v, err := release.ParseVersion(p.Version)
	switch {
	case err != nil:
		return "", err
	case v.Compare(installed) <= 0:
		return "", errOvertaken
	case slices.Contains(l.givenUp, p.Version):
		r.refuse(p.Version, errGivenUp.Error(), l.Now(), false)
		return "", errGivenUp
	case !p.Confirmed && p.Failures >= maxStarts:
		err = fmt.Errorf("it was started %d times and never reached the collector", p.Failures)
		r.refuse(p.Version, err.Error(), l.Now(), true)
		return "", err
	case p.Failures >= maxFailures:
		err = fmt.Errorf("it ended %d times before it reached the collector", p.Failures)
		r.refuse(p.Version, err.Error(), l.Now(), true)
		return "", err
	}
	path, err := l.Folder.verify(*p, l.Keys, l.Platform)
	if err != nil {
		r.refuse(p.Version, err.Error(), l.Now(), false)
	}
	return path, err
}

// count adds to the failures of the active version, if that is still the same.
func (l *Launcher) count(version string, n int) error {
	return l.Folder.change(func(r *record) {
		if r.Active != nil && r.Active.Version == version {
			r.Active.Failures = max(r.Active.Failures+n, 0)
		}
	})
}

// giveUp goes back to the version before.
func (l *Launcher) giveUp(p program, reason string, forGood bool) {
	l.Log.Error("a version is given up, the one before runs again", "version", p.Version, "reason", reason)
	err := l.Folder.change(func(r *record) {
		if r.Active == nil || r.Active.Version != p.Version || r.Active.Confirmed && !p.Confirmed {
			return // it reached the collector at the last moment, and may go on
		}
		r.refuse(p.Version, reason, l.Now(), forGood)
		r.back()
	})
	if err != nil {
		l.givenUp = append(l.givenUp, p.Version)
		l.Log.Error("that a version is given up cannot be noted", "error", err)
	}
}

// run starts a version and watches over it to its end.
func (l *Launcher) run(ctx context.Context, p program, path string) (again bool, err error) {
	l.Log.Info("another version runs", "version", p.Version, "installed", l.Version)
	proc, err := l.Start(path)
	if err != nil {
		reason := fmt.Sprintf("it cannot be started: %v", err)
		l.giveUp(p, reason, errors.Is(err, fs.ErrNotExist))
		return true, nil
	}
	end := l.watch(ctx, proc, p)
	switch end {
	case stopped:
		return false, l.uncount(p)
	case late:
		l.giveUp(p, fmt.Sprintf("it did not reach the collector within %s", l.HealthTimeout), false)
		return true, nil
	}
	if r, err := l.Folder.read(); err == nil && (r.Active == nil || r.Active.Version != p.Version) {
		return true, nil // it left another to follow it
	}
	if end == endedEarly {
		return l.failed(ctx, p, proc.Err())
	}
	// The service manager sees what it would see of an agent without updates.
	ended := proc.Err()
	if ended == nil {
		ended = errors.New("nobody told it to")
	}
	return false, fmt.Errorf("version %s has ended: %w", p.Version, ended)
}

// uncount takes back the start of a version that was stopped from outside.
func (l *Launcher) uncount(p program) error {
	if p.Confirmed {
		return nil
	}
	return l.count(p.Version, -1)
}

// failed counts a start that led to nothing and waits before the next.
func (l *Launcher) failed(ctx context.Context, p program, ended error) (again bool, err error) {
	if p.Confirmed {
		if err := l.count(p.Version, 1); err != nil {
			l.Log.Warn("the state of updates cannot be noted", "error", err)
		}
	}
	pause := min(firstPause<<min(p.Failures, 10), lastPause)
	l.Log.Warn("a version ended before it reached the collector", "version", p.Version, "error", ended, "next_start_in", pause)
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-ctx.Done():
		// Whoever stops the service may stop both processes at once.
		if ended == nil {
			return false, l.uncount(p)
		}
		return false, nil
	case <-t.C:
		return true, nil
	}
}

// outcome is how a version's run came to its end.
type outcome int

const (
	stopped      outcome = iota // the service was told to stop
	late                        // it did not reach the collector in time
	endedHealthy                // it ended after it had reached the collector
	endedEarly                  // it ended before
)

// watch waits for a version to end, and has it end where it must.
func (l *Launcher) watch(ctx context.Context, proc Process, p program) outcome {
	t := time.NewTimer(l.HealthTimeout)
	defer t.Stop()
	tooLate := t.C
	if p.Confirmed {
		tooLate = nil
	}
	healthy := proc.Healthy()
	for {
		select {
		case <-ctx.Done():
			stop(proc)
			return stopped
		case <-healthy:
			healthy, tooLate = nil, nil
		case <-tooLate:
			proc.Kill()
			<-proc.Done()
			return late
		case <-proc.Done():
			select {
			case <-proc.Healthy():
				return endedHealthy
			default:
				return endedEarly
			}
		}
	}
}

// stop has a version end, at once where it does not do so itself.
func stop(proc Process) {
	proc.Stop()
	t := time.NewTimer(stopTime)
	defer t.Stop()
	select {
	case <-proc.Done():
	case <-t.C:
		proc.Kill()
		<-proc.Done()
	}
}
