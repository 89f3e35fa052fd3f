package facts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	// defaultTimeout is how long one fact may take; a whole collection takes
	// some 60 ms on a healthy machine.
	defaultTimeout = 20 * time.Second
	// maxProblemText is the number of bytes of an error that a report carries.
	maxProblemText = 2 << 10
)

// Options say how to collect. The zero value is good.
type Options struct {
	// Facts are what to learn, in that order; empty means All(). Some facts
	// keep what was costly to learn, so whoever collects repeatedly calls All
	// once and hands in the same facts each time.
	Facts []Fact
	// Timeout is how long one fact may take; 0 means 20 seconds.
	Timeout time.Duration
	// Skip names facts that are switched off, as if they did not exist.
	Skip []string
	// Memory keeps what facts found for the next collection; nil learns all.
	Memory *Memory
}

// Result is what a collection gives.
type Result struct {
	// At is when the collection began.
	At     time.Time
	Device *pb.Device
	// Sections has the state of every section, in the order of section.Names.
	Sections []*pb.SectionStatus
	// Problems has every fact that could not be learnt wholly.
	Problems []*pb.Problem
	// Costs has every fact that was tried or kept, in that order.
	Costs []Cost
}

// Cost is the time that one fact took.
type Cost struct {
	Name string
	Took time.Duration
	// KeptSince is when the fact was learnt, where it was not due now; else zero.
	KeptSince time.Time
	// Waits is why the fact was kept although it was due; else empty.
	Waits string
	// HangsSince is when the fact was begun that was given up on and has not
	// returned: it is not begun again until it did. Else zero.
	HangsSince time.Time
}

// Collect learns every fact that the host's OS can tell, one after the other.
// It always returns: a fact that panics, fails or takes too long becomes a
// problem and makes its section partial or failed, and harms no other.
func Collect(ctx context.Context, h *host.Host, opts Options) Result {
	list := opts.Facts
	if len(list) == 0 {
		list = All()
	}
	c := collection{host: h, timeout: opts.Timeout, memory: opts.Memory, sections: make(map[string]*progress), out: Result{At: h.Now(), Device: new(pb.Device)}}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	for _, f := range list {
		if !f.on(h.OS) {
			continue
		}
		p := c.sections[f.Section]
		if p == nil {
			p = new(progress)
			c.sections[f.Section] = p
		}
		if slices.Contains(opts.Skip, f.Name) {
			continue
		}
		p.tried++
		c.learn(ctx, f, p)
	}
	for _, name := range section.Names() {
		c.out.Sections = append(c.out.Sections, c.status(name))
	}
	return c.out
}

// Observe returns what Collect gives as the observation that an agent reports,
// without the source_id, which is the agent's own name.
func Observe(ctx context.Context, h *host.Host, opts Options) *pb.Observation {
	return Collect(ctx, h, opts).Observation()
}

// Observation is what Observe returns.
func (r Result) Observation() *pb.Observation {
	return &pb.Observation{
		Source:     "agent",
		ObservedAt: timestamppb.New(r.At),
		Sections:   r.Sections,
		Problems:   r.Problems,
		Subject:    &pb.Observation_Device{Device: r.Device},
	}
}

// collection is one run of Collect.
type collection struct {
	host    *host.Host
	timeout time.Duration
	memory  *Memory
	// strain is what strains the machine, nil until that was asked.
	strain   *strain
	sections map[string]*progress
	out      Result
}

// progress counts the facts of one section.
type progress struct {
	tried, absent int
	failed        []string
}

// learn tries one fact and files what came of it.
func (c *collection) learn(ctx context.Context, f Fact, p *progress) {
	begin := c.host.Now()
	// Looked at before the fact is learnt: what changes meanwhile is seen next time.
	stamps, err := c.look(ctx, f)
	if err != nil {
		c.file(f, p, begin, nil, err)
		return
	}
	if k, ok := c.recall(ctx, f, stamps); ok {
		cost := Cost{Name: f.Name, Took: max(c.host.Now().Sub(begin), 0), KeptSince: k.at}
		if !k.dueSince.IsZero() {
			cost.Waits = c.strain.why
		}
		c.out.Costs = append(c.out.Costs, cost)
		if k.absent {
			p.absent++
		}
		return
	}
	learnt, err := c.try(ctx, f)
	c.remember(f, begin, stamps, learnt, err)
	c.file(f, p, begin, learnt, err)
}

