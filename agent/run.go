package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/agent/report"
	"github.com/rollcall-itam/rollcall/agent/service"
	"github.com/rollcall-itam/rollcall/pkg/buildinfo"
)

type runCommand struct {
	configFlags
	Once    bool `help:"Enrol if needed, report, and exit once that is acknowledged."`
	Service bool `hidden:"" help:"Obey the operating system's service manager."`
}

// Run reports until it is told to stop.
func (c runCommand) Run(world outside) error {
	err := c.run(world)
	if err != nil && c.Service {
		tellSystem(err)
		if begun := (servedError{}); !errors.As(err, &begun) {
			return errors.Join(err, service.Refuse(err))
		}
	}
	return err
}

// servedError is an error of a service whose manager has heard of its end.
type servedError struct{ error }

func (e servedError) Unwrap() error { return e.error }

func (c runCommand) run(world outside) error {
	s, err := c.settings()
	if err != nil {
		return err
	}
	if s.Collector == "" {
		return errors.New("no collector given: set --collector HOST:8471, or collector: in the configuration")
	}
	folder, err := report.OpenFolder(s.StateDir)
	if err != nil {
		return err
	}
	// The file of the log belongs to whoever holds the state folder.
	log, closeLog := s.withoutLogFile().logger(world, c.Service)
	defer closeLog()
	if err := host.LowerPriority(); err != nil {
		log.Debug("priority cannot be lowered", "error", err)
	}
	debug.SetGCPercent(gcPercentService)
	debug.SetMemoryLimit(int64(s.MemoryLimit) << 20)
	runtime.SetDefaultGOMAXPROCS()
	runtime.GOMAXPROCS(min(2, runtime.GOMAXPROCS(0)))

	o, err := options(s, folder, tokenInput(world), log)
	if err != nil {
		return err
	}
	own := &ownWork{run: c, settings: s, options: o, world: world, asService: c.Service}
	work, done, err := own.arrange(log)
	if err != nil {
		return err
	}
	defer done()
	if own.run.Service {
		sv, err := service.New(nil, work)
		if err != nil {
			return err
		}
		if err := sv.Run(); err != nil {
			return servedError{err}
		}
		return nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return work(ctx)
}

// report reads the machine a first time, which tells which machine this is, and
// goes on from there.
func (c runCommand) report(ctx context.Context, w *ownWork) error {
	s, o := w.settings, w.options
	reader := newLearner(s.withheld)
	l := &loop{collect: w.collecting(reader.learn), changed: reader.changed, packer: o.Packer, backoff: report.NewBackoff(rand.Float64), checkIn: s.CheckInInterval, inventory: s.InventoryInterval,
		now: time.Now, random: rand.Float64, wait: sleep, log: o.Log}
	all, err := reader.learnAll(ctx)
	if ctx.Err() != nil {
		return c.stopped(ctx.Err())
	}
	if err != nil {
		// Nothing is known yet: the service manager begins anew.
		return fmt.Errorf("read the machine: %w", err)
	}
	// The agent's identity is bound to what the machine is, whatever is told.
	o.Machine = machine(reader.host, all)
	first, err := s.withheld.Apply(all)
	if err != nil {
		return err
	}
	w.tell(first)
	agent, err := report.New(o)
	if err != nil {
		return err
	}
	defer agent.Close()
	w.watching(l, agent)
	l.agent = agent
	agent.Collected(reader.cost)
	reader.tell = agent.Collected
	if err := l.take(first); err != nil {
		return err
	}
	l.readAt, l.readIn = time.Now(), report.Spread(s.InventoryInterval, rand.Float64)
	if c.Once {
		_, err := l.step(ctx)
		if ctx.Err() != nil {
			return c.stopped(err)
		}
		return err
	}
	o.Log.Info("agent started", "version", o.Version, "collector", s.Collector, "agent_id", agent.ID())
	err = l.run(ctx)
	o.Log.Info("agent stopped")
	return err
}

// options turns settings into what the report client needs.
func options(s settings, folder report.Folder, stdin io.Reader, log *slog.Logger) (report.Options, error) {
	proxy, err := report.ProxySetting(s.Proxy)
	if err != nil {
		return report.Options{}, err
	}
	packer, err := report.NewPacker(1)
	if err != nil {
		return report.Options{}, err
	}
	o := report.Options{
		Dialer: report.Dialer{Addr: s.Collector, Proxy: proxy}, Trust: report.Trust{Pin: s.pin}, Folder: folder, Packer: packer,
		Version: buildinfo.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Log: log,
		Token: s.token(stdin),
	}
	if s.CAFile != "" {
		text, err := os.ReadFile(s.CAFile)
		if err != nil {
			return report.Options{}, fmt.Errorf("read the CA file: %w", err)
		}
		if o.Trust.Authorities, err = report.ParseCAFile(text); err != nil {
			return report.Options{}, fmt.Errorf("%s: %w", s.CAFile, err)
		}
	}
	return o, nil
}

// token returns a function that tells the token when it is needed.
func (s settings) token(stdin io.Reader) func() (report.Token, error) {
	if s.Token == "" {
		return tokenReader(s.TokenFile, stdin)
	}
	return func() (report.Token, error) { return report.ReadToken(strings.NewReader(s.Token)) }
}

// tokenReader returns a function that reads the token when it is needed:
// standard input once, a file each time, since an administrator may replace it.
func tokenReader(name string, stdin io.Reader) func() (report.Token, error) {
	var read *report.Token
	return func() (report.Token, error) {
		switch {
		case name == "":
			return report.Token{}, report.ErrNoToken
		case name == "-" && read != nil:
			return *read, nil
		case name == "-":
			t, err := report.ReadToken(stdin)
			if err == nil {
				read = &t
			}
			return t, err
		}
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			return report.Token{}, fmt.Errorf("there is no file %s: %w", name, report.ErrNoToken)
		}
		if err != nil {
			return report.Token{}, fmt.Errorf("read the token file: %w", err)
		}
		t, err := report.ReadToken(bytes.NewReader(b))
		if err != nil {
			return t, fmt.Errorf("%s: %w", name, err)
		}
		return t, nil
	}
}

// stopped is how the program ends when it was told to stop: well, unless a
// report was asked for that was not acknowledged.
func (c runCommand) stopped(err error) error {
	if c.Once && err != nil {
		return fmt.Errorf("stopped before the collector acknowledged the report: %w", err)
	}
	return nil
}
