package catalog

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/merge"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// PersonChange tells that a person came to be, changed, or is no more.
type PersonChange struct {
	// Sequence is that of the change log, as for Change.
	Sequence uint64
	PersonID string
	// Kind is Created, Changed, United or Withdrawn.
	Kind string
	// Person is the new record without the times that DatePerson fills in, nil
	// where the person is no more. It is shared and must not be modified.
	Person *adminpb.Person
}

// OnPersonChange lets fn hear of every change of a person once it is durable. It
// is to be called before the first Accept.
func (c *Catalog) OnPersonChange(fn func(PersonChange)) { c.onPerson = append(c.onPerson, fn) }

// checkProfile refuses words that no vocabulary has: a status that is misspelt
// would leave somebody who left among the living.
func checkProfile(p *pb.Profile) error {
	switch p.GetStatus() {
	case "", merge.StatusActive, merge.StatusSuspended, merge.StatusDeparted:
	default:
		return fmt.Errorf("%w: person.status %.50q is none of: active, suspended, departed", ErrInvalid, p.GetStatus())
	}
	switch p.GetType() {
	case "", "employee", "contractor", "guest", "service":
	default:
		return fmt.Errorf("%w: person.type %.50q is none of: employee, contractor, guest, service", ErrInvalid, p.GetType())
	}
	return nil
}

// filePerson stores the observation and brings the people it touches, and the
// assets that are theirs, up to date.
func (f *filing) filePerson(o *pb.Observation) error {
	if _, err := f.catalog.screen(o); err != nil {
		return err
	}
	if _, err := f.source(f.ref.Source); err != nil {
		return err
	}
	held := &Held{tx: f.tx, ref: f.ref}
	var err error
	if held.Head, err = f.tx.Head(f.ref); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	before, err := held.Observation()
	if err != nil {
		return err
	}
	s, err := f.catalog.weigh(held, o, SoftwareChange{})
	if err != nil {
		return err
	}
	f.observed = s.Observation.GetObservedAt().AsTime()
	head := nextHead(held.Head, s)
	if err := f.tx.PutHead(f.ref, head); err != nil {
		return err
	}
	member, err := f.tx.PersonMember(f.ref)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	// Of several who tell of one person, the newer word counts.
	if s.SameContent && member != nil && !member.GetShared() && proto.Equal(head.GetFirstObserved(), held.Head.GetFirstObserved()) {
		f.asset = member.GetAssetId()
		return nil
	}
	now := o
	if s.SameContent {
		now = &pb.Observation{Source: o.GetSource(), SourceId: o.GetSourceId(), ObservedAt: s.Observation.GetObservedAt(),
			Identifiers: before.GetIdentifiers(), Subject: before.GetSubject()}
	} else if err := f.tx.PutContent(o); err != nil {
		return err
	}
	return f.placePerson(before, part{ref: f.ref, o: now, head: head, member: member})
}

// placePerson brings the people up to date that an observation was and is about.
func (f *filing) placePerson(before *pb.Observation, self part) error {
	p, err := f.readPerson(self)
	if err != nil {
		return err
	}
	var was identity.PersonClaim
	if before != nil {
		old, err := f.readPerson(part{ref: self.ref, o: before})
		if err != nil {
			return err
		}
		was = old.says
	}
	if err := f.claimPerson(was, p.says); err != nil {
		return err
	}
	f.owners = !slices.Equal(was.Keys, p.says.Keys) || was.Departed != p.says.Departed
	c := newCrowd(f)
	c.add(p)
	if err := c.visitKeys(was.Keys); err != nil {
		return err
	}
	if err := c.complete(); err != nil {
		return err
	}
	if err := f.assignPeople(c); err != nil {
		return err
	}
	return f.reown(c)
}

// withdrawPerson takes back an observation about a person.
func (f *filing) withdrawPerson(self part) error {
	p, err := f.readPerson(self)
	if err != nil {
		return err
	}
	member, err := f.tx.PersonMember(f.ref)
	if err != nil {
		return fmt.Errorf("person of %s: %w", f.ref, err)
	}
	if err := errors.Join(f.claimPerson(p.says, identity.PersonClaim{}), f.unanchorPerson(part{ref: f.ref, member: member})); err != nil {
		return err
	}
	if err := errors.Join(f.tx.DeleteObservation(f.ref), f.tx.DeletePersonMember(f.ref), f.tx.DeleteLastSeen(f.ref)); err != nil {
		return err
	}
	f.owners = true
	c := newCrowd(f)
	if err := errors.Join(c.visitKeys(p.says.Keys), c.visitPerson(member.GetAssetId())); err != nil {
		return err
	}
	if err := c.complete(); err != nil {
		return err
	}
	if err := f.assignPeople(c); err != nil {
		return err
	}
	if err := f.endPersonIfEmpty(member.GetAssetId(), c); err != nil {
		return err
	}
	return f.reown(c)
}

// endPersonIfEmpty ends a person whom none of the records is about any more.
func (f *filing) endPersonIfEmpty(id string, c *crowd) error {
	p, err := f.tx.Person(id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, s := range p.GetSources() {
		if _, ok := c.parts[store.Ref{Source: s.GetSource(), ID: s.GetSourceId()}]; ok {
			return nil
		}
	}
	return f.endPerson(id, "")
}

// putPerson merges parts into a person and stores it.
func (f *filing) putPerson(id string, redirects []string, parts []part) error {
	var stmts []merge.Statement
	for _, p := range parts {
		source, err := f.source(p.ref.Source)
		if err != nil {
			return err
		}
		stmts = append(stmts, merge.Statement{Observation: p.o, Kind: source.GetKind(), FirstSeen: p.first()})
	}
	p := merge.Person(id, redirects, stmts)
	undatePerson(p)
	before, changed, err := f.tx.PutPerson(p)
	if err != nil || !changed {
		return err
	}
	f.owners = f.owners || !sameOwner(before, p)
	if before == nil {
		return f.personHappened(id, p, &storagepb.EventRecord{Kind: Created, From: origin(id, parts)})
	}
	e := &storagepb.EventRecord{Kind: Changed, Because: f.because}
	if e.Changes, err = f.toldOf(before, p); err != nil {
		return err
	}
	return f.personHappened(id, p, e)
}

// endPerson removes a person who is no more: into is whom they became part of,
// empty where nobody states them any longer.
func (f *filing) endPerson(id, into string) error {
	if err := f.tx.DeletePerson(id); err != nil {
		return err
	}
	f.owners = true
	kind := Withdrawn
	if into != "" {
		kind = United
	}
	return f.personHappened(id, nil, &storagepb.EventRecord{Kind: kind, Into: into})
}

// undatePerson takes out of a merged record what each pass over a source renews;
// DatePerson puts it back.
func undatePerson(p *adminpb.Person) {
	p.LastSeen = nil
	for _, s := range p.GetSources() {
		s.LastSeen = nil
	}
	for _, from := range p.GetProvenance() {
		from.ObservedAt = nil
	}
	for _, c := range p.GetConflicts() {
		for _, v := range c.GetValues() {
			v.ObservedAt = nil
		}
	}
}

// DatePerson fills in when the sources of a stored person, which must be the
// caller's own, said what it holds, and when they were last heard of.
func (c *Catalog) DatePerson(tx *store.Tx, p *adminpb.Person) error {
	dated := &pb.Asset{Id: p.GetId(), Sources: p.GetSources(), Provenance: p.GetProvenance(), Conflicts: p.GetConflicts()}
	err := c.Date(tx, dated)
	p.LastSeen = dated.GetLastSeen()
	return err
}
