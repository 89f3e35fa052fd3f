package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/rollcall-itam/rollcall/agent/report"
	"github.com/rollcall-itam/rollcall/agent/update"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// collector reads the machine.
type collector func(ctx context.Context) (*pb.Observation, error)

// exchanger is the part of report.Agent that the loop uses.
type exchanger interface {
	Exchange(ctx context.Context, inv *report.Inventory) (report.Answer, error)
}

// loop reads the machine and reports it, at intervals that the collector may
// change.
type loop struct {
	collect collector
	// changed tells whether something is known to have changed since the last
	// reading; nil never does.
	changed            func(context.Context) bool
	packer             *report.Packer
	agent              exchanger
	backoff            *report.Backoff
	checkIn, inventory time.Duration
	now                func() time.Time
	random             func() float64
	log                *slog.Logger
	// exchanged is told of each exchange that went well, and may end the loop with
	// update.ErrSwitch; nil hears nothing.
	exchanged func(ctx context.Context, answer report.Answer) error
	// wait waits, or returns early with the context's error.
	wait func(ctx context.Context, d time.Duration) error

	current *report.Inventory
	readAt  time.Time
	readIn  time.Duration
}

// run reports until the context ends, whatever happens.
func (l *loop) run(ctx context.Context) error {
	for {
		next, err := l.step(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, update.ErrSwitch) {
			return err
		}
		if err == nil {
			l.backoff.Reset()
		} else {
			next = l.backoff.Next(err)
			l.log.Error("not reported", "error", err, "next_try_in", next.Round(time.Second))
		}
		if l.wait(ctx, next) != nil {
			return nil
		}
	}
}

// step makes one exchange, after reading the machine where that is due, and
// returns the time to the next.
func (l *loop) step(ctx context.Context) (time.Duration, error) {
	if err := l.read(ctx); err != nil {
		if l.current == nil {
			return 0, err
		}
		l.log.Warn("the machine could not be read again", "error", err)
	}
	answer, err := l.agent.Exchange(ctx, l.current)
	if err != nil {
		return 0, err
	}
	l.checkIn = within(answer.CheckInInterval, l.checkIn)
	if asked := within(answer.InventoryInterval, l.inventory); asked != l.inventory {
		// A shorter interval counts from the last reading, not from the next,
		// which may be a day away.
		l.inventory, l.readIn = asked, report.Spread(asked, l.random)
	}
	if len(answer.Sections) > 0 {
		l.log.Info("reported", "asset_id", answer.AssetID, "sections", answer.Sections, "bytes", answer.Bytes, "delta", answer.Delta)
	} else {
		l.log.Debug("checked in, nothing changed")
	}
	if l.exchanged != nil {
		if err := l.exchanged(ctx, answer); err != nil {
			return 0, err
		}
	}
	// What the collector names is jittered by it already.
	if answer.NextCheckIn > 0 {
		return within(answer.NextCheckIn, l.checkIn), nil
	}
	return report.Spread(l.checkIn, l.random), nil
}

// read reads the machine when the interval has passed, or when something is
// known to have changed.
func (l *loop) read(ctx context.Context) error {
	now := l.now()
	// A clock that was set back must not put the next reading off.
	if since := now.Sub(l.readAt); l.current != nil && since >= 0 && since < l.readIn && (l.changed == nil || !l.changed(ctx)) {
		return nil
	}
	l.readAt, l.readIn = now, report.Spread(l.inventory, l.random)
	o, err := l.collect(ctx)
	if err != nil {
		return fmt.Errorf("read the machine: %w", err)
	}
	return l.take(o)
}

// take makes an observation the one that is reported.
func (l *loop) take(o *pb.Observation) error {
	inv, err := l.packer.Pack(o)
	if err != nil {
		return err
	}
	l.current = inv
	for _, p := range o.GetProblems() {
		l.log.Debug("fact could not be learnt", "section", p.GetSection(), "fact", p.GetFact(), "problem", p.GetError())
	}
	// The reading needed much more memory than the agent will until the next.
	debug.FreeOSMemory()
	return nil
}

// within returns what the collector asked for, in bounds, or what was in force
// where it asked for nothing.
func within(asked, otherwise time.Duration) time.Duration {
	if asked <= 0 {
		return otherwise
	}
	return min(max(asked, minInterval), maxInterval)
}

// sleep waits on the clock of the machine.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
