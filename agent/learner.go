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
	// cost is what the last reading cost.
	cost report.Collection
	// tell is told it, nil while there is nobody to tell.
	tell func(report.Collection)
}

// newLearner returns a learner of this machine, all of it but what is withheld.
func newLearner(withhold privacy.Settings) *learner {
	return &learner{withhold: withhold, host: host.Live(), options: facts.Options{Facts: facts.All(), Memory: facts.NewMemory()}}
}

// changed tells whether a reading would find something new for certain, which
// costs a look at a few files.
func (l *learner) changed() bool { return l.options.Memory.Changed(l.host, l.options.Facts) }

// learn reads the machine, and tells what may be told of it.
func (l *learner) learn(ctx context.Context) (*pb.Observation, error) {
	o, err := l.learnAll(ctx)
	if err != nil {
		return nil, err
	}
	return l.withhold.Apply(o)
}

// learnAll reads the machine, also what must not leave it.
func (l *learner) learnAll(ctx context.Context) (*pb.Observation, error) {
	r := facts.Collect(ctx, l.host, l.options)
	l.cost = report.Collection{At: r.At, Took: max(l.host.Now().Sub(r.At), 0)}
	for _, c := range r.Costs {
		l.cost.Facts = append(l.cost.Facts, report.FactCost{Name: c.Name, Took: c.Took, KeptSince: c.KeptSince})
	}
	if l.tell != nil {
		l.tell(l.cost)
	}
	return r.Observation(), ctx.Err()
}
