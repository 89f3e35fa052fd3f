package main

import (
	"context"

	"github.com/rollcall-itam/rollcall/agent/facts"
	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/agent/privacy"
	"github.com/rollcall-itam/rollcall/agent/report"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// learner reads one machine again and again: whole at first, later what is due.
type learner struct {
	host    *host.Host
	options facts.Options
	// withhold is what must not leave the device.
	withhold privacy.Settings
	// dog watches over readings.
	dog watchdog
	// cost is what the last reading cost.
	cost report.Collection
	// tell is told it, nil while there is nobody to tell.
	tell func(report.Collection)
}

// newLearner returns a learner of this machine, all of it but what is withheld.
func newLearner(withhold privacy.Settings) *learner {
	h := host.Live()
	return &learner{
		withhold: withhold, host: h, options: facts.Options{Facts: facts.All(), Memory: facts.NewMemory()},
		dog: watchdog{limit: collectTimeout, grace: collectGrace, now: h.Now},
	}
}

// changed tells whether a reading would find something new for certain, which
// costs a look at a few files. While a reading hangs, what was found is its own.
func (l *learner) changed(ctx context.Context) bool {
	return l.dog.hangsSince().IsZero() && l.options.Memory.Changed(ctx, l.host, l.options.Facts)
}

// learn reads the machine, and tells what may be told of it.
func (l *learner) learn(ctx context.Context) (*pb.Observation, error) {
	o, err := l.learnAll(ctx)
	if err != nil {
		return nil, err
	}
	return l.withhold.Apply(o)
}

// learnAll reads the machine, also what must not leave it. A reading that hangs
// is given up, and costs what the last one did.
func (l *learner) learnAll(ctx context.Context) (*pb.Observation, error) {
	r, err := watch(ctx, &l.dog, func(ctx context.Context) facts.Result { return facts.Collect(ctx, l.host, l.options) })
	l.cost.HangsSince = l.dog.hangsSince()
	if err == nil {
		l.cost = report.Collection{At: r.At, Took: max(l.host.Now().Sub(r.At), 0)}
		for _, c := range r.Costs {
			l.cost.Facts = append(l.cost.Facts, report.FactCost{Name: c.Name, Took: c.Took, KeptSince: c.KeptSince, Waits: c.Waits, HangsSince: c.HangsSince})
		}
	}
	if l.tell != nil {
		l.tell(l.cost)
	}
	if err != nil {
		return nil, err
	}
	return r.Observation(), ctx.Err()
}
