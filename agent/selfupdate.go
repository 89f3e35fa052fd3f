package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/agent/report"
	"github.com/rollcall-itam/rollcall/agent/service"
	"github.com/rollcall-itam/rollcall/agent/update"
	"github.com/rollcall-itam/rollcall/pkg/buildinfo"
	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// withoutLogFile are the settings of who logs but to the machine's own log.
func (s settings) withoutLogFile() settings {
	s.LogFile = noLogFile
	return s
}

// launchedVariable is set for a version of the agent that the installed one
// started in its own place. Its name never changes.
const launchedVariable = "ROLLCALL_AGENT_LAUNCHED"

func launched(world outside) bool { return world.getenv(launchedVariable) != "" }

// ownWork is the agent's work, done in this process.
type ownWork struct {
	run      runCommand
	settings settings
	options  report.Options
	world    outside
	// asService tells that a service manager started the agent, if only in the
	// end.
	asService bool
	// updates has the agent replaced, nil where it does not update itself.
	updates *update.Updater
	// trouble says why it cannot, where it was to.
	trouble string
}

// do reports until the context ends, or until another version takes over.
func (w *ownWork) do(ctx context.Context) error {
	unlock, err := service.Lock(w.settings.StateDir)
	if err != nil {
		return err
	}
	defer unlock()
	log, closeLog := w.settings.logger(w.world, w.asService)
	defer closeLog()
	if w.options.Log = log; w.updates != nil {
		w.updates.Log = log
	}
	return w.run.report(ctx, w)
}

// collecting returns a collector that also tells why the agent does not update
// itself.
func (w *ownWork) collecting(collect collector) collector {
	return func(ctx context.Context) (*pb.Observation, error) {
		o, err := collect(ctx)
		if err == nil {
			w.tell(o)
		}
		return o, err
	}
}

// tell adds to an observation why the agent does not update itself.
func (w *ownWork) tell(o *pb.Observation) {
	trouble := w.trouble
	if w.updates != nil {
		if sum, err := update.Summarise(w.updates.Folder); err == nil {
			trouble = sum.Trouble()
		}
	}
	if trouble != "" {
		o.Problems = append(o.Problems, &pb.Problem{Section: section.OS, Fact: "self_update", Error: trouble})
	}
}

// watching has the loop hand the collector's offers to the updater.
func (w *ownWork) watching(l *loop, agent *report.Agent) {
	if w.updates == nil {
		return
	}
	w.updates.Fetch = agent.FetchUpdate
	l.exchanged = func(ctx context.Context, answer report.Answer) error {
		return w.updates.Exchanged(ctx, answer.UpdateVersion)
	}
}

// arrange decides how the agent's work is done: here and now, or by the newest
// version there is, which this one starts and watches. Whatever is in the way
// of updates, the work is done. done is to be called after it.
func (w *ownWork) arrange(log *slog.Logger) (work func(context.Context) error, done func(), err error) {
	s, world, nothing := w.settings, w.world, func() {}
	if launched(world) {
		w.run.Service, w.options.Updates = false, s.SelfUpdate
		healthy := sync.OnceFunc(func() { fmt.Fprintln(world.stdout, host.HealthyLine) })
		w.updates, err = w.updater(healthy, log)
		return func(ctx context.Context) error {
			err := w.do(attached(ctx, world.stdin))
			if errors.Is(err, update.ErrSwitch) {
				return nil // what launched this version finds the other
			}
			return err
		}, nothing, err
	}
	if !s.SelfUpdate || w.run.Once {
		return w.do, nothing, nil
	}
	dir := update.Dir(s.StateDir)
	w.updates, err = w.updater(func() {}, log)
	if err == nil {
		err = host.PrivateFolder(dir)
	}
	if err != nil {
		w.updates, w.trouble = nil, err.Error()
		log.Error("the agent does not update itself, and goes on as it is", "error", err)
		return w.do, nothing, nil
	}
	unlock, err := service.Lock(dir)
	if err != nil {
		return nil, nothing, err
	}
	w.options.Updates = true
	l := &update.Launcher{Folder: w.updates.Folder, Keys: s.updaters, Version: w.updates.Version, Platform: w.updates.Platform,
		HealthTimeout: s.UpdateHealth, Own: w.do, Start: starter(world), Now: time.Now, Log: log}
	return l.Run, unlock, nil
}

func (w *ownWork) updater(healthy func(), log *slog.Logger) (*update.Updater, error) {
	return update.New(update.Options{Folder: update.NewFolder(update.Dir(w.settings.StateDir)), Keys: w.settings.updaters,
		Version: buildinfo.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Try: host.ProgramVersion, Healthy: healthy, Now: time.Now, Log: log})
}

// starter returns a function that starts another version as this one was
// started.
func starter(world outside) func(path string) (update.Process, error) {
	return func(path string) (update.Process, error) {
		r, err := host.Program{Path: path, Args: os.Args[1:], Env: []string{launchedVariable + "=1"}, Stderr: world.stderr}.Start()
		if err != nil {
			return nil, err
		}
		return r, nil
	}
}

// attached returns a context that ends with what launched this version, whose
// end of our standard input closes.
func attached(ctx context.Context, stdin io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, stdin) // whatever ends it
	}()
	return ctx
}

// tokenInput is where a token may be read from, where it is to come from
// standard input: that of a version that was launched means something else.
func tokenInput(world outside) io.Reader {
	if launched(world) {
		return strings.NewReader("")
	}
	return world.stdin
}

// describeUpdates tells of the updates in a state folder.
func describeUpdates(w io.Writer, stateDir string) {
	s, err := update.Summarise(update.NewFolder(update.Dir(stateDir)))
	if err != nil {
		fmt.Fprintf(w, "updates\tunknown: %v\n", err)
		return
	}
	if s.Active != "" {
		state := "on trial: it has not reached the collector yet"
		if s.Confirmed {
			state = "works"
		}
		fmt.Fprintf(w, "runs\tversion %s, an update (%s); before it %s\n", s.Active, state, cmp.Or(s.Previous, "the installed version "+buildinfo.Version()))
	}
	for _, r := range s.Refused {
		again := "not tried again"
		if !r.Until.IsZero() {
			again = "tried again from " + stamp(r.Until)
		}
		fmt.Fprintf(w, "given up\tversion %s on %s, %s: %s\n", r.Version, stamp(r.At), again, r.Reason)
	}
	if s.Problem != "" {
		fmt.Fprintf(w, "no update\t%s: %s\n", stamp(s.ProblemAt), s.Problem)
	}
}
