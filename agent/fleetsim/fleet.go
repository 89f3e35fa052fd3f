package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/agent/report"
	"github.com/rollcall-itam/rollcall/pkg/synth"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// fleet is the agents under simulation.
type fleet struct {
	options
	packer  *report.Packer
	synth   *synth.Fleet
	members []*member
}

// member is one agent with its device. It is used by one goroutine at a time.
type member struct {
	agent  *report.Agent
	client report.Client
	device *pb.Device
	// now and other are two states of the device that differ in 20 titles, and
	// there and back lead from one to the other.
	now, other  *report.Inventory
	there, back *report.Envelope
	// digests are those of now.
	digests    []*pb.SectionDigest
	generation int64
}

// changed is how many titles a delta upgrades.
const changed = 20

// make prepares the agents; nothing is sent yet.
func (f *fleet) make() error {
	text, err := os.ReadFile(f.CAFile)
	if err != nil {
		return err
	}
	authorities, err := report.ParseCAFile(text)
	if err != nil {
		return fmt.Errorf("%s: %w", f.CAFile, err)
	}
	secret, err := os.ReadFile(f.TokenFile)
	if err != nil {
		return err
	}
	f.synth = synth.New(f.Seed, f.FleetTitles, f.Titles)
	for i := range f.Agents {
		device := f.synth.Device(i)
		agent, err := report.New(report.Options{
			Dialer:         report.Dialer{Addr: f.Collector},
			Trust:          report.Trust{Authorities: authorities},
			Token:          func() (report.Token, error) { return report.ReadToken(bytes.NewReader(secret)) },
			Packer:         f.packer,
			Machine:        report.Machine{Hostname: device.GetName(), BootID: "1", IDs: map[string]string{report.IDSystemUUID: device.GetHardware().GetUuid()}},
			Version:        "fleetsim",
			Platform:       "linux/amd64",
			KeepConnection: true,
		})
		if err != nil {
			return err
		}
		f.members = append(f.members, &member{agent: agent, device: device})
	}
	return nil
}

func (f *fleet) close() {
	for _, m := range f.members {
		m.agent.Close()
	}
}

func (f *fleet) pack(d *pb.Device) (*report.Inventory, error) {
	return f.packer.Pack(&pb.Observation{ObservedAt: timestamppb.Now(), Subject: &pb.Observation_Device{Device: d}})
}

// do runs one mode over the fleet.
func (f *fleet) do(ctx context.Context, mode string) error {
	switch mode {
	case "first":
		if err := f.each(ctx, "enrol", f.Agents, f.enrol); err != nil {
			return err
		}
		return f.each(ctx, "first", f.Agents, f.first)
	case "delta":
		if err := f.each(ctx, "", f.Agents, f.prepareDelta); err != nil {
			return err
		}
		return f.each(ctx, "delta", f.Reports, f.delta)
	case "checkin":
		return f.all(ctx, "checkin", slices.Repeat(f.members, max(1, f.InFlight)), f.checkIn)
	case "handshake":
		return f.each(ctx, "handshake", f.Reports, f.handshake)
	case "change":
		return f.change(ctx)
	}
	return fmt.Errorf("unknown mode")
}

// step is one thing that one member does.
type step func(ctx context.Context, m *member) error

// each does total steps, spread evenly over the members, at most Concurrency at
// once, and prints how fast it went; a step without a name is preparation and
// not measured.
func (f *fleet) each(ctx context.Context, name string, total int, do step) error {
	return f.run(ctx, name, f.members, total, do)
}

// all does as each does, with members that may stand in the list more than
// once: those meet several workers at once.
func (f *fleet) all(ctx context.Context, name string, members []*member, do step) error {
	return f.run(ctx, name, members, f.Reports, do)
}

func (f *fleet) run(ctx context.Context, name string, members []*member, total int, do step) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var done atomic.Int64
	workers := min(f.Concurrency*max(1, len(members)/len(f.members)), len(members))
	took := make([][]time.Duration, workers)
	begin := time.Now()
	for w := range workers {
		wg.Go(func() {
			// A member is always met by the same worker.
			var own []*member
			for i := w; i < len(members); i += workers {
				own = append(own, members[i])
			}
			for n := 0; w+n*workers < total && ctx.Err() == nil; n++ {
				start := time.Now()
				m := own[n%len(own)]
				if err := do(ctx, m); err != nil {
					cancel(fmt.Errorf("%s: %w", m.device.GetName(), err))
					return
				}
				took[w] = append(took[w], time.Since(start))
				done.Add(1)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if name != "" {
		print(name, int(done.Load()), time.Since(begin), slices.Concat(took...))
	}
	return nil
}

func print(name string, n int, elapsed time.Duration, took []time.Duration) {
	slices.Sort(took)
	at := func(share float64) time.Duration {
		return took[int(share*float64(len(took)-1))].Round(10 * time.Microsecond)
	}
	fmt.Printf("%-10s %8d in %8.2f s  %9.0f/s   p50 %v  p99 %v\n", name, n, elapsed.Seconds(), float64(n)/elapsed.Seconds(), at(0.5), at(0.99))
}
