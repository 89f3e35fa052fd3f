package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
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
	w := tabwriter.NewWriter(world.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "service\t%s\nstate folder\t%s\n", service.Status(), dir)
	sum, err := report.Summarise(dir)
	switch {
	case errors.Is(err, os.ErrPermission):
		err = fmt.Errorf("%w: the state folder is its owner's only, try as administrator", err)
	case err == nil:
		describe(w, sum)
		describeUpdates(w, dir)
	}
	return errors.Join(w.Flush(), err)
}

func describe(w io.Writer, s report.Summary) {
	if s.AgentID == "" {
		fmt.Fprintf(w, "enrolled\tno\n")
	} else {
		fmt.Fprintf(w, "enrolled\tyes\nagent id\t%s\ncertificate\tends %s (number %d), renewed from %s\n",
			s.AgentID, stamp(s.CertificateEnds), s.RenewalSequence, stamp(s.RenewalDue))
	}
	if s.AwaitsAnswer {
		fmt.Fprintf(w, "awaiting\tan answer to a certificate request\n")
	}
	fmt.Fprintf(w, "last contact\t%s\nlast report\t%s\n", stamp(s.LastContact), stamp(s.LastReport))
	if s.LastError != "" {
		fmt.Fprintf(w, "last error\t%s: %s\n", stamp(s.LastErrorAt), s.LastError)
	}
	describeCosts(w, s.Collection)
}

// describeCosts tells what each fact cost, dearest first; what cost less than a
// millisecond is summed up. What hangs or waits is told by itself.
func describeCosts(w io.Writer, c report.Collection) {
	if !c.HangsSince.IsZero() {
		fmt.Fprintf(w, "collection hangs\tsince %s: the collector is told what was known before; restart the agent\n", stamp(c.HangsSince))
	}
	if c.At.IsZero() {
		return
	}
	fmt.Fprintf(w, "last collection\t%s, took %s\n", stamp(c.At), c.Took.Round(time.Millisecond))
	costs := slices.Clone(c.Facts)
	slices.SortStableFunc(costs, func(a, b report.FactCost) int { return cmp.Compare(b.Took, a.Took) })
	var cheap, kept int
	var rest time.Duration
	waits := map[string]int{}
	for _, f := range costs {
		switch {
		case !f.HangsSince.IsZero():
			fmt.Fprintf(w, "  %s\thangs since %s: it is not tried again until it returns\n", f.Name, stamp(f.HangsSince))
		case f.Waits != "":
			waits[f.Waits]++
		case !f.KeptSince.IsZero():
			kept++
		case f.Took < time.Millisecond:
			cheap++
			rest += f.Took
		default:
			fmt.Fprintf(w, "  %s\t%s\n", f.Name, f.Took.Round(100*time.Microsecond))
		}
	}
	if cheap > 0 {
		fmt.Fprintf(w, "  %d more\t%s together\n", cheap, rest.Round(100*time.Microsecond))
	}
	if kept > 0 {
		fmt.Fprintf(w, "  %d kept\twere learnt earlier and are not due\n", kept)
	}
	for _, why := range slices.Sorted(maps.Keys(waits)) {
		fmt.Fprintf(w, "  %d put off\tare due, but %s\n", waits[why], why)
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}
