package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/rollcall-itam/rollcall/pkg/release"
)

// ErrSwitch ends the work of a version: another one is there to run instead.
var ErrSwitch = errors.New("another version of the agent takes over")

// Errors that say why an offered version is not taken.
var (
	ErrDowngrade = errors.New("it is not newer than the version that runs")
	ErrOld       = errors.New("the manifest is older than one that was seen before")
	ErrTooOld    = errors.New("this agent is too old for it")
	ErrBroken    = errors.New("it does not run on this machine")
)

// After how much time a version that could not be had is tried again: it
// doubles with each failure.
const (
	firstRetry = 15 * time.Minute
	lastRetry  = 24 * time.Hour
)

// Options are what an Updater needs.
type Options struct {
	Folder Folder
	// Keys are those whose manifests are believed.
	Keys release.Keys
	// Version is the one that runs, Platform its GOOS/GOARCH.
	Version, Platform string
	// Fetch asks the collector for a version. It hands the signed manifest to
	// accept, and then the program to what that returns.
	Fetch func(ctx context.Context, version string, accept func(manifest []byte) (io.Writer, error)) error
	// Try returns what the program at path says of its version.
	Try func(ctx context.Context, path string) (string, error)
	// Healthy is told at each exchange that the collector was reached.
	Healthy func()
	Now     func() time.Time
	Log     *slog.Logger
}

// Updater has the agent replaced by what its collector offers, where that is
// newer and signed. It is used by one goroutine at a time.
type Updater struct {
	Options
	running  release.Version
	failures int
	tryAt    time.Time
}

// New returns an updater of the version that runs. That must have a number: a
// version without one is neither newer nor older than another.
func New(o Options) (*Updater, error) {
	v, err := release.ParseVersion(o.Version)
	if err != nil {
		return nil, fmt.Errorf("this agent was not built as a release, and cannot update itself: %w", err)
	}
	return &Updater{Options: o, running: v}, nil
}

// Exchanged is told of an exchange with the collector that went well, and of
// the version that it offered, empty for none. It returns ErrSwitch once that
// version is ready to run. Nothing else is an error: an agent that cannot
// update itself goes on as it is.
func (u *Updater) Exchanged(ctx context.Context, offered string) error {
	u.confirm()
	if offered == "" || offered == u.running.String() {
		u.settle("")
		return nil
	}
	now := u.Now()
	r, err := u.Folder.read()
	if err == nil && r.refuses(offered, now) {
		return nil
	}
	// A clock that was set back must not put the next try off.
	if wait := u.tryAt.Sub(now); wait > 0 && wait <= lastRetry {
		return nil
	}
	u.Log.Info("the collector offers another version", "version", u.running.String(), "offered", offered)
	if err := u.take(ctx, offered); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		u.tryAt = now.Add(min(firstRetry<<min(u.failures, 10), lastRetry))
		u.failures++
		u.Log.Warn("the offered version cannot be taken, the agent goes on as it is", "offered", offered, "error", err, "next_try", u.tryAt.UTC())
		u.settle(fmt.Sprintf("version %s cannot be taken: %v", offered, err))
		return nil
	}
	// Should the agent come back as it is, the version was not run, and there is
	// no hurry to fetch it again.
	u.tryAt = now.Add(firstRetry)
	u.Log.Info("the offered version takes over", "version", offered)
	return ErrSwitch
}

// confirm notes that this version works: it reached its collector.
func (u *Updater) confirm() {
	// The record is read each time, since it may not have been written the last
	// time, on a full disk.
	r, err := u.Folder.read()
	if err == nil && u.works(&r) {
		err = u.Folder.change(func(r *record) { u.works(r) })
		u.Log.Info("this version works and stays", "version", u.running.String())
	}
	if err != nil {
		u.Log.Warn("it cannot be noted that this version works", "error", err)
	}
	u.Healthy()
}

// works notes in the record that the version that runs does its work, and
// forgets what was held against versions that it leaves behind. It tells
// whether anything is new.
func (u *Updater) works(r *record) bool {
	changed := false
	if p := r.Active; p != nil && p.Version == u.running.String() && (!p.Confirmed || p.Failures > 0) {
		p.Confirmed, p.Failures, changed = true, 0, true
	}
	before := len(r.Refused)
	r.Refused = slices.DeleteFunc(r.Refused, func(f Refusal) bool {
		v, err := release.ParseVersion(f.Version)
		return err != nil || v.Compare(u.running) <= 0
	})
	return changed || len(r.Refused) != before
}

// settle notes the problem in force, or that there is none.
func (u *Updater) settle(problem string) {
	r, err := u.Folder.read()
	if err == nil && r.Problem == clip(problem) {
		return
	}
	err = u.Folder.change(func(r *record) {
		r.Problem, r.ProblemAt = clip(problem), u.Now().UTC()
		if problem == "" {
			r.ProblemAt = time.Time{}
		}
	})
	if err != nil {
		u.Log.Warn("the state of updates cannot be noted", "error", err)
	}
}
