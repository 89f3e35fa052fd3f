package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// ErrUndeclared is returned for an observation of a source that was never
// declared.
var ErrUndeclared = errors.New("the source is not declared")

// maxSkew is how far ahead of our clock an observation may be dated.
const maxSkew = 5 * time.Minute

// Accept files one observation with the software it states, in place of what
// its source said before about the same thing, and returns the asset that it
// is about; none where it withdraws what was said. Of several statements about
// one thing that with the latest observed_at holds, in whatever order they come.
// An error that wraps ErrInvalid tells what is wrong with it.
func (c *Catalog) Accept(ctx context.Context, o *pb.Observation) (string, error) {
	if err := c.admit(o); err != nil {
		return "", err
	}
	ref := refOf(o)
	if o.GetGone() {
		return "", c.withdraw(ctx, ref, o.GetObservedAt().AsTime())
	}
	s, err := c.step(ctx, o)
	if err != nil {
		return "", err
	}
	return c.do(ctx, s)
}

func refOf(o *pb.Observation) store.Ref { return store.Ref{Source: o.GetSource(), ID: o.GetSourceId()} }

// admit tells what is wrong with an observation that somebody states.
func (c *Catalog) admit(o *pb.Observation) error {
	if err := Check(o); err != nil {
		return err
	}
	if o.GetSource() == Parts {
		return fmt.Errorf("%w: source %q is the collector's own: a display is stated by a source of yours, with class display", ErrInvalid, Parts)
	}
	if ahead := o.GetObservedAt().AsTime().Sub(c.now()); ahead > maxSkew {
		return fmt.Errorf("%w: observed_at lies %v in the future: set the clock of whoever states it", ErrInvalid, ahead.Round(time.Second))
	}
	return nil
}

// step is what files one observation within a transaction.
type step struct {
	ref store.Ref
	fn  func(*filing) error
	// rows is how many software rows it brings.
	rows int
}

// step does what can be done of filing an observation before the transaction.
func (c *Catalog) step(ctx context.Context, o *pb.Observation) (step, error) {
	s := step{ref: refOf(o)}
	if o.GetPerson() != nil {
		s.fn = func(f *filing) error { return f.filePerson(o) }
		return s, checkProfile(o.GetPerson())
	}
	bare, software, err := c.apart(ctx, o)
	s.rows = len(software.Added)
	s.fn = applying(func(held *Held) (*Statement, error) { return c.weigh(held, bare, software) })
	return s, err
}

// applying files what fn makes of what is held.
func applying(fn func(*Held) (*Statement, error)) func(*filing) error {
	return func(f *filing) error {
		held := &Held{tx: f.tx, ref: f.ref}
		var err error
		if held.Head, err = f.tx.Head(f.ref); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		s, err := fn(held)
		if err != nil {
			return err
		}
		return f.file(held, s)
	}
}

// do files one observation and returns the asset that it is about.
func (c *Catalog) do(ctx context.Context, s step) (string, error) {
	f, err := c.update(ctx, s.ref, s.fn)
	if err != nil {
		return "", c.notFiled(ctx, s.ref, err)
	}
	c.Seen(s.ref, f.observed)
	return f.asset, nil
}

// apart takes the software rows out of an observation.
func (c *Catalog) apart(ctx context.Context, o *pb.Observation) (*pb.Observation, SoftwareChange, error) {
	var software SoftwareChange
	if len(o.GetDevice().GetSoftware()) == 0 {
		return o, SoftwareChange{Drop: true}, nil
	}
	encoded, err := section.Encode(o.GetDevice(), section.Software)
	if err != nil {
		return nil, software, err
	}
	if software.Added, err = c.store.ParseRows(encoded, section.FieldDeviceSoftware); err != nil {
		return nil, software, fmt.Errorf("%w: software: %w", ErrInvalid, err)
	}
	if err := c.store.PrepareTitles(ctx, software.Added); err != nil {
		return nil, software, err
	}
	software.Replace = true
	bare := proto.CloneOf(o)
	bare.GetDevice().Software = nil
	return bare, software, nil
}