// file files what came of a fact that was tried.
func (c *collection) file(f Fact, p *progress, begin time.Time, learnt *pb.Device, err error) {
	took := max(c.host.Now().Sub(begin), 0)
	c.out.Costs = append(c.out.Costs, Cost{Name: f.Name, Took: took, HangsSince: f.hangsSince()})
	if learnt != nil {
		section.Replace(c.out.Device, learnt, f.Section)
	}
	switch {
	case err == nil:
	case errors.Is(err, errors.ErrUnsupported):
		p.absent++
	default:
		p.failed = append(p.failed, f.Name)
		c.out.Problems = append(c.out.Problems, &pb.Problem{
			Section: f.Section, Fact: f.Name, Error: problemText(err, c.host.OS), Took: durationpb.New(took),
		})
	}
}

// look returns the stamps of the paths that a fact watches. A path on a file
// system whose server is away hangs like a fact.
func (c *collection) look(ctx context.Context, f Fact) (stamps []pathState, err error) {
	watched := f.watched()
	if len(watched) == 0 {
		return nil, nil
	}
	var seen []pathState
	ended, err := c.bounded(ctx, f, func(context.Context) error { seen = stampsOf(c.host, watched); return nil })
	if !ended || err != nil {
		return nil, fmt.Errorf("look at what it watches: %w", err)
	}
	return seen, nil
}

// try runs one fact on a copy of its section, which is the fact's own: one that
// is given up on cannot touch what the others find. It returns the copy as the
// fact left it, nil when it must not be used.
func (c *collection) try(ctx context.Context, f Fact) (*pb.Device, error) {
	scratch := copySection(c.out.Device, f.Section)
	ended, err := c.bounded(ctx, f, func(ctx context.Context) error { return f.Learn(ctx, c.host, scratch) })
	if !ended || crashed(err) {
		return nil, err
	}
	return scratch, err
}

// copySection returns a device that has a copy of one section. Rows of
// software are shared, since facts add rows and change none.
func copySection(d *pb.Device, name string) *pb.Device {
	if name == section.Software {
		return &pb.Device{Software: slices.Clone(d.Software)}
	}
	return proto.CloneOf(section.Extract(d, name))
}

// status sums up one section.
func (c *collection) status(name string) *pb.SectionStatus {
	s := &pb.SectionStatus{Name: name, State: section.Complete}
	p := c.sections[name]
	switch {
	case p == nil:
		s.State, s.Reason = section.Skipped, "not available on "+c.host.OS
	case p.tried == 0:
		s.State, s.Reason = section.Skipped, "switched off"
	case len(p.failed) > 0:
		s.State, s.Reason = section.Failed, "not learnt: "+strings.Join(p.failed, ", ")
		if proto.Size(section.Extract(c.out.Device, name)) > 0 {
			s.State, s.Reason = section.Partial, "not learnt wholly: "+strings.Join(p.failed, ", ")
		}
	case p.absent == p.tried:
		s.State, s.Reason = section.Skipped, "this machine has none of its sources"
	}
	return s
}

// askRights tells, by system, what to do about what the system shows to its
// administrators only.
var askRights = map[string]string{
	"linux":   "run the agent as root or grant CAP_DAC_READ_SEARCH",
	"darwin":  "run the agent as root, and allow it full disk access under Privacy & Security",
	"windows": "run the agent as administrator, or as the service, which is SYSTEM",
}

// problemText makes an error fit for a report: valid UTF-8, bounded, and saying
// what to do about it where that is known on a system.
func problemText(err error, goos string) string {
	text := err.Error()
	if ask := askRights[goos]; ask != "" && errors.Is(err, fs.ErrPermission) {
		text += ": " + ask
	}
	return strings.ToValidUTF8(text[:min(len(text), maxProblemText)], "\uFFFD")
}
