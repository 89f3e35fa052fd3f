// Command fleetsim puts a collector under the load of a fleet: thousands of
// agents, over the client that real agents use, with devices of pkg/synth.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/rollcall-itam/rollcall/agent/report"
)

// options are the flags of the command.
type options struct {
	Collector string `required:"" help:"The collector's host:port for agents."`
	CAFile    string `name:"ca-file" required:"" type:"existingfile" help:"The collector's ca.pem."`
	TokenFile string `required:"" type:"existingfile" help:"An enrolment token with a use for each agent."`

	Agents      int      `default:"100" help:"How many agents."`
	Titles      int      `default:"1000" help:"Software titles a device."`
	FleetTitles int      `default:"5000" help:"Software titles that exist in all; at least twice --titles."`
	Seed        uint64   `default:"1" help:"Another seed, another fleet."`
	Concurrency int      `default:"64" help:"How many agents are busy at once."`
	InFlight    int      `default:"1" help:"How many check-ins are under way on one connection (mode checkin)."`
	Mode        []string `default:"first" enum:"first,delta,checkin,handshake,change" help:"What they do, in turn: first (report whole), delta (change 20 titles), checkin (unchanged), handshake (check in over a new connection), change (as a device does whose system and software change, numbered in os.build)."`
	Reports     int      `default:"0" help:"How many reports or check-ins of each mode but first; 0 means ten for each agent."`
	Retry       bool     `help:"Try again for as long as it takes when the collector is away (mode change)."`
	Acks        string   `help:"Write a line to this file for each report that was acknowledged (mode change): the device's name and the number."`
}

func main() {
	var o options
	kong.Parse(&o, kong.Name("fleetsim"), kong.Description("Puts a Rollcall collector under the load of a fleet."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "fleetsim:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	// The generator shares the machine with what it measures.
	debug.SetGCPercent(400)
	if o.Reports == 0 {
		o.Reports = 10 * o.Agents
	}
	o.FleetTitles = max(o.FleetTitles, 2*o.Titles)
	packer, err := report.NewPacker(2)
	if err != nil {
		return err
	}
	f := &fleet{options: o, packer: packer}
	if err := f.make(); err != nil {
		return err
	}
	defer f.close()
	for _, mode := range o.Mode {
		if err := f.do(ctx, mode); err != nil {
			return fmt.Errorf("%s: %w", mode, err)
		}
	}
	return nil
}