// weigh decides whether an observation takes the place of the one that is held.
func (c *Catalog) weigh(held *Held, o *pb.Observation, software SoftwareChange) (*Statement, error) {
	s := &Statement{Observation: o, Software: software}
	before, err := held.Observation()
	if err != nil || before == nil {
		return s, err
	}
	if (before.GetPerson() == nil) != (o.GetPerson() == nil) {
		return nil, fmt.Errorf("%w: what %s stated under this source_id was of another sort, a person or a device: withdraw that first, or use another source_id", ErrInvalid, o.GetSource())
	}
	same, newer, err := compare(before, o)
	if err != nil {
		return nil, err
	}
	if newer {
		s.SameContent = same
		return s, nil
	}
	return &Statement{SameContent: true, Also: o.GetObservedAt().AsTime(), Late: o, Baseline: held.Head.GetBaseline(),
		Observation: &pb.Observation{Source: o.GetSource(), SourceId: o.GetSourceId(),
			ObservedAt: before.GetObservedAt(), Problems: before.GetProblems(), Sections: before.GetSections()}}, nil
}

// compare tells whether two observations say the same, and whether the second
// is the one that holds: the later, and of two of one time that whose encoding
// is greater, so that their order does not matter.
func compare(before, o *pb.Observation) (same, newer bool, err error) {
	options := proto.MarshalOptions{Deterministic: true}
	a, err := options.Marshal(content(before))
	if err != nil {
		return false, false, fmt.Errorf("compare observations: %w", err)
	}
	b, err := options.Marshal(content(o))
	if err != nil {
		return false, false, fmt.Errorf("compare observations: %w", err)
	}
	newer = o.GetObservedAt().AsTime().After(before.GetObservedAt().AsTime())
	if o.GetObservedAt().AsTime().Equal(before.GetObservedAt().AsTime()) {
		newer = bytes.Compare(b, a) >= 0
	}
	return bytes.Equal(a, b), newer, nil
}

// content is what an observation says, without when and how completely.
func content(o *pb.Observation) *pb.Observation {
	return &pb.Observation{Identifiers: o.GetIdentifiers(), Subject: o.GetSubject()}
}

// Apply runs fn in the one transaction of an accepted observation: fn sees
// what is held under ref and returns what is to be held from now on. fn may run
// more than once and runs on the store's only writer, so whatever can be done
// before belongs before. Apply returns the asset that the observation is about.
func (c *Catalog) Apply(ctx context.Context, ref store.Ref, fn func(*Held) (*Statement, error)) (string, error) {
	if err := ref.Check(); err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return c.do(ctx, step{ref: ref, fn: applying(fn)})
}

// notFiled is the error of a statement that was not taken; the name of a record
// about an erased person is not told.
func (c *Catalog) notFiled(ctx context.Context, ref store.Ref, err error) error {
	if gone := (erasedError{}); errors.As(err, &gone) {
		c.refused(ctx, gone.erasure)
		return fmt.Errorf("file an observation of %s: %w", ref.Source, err)
	}
	return fmt.Errorf("file observation %s: %w", ref, err)
}

// update runs fn in one transaction and tells of what it changed once that is
// durable.
func (c *Catalog) update(ctx context.Context, ref store.Ref, fn func(*filing) error) (*filing, error) {
	done, err := c.updateAll(ctx, []step{{ref: ref, fn: fn}})
	if err != nil {
		return nil, err
	}
	return done[0], nil
}

