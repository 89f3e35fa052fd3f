package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"github.com/rollcall-itam/rollcall/agent/report"
	"github.com/rollcall-itam/rollcall/agent/service"
)

type installCommand struct {
	Config string `env:"ROLLCALL_AGENT_CONFIG" placeholder:"FILE" help:"Configuration file that the service shall use."`
}

// Run installs the service, whose configuration must be good.
func (c installCommand) Run(world outside) error {
	name := c.Config
	if name == "" {
		name = defaultConfig(runtime.GOOS, world.getenv)
	}
	// The service runs in another folder than whoever installs it.
	name, err := filepath.Abs(name)
	if err != nil {
		return fmt.Errorf("find the configuration: %w", err)
	}
	s, err := configFlags{Config: name}.settings()
	if err != nil {
		return fmt.Errorf("the service needs its configuration: %w", err)
	}
	if s.Collector == "" {
		return fmt.Errorf("%s names no collector: add collector: HOST:8471", name)
	}
	sv, err := service.New([]string{"run", "--service", "--config", name}, nil)
	if err != nil {
		return err
	}
	if err := sv.Control("install"); err != nil {
		return err
	}
	fmt.Fprintf(world.stdout, "The service %s is installed. Start it with: rollcall-agent start\n", service.Name)
	return nil
}

type controlCommand struct{}

// Run does what the command is named after.
func (controlCommand) Run(ctx *kong.Context) error {
	sv, err := service.New(nil, nil)
	if err != nil {
		return err
	}
	return sv.Control(ctx.Selected().Name)
}

type statusCommand struct {
	Config   string `env:"ROLLCALL_AGENT_CONFIG" placeholder:"FILE" help:"Configuration file."`
	StateDir string `env:"ROLLCALL_AGENT_STATE_DIR" placeholder:"DIR" help:"The agent's state folder, if not the configured one."`
}

// Run shows the service, the enrolment and the last exchange.
func (c statusCommand) Run(world outside) error {
	dir := c.StateDir
	if dir == "" {
		s, err := configFlags{Config: c.Config}.settings()
		if err != nil {
			return err
		}
		dir = s.StateDir
	}
	state := "unknown"
	if sv, err := service.New(nil, nil); err == nil {
		state = sv.Status()
	}
	w := tabwriter.NewWriter(world.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "service\t%s\nstate folder\t%s\n", state, dir)
	sum, err := report.Summarise(dir)
	switch {
	case errors.Is(err, os.ErrPermission):
		err = fmt.Errorf("%w: the state folder is its owner's only, try as administrator", err)
	case err == nil:
		describe(w, sum)
	}
	return errors.Join(w.Flush(), err)
}

func describe(w *tabwriter.Writer, s report.Summary) {
	if s.AgentID == "" {
		fmt.Fprintf(w, "enrolled\tno\n")
	} else {
		fmt.Fprintf(w, "enrolled\tyes\nagent id\t%s\ncertificate\tends %s (number %d)\n", s.AgentID, stamp(s.CertificateEnds), s.RenewalSequence)
	}
	if s.AwaitsAnswer {
		fmt.Fprintf(w, "awaiting\tan answer to a certificate request\n")
	}
	fmt.Fprintf(w, "last contact\t%s\nlast report\t%s\n", stamp(s.LastContact), stamp(s.LastReport))
	if s.LastError != "" {
		fmt.Fprintf(w, "last error\t%s: %s\n", stamp(s.LastErrorAt), s.LastError)
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}
