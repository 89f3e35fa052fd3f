package main

import (
	"context"

	"github.com/rollcall-itam/rollcall/agent/facts"
	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/agent/report"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// learner reads one machine again and again.
type learner struct {
	host    *host.Host
	options facts.Options
	// cost is what the last reading cost.
	cost report.Collection
	// tell is told it, nil while there is nobody to tell.
	tell func(report.Collection)
}

// learn reads the machine.
func (l *learner) learn(ctx context.Context) (*pb.Observation, error) {
	r := facts.Collect(ctx, l.host, l.options)
	l.cost = report.Collection{At: r.At, Took: max(l.host.Now().Sub(r.At), 0)}
	for _, c := range r.Costs {
		l.cost.Facts = append(l.cost.Facts, report.FactCost{Name: c.Name, Took: c.Took})
	}
	if l.tell != nil {
		l.tell(l.cost)
	}
	return r.Observation(), ctx.Err()
}