// updateAll runs steps in one transaction, in their order, and tells of what they
// changed once that is durable. An error of one undoes all.
func (c *Catalog) updateAll(ctx context.Context, steps []step) ([]*filing, error) {
	var done []*filing
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		done = done[:0]
		for _, s := range steps {
			f := newFiling(c, tx, s.ref)
			if err := s.fn(f); err != nil {
				return err
			}
			if err := f.reattach(); err != nil {
				return err
			}
			done = append(done, f)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, f := range done {
		c.tell(f)
	}
	return done, nil
}

// tell tells of what one step changed.
func (c *Catalog) tell(f *filing) {
	c.seen.follow(f.follows)
	for _, ref := range f.gone {
		c.forget(ref)
	}
	c.upkeep.note(f.outlooks)
	for _, change := range f.changes {
		for _, notify := range c.onChange {
			notify(change)
		}
	}
	for _, change := range f.people {
		for _, notify := range c.onPerson {
			notify(change)
		}
	}
}

// file stores the statement and brings the assets it touches up to date.
func (f *filing) file(held *Held, s *Statement) error {
	o := s.Observation
	if o.GetSource() != f.ref.Source || o.GetSourceId() != f.ref.ID {
		return fmt.Errorf("%w: the observation names itself %s/%s", ErrInvalid, o.GetSource(), o.GetSourceId())
	}
	if _, err := f.source(f.ref.Source); err != nil {
		return err
	}
	o, err := f.catalog.screen(o)
	if err != nil {
		return err
	}
	f.observed = o.GetObservedAt().AsTime()
	sameCount, err := f.software(s.Software)
	if err != nil {
		return err
	}
	said := *s
	said.Observation = o
	head := nextHead(held.Head, &said)
	if err := f.tx.PutHead(f.ref, head); err != nil {
		return err
	}
	member, err := f.tx.Member(f.ref)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	sameAge := held.Head != nil && proto.Equal(head.GetFirstObserved(), held.Head.GetFirstObserved())
	if s.SameContent && sameCount && sameAge && member != nil && !member.GetShared() {
		// Nothing of the asset changes but when it was confirmed, which is not
		// stored with it.
		f.asset = member.GetAssetId()
		return f.finish(held.Head, head, s, nil)
	}
	before, err := held.Observation()
	if err != nil {
		return err
	}
	now := o
	if s.SameContent {
		if before == nil {
			return fmt.Errorf("%w: it repeats content of %s that is not held", ErrInvalid, f.ref)
		}
		now = &pb.Observation{Source: o.GetSource(), SourceId: o.GetSourceId(), ObservedAt: o.GetObservedAt(),
			Identifiers: before.GetIdentifiers(), Subject: before.GetSubject()}
	} else if err := f.tx.PutContent(o); err != nil {
		return err
	}
	if err := f.place(before, held.Head, part{ref: f.ref, o: now, head: head, member: member}); err != nil {
		return err
	}
	return f.finish(held.Head, head, s, now)
}

// finish notes what hangs on an observation once that has its asset. before is
// the head of what was held, nil for none; o what is held now, nil for what was.
func (f *filing) finish(before, head *storagepb.HeadRecord, s *Statement, o *pb.Observation) error {
	return errors.Join(f.fileParts(listing{before: before, head: head, said: s, now: o}), f.logSoftware())
}

// nextHead returns the head of a statement.
func nextHead(held *storagepb.HeadRecord, s *Statement) *storagepb.HeadRecord {
	at := s.Observation.GetObservedAt()
	h := &storagepb.HeadRecord{ObservedAt: at, Problems: s.Observation.GetProblems(), Sections: s.Observation.GetSections(), Baseline: s.Baseline,
		FirstObserved: at, LastObserved: at}
	if held != nil {
		h.FirstObserved, h.LastObserved = held.GetFirstObserved(), held.GetLastObserved()
		h.Parts = held.GetParts()
	}
	times := []time.Time{at.AsTime()}
	if !s.Also.IsZero() {
		times = append(times, s.Also)
	}
	for _, t := range times {
		if t.Before(h.GetFirstObserved().AsTime()) {
			h.FirstObserved = timestamppb.New(t)
		}
		if t.After(h.GetLastObserved().AsTime()) {
			h.LastObserved = timestamppb.New(t)
		}
	}
	return h
}

// software brings the software rows up to date, and tells whether there are as
// many as before.
func (f *filing) software(s SoftwareChange) (sameCount bool, err error) {
	if !s.Replace && !s.Drop && len(s.Removed)+len(s.Added) > 0 {
		done, err := f.tx.ChangeSoftware(f.ref, s.Removed, s.Added, f.observed)
		f.softwareChanged, f.step, f.rows = true, done.Step, done.Now
		return done.Before == done.Now, err
	}
	before, err := f.countRows(f.ref)
	if err != nil {
		return false, err
	}
	switch {
	case s.Replace:
		f.rows = len(s.Added)
		f.softwareChanged, f.step, err = f.tx.ReplaceSoftware(f.ref, s.Added, f.observed)
	case s.Drop:
		f.rows = -1
		f.softwareChanged, err = f.tx.DropSoftware(f.ref, f.observed)
	default:
		f.rows = before
	}
	return before == f.rows, err
}

// countRows returns how many software rows an observation states, -1 for none.
func (f *filing) countRows(ref store.Ref) (int, error) {
	rows, err := f.tx.SoftwareCount(ref)
	if errors.Is(err, store.ErrNotFound) {
		return -1, nil
	}
	return rows, err
}
