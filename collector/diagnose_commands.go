package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/rollcall-itam/rollcall/collector/diagnose"
)

// maxLevelTime bounds for how long a level of the log is set.
const maxLevelTime = 7 * 24 * time.Hour

// logCommands are about the log of a collector that runs.
type logCommands struct {
	Level logLevelCommand `cmd:"" help:"Tell from which level on the collector that runs logs, or change that until it ends."`
	Last  logLastCommand  `cmd:"" help:"Print the lines that the collector that runs logged last, as they are kept for a support bundle."`
}

type logLevelCommand struct {
	configFlags
	For   time.Duration `name:"for" placeholder:"15m" help:"Go back to the configured level after so long (1s to 168h)."`
	Level string        `arg:"" optional:"" enum:"debug,info,warn,error," default:"" help:"debug, info, warn or error; without one the level is told."`
}

// Run changes the level and tells it.
func (c logLevelCommand) Run(world outside) error {
	s, err := c.settings(world.getenv)
	if err != nil {
		return err
	}
	if c.For < 0 || c.For > maxLevelTime || (c.For > 0 && c.For < time.Second) {
		return fmt.Errorf("--for %s: want 1s to %s", c.For, maxLevelTime)
	}
	if c.For > 0 && c.Level == "" {
		return errors.New("--for goes with a level: rollcall-collector log level debug --for 15m")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return copyAnswer(ctx, s, "log?"+url.Values{"level": {c.Level}, "for": {c.For.String()}}.Encode(), world.stdout)
}

// copyAnswer has the collector that runs do something, and copies its answer.
func copyAnswer(ctx context.Context, s settings, command string, w io.Writer) error {
	b := bundle{settings: s}
	err := b.viaControl(ctx, command, w)
	if errors.Is(err, errNotRunning) {
		return fmt.Errorf("no collector runs on %s: name the data folder of one that does with --data-dir, and ask as its user", s.DataDir)
	}
	return err
}

// logLevel changes from which level on the collector logs, and tells it. That it
// was changed is logged whatever the level.
func (k *control) logLevel(w http.ResponseWriter, r *http.Request) error {
	if text := r.FormValue("level"); text != "" {
		var level slog.Level
		last, err := time.ParseDuration(r.FormValue("for"))
		if err = errors.Join(err, level.UnmarshalText([]byte(text))); err != nil || last < 0 || last > maxLevelTime {
			return fmt.Errorf("level %q for %q: want debug, info, warn or error, and a time of at most %s", text, r.FormValue("for"), maxLevelTime)
		}
		before, _ := k.kept.Level()
		k.kept.SetLevel(level, last)
		k.log.Log(r.Context(), max(level, before, slog.LevelWarn), "log level changed through the control socket", "from", before.String(), "to", level.String(), "lasts", last.String())
	}
	now, usual := k.kept.Level()
	_, err := fmt.Fprintf(w, "the collector logs from level %s on; configured is %s\n", strings.ToLower(now.String()), strings.ToLower(usual.String()))
	return err
}

type logLastCommand struct{ configFlags }

// Run prints the lines.
func (c logLastCommand) Run(world outside) error {
	s, err := c.settings(world.getenv)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return copyAnswer(ctx, s, "log/last", world.stdout)
}

func (k *control) lastLines(w http.ResponseWriter, _ *http.Request) error {
	_, err := k.kept.WriteTo(w)
	return err
}

type profileCommand struct {
	configFlags
	Seconds int    `default:"10" help:"How long cpu (1 to 120) and trace (1 to 30) last."`
	Kind    string `arg:"" enum:"cpu,trace,heap,allocs,goroutine,threadcreate" help:"cpu, trace, heap, allocs, goroutine or threadcreate."`
	File    string `arg:"" placeholder:"FILE" help:"Where to; a file that is not there yet. go tool pprof and go tool trace read it."`
}

// Run takes a profile of the collector that runs.
func (c profileCommand) Run(world outside) error {
	s, err := c.settings(world.getenv)
	if err != nil {
		return err
	}
	last := time.Duration(c.Seconds) * time.Second
	if err := diagnose.CheckProfile(c.Kind, last); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	_, err = writeNew(c.File, func(w io.Writer) (struct{}, error) {
		return struct{}{}, copyAnswer(ctx, s, profileCall(c.Kind, last), w)
	})
	if err != nil {
		return fmt.Errorf("no profile was taken: %w", err)
	}
	fmt.Fprintf(world.stdout, "%s is written\n", c.File)
	return nil
}

// profileCall is what asks a running collector for a profile.
func profileCall(kind string, last time.Duration) string {
	return "profile?" + url.Values{"kind": {kind}, "for": {last.String()}}.Encode()
}

func (k *control) takeProfile(w http.ResponseWriter, r *http.Request) error {
	kind := r.FormValue("kind")
	last, err := time.ParseDuration(r.FormValue("for"))
	if err != nil {
		return fmt.Errorf("the time of the profile: %w", err)
	}
	if err := diagnose.CheckProfile(kind, last); err != nil {
		return err
	}
	k.log.Warn("profile asked for through the control socket", "kind", kind, "lasts", last.String())
	return k.profile.Take(r.Context(), &patient{w: w, control: http.NewResponseController(w)}, kind, last)
}
