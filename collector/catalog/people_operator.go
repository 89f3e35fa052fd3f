package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// AssertPerson lets an operator state fields of a person, as Assert does of an
// asset, and returns the person's id.
func (c *Catalog) AssertPerson(ctx context.Context, by, personID string, change func(*pb.Profile) error) (string, error) {
	f, err := c.update(ctx, store.Ref{}, func(f *filing) error {
		f.cause = store.Ref{Source: Operator, ID: by}
		p, err := f.tx.ResolvePerson(personID)
		if err != nil {
			return err
		}
		f.asset = p.GetId()
		return f.assertPerson(by, p, change)
	})
	if err != nil {
		return "", fmt.Errorf("assert fields of person %s: %w", personID, err)
	}
	return f.asset, nil
}

func (f *filing) assertPerson(by string, p *adminpb.Person, change func(*pb.Profile) error) error {
	spoken, before, err := f.spokenOf(p)
	if err != nil {
		return err
	}
	profile := new(pb.Profile)
	if before != nil {
		profile = proto.CloneOf(before.GetPerson())
	}
	if err := change(profile); err != nil {
		return err
	}
	f.ref = spoken
	switch {
	case proto.Size(profile) == 0 && before == nil:
		return nil
	case proto.Size(profile) == 0:
		self, err := f.loadPerson(f.ref)
		if err != nil {
			return err
		}
		return f.withdrawPerson(self.part)
	case before == nil:
		if err := f.anchorPerson(by, p); err != nil {
			return err
		}
	}
	if err := checkProfile(profile); err != nil {
		return err
	}
	o := &pb.Observation{Source: spoken.Source, SourceId: spoken.ID, ObservedAt: timestamppb.New(f.catalog.now()), Subject: &pb.Observation_Person{Person: profile}}
	if err := Check(o); err != nil {
		return err
	}
	return f.filePerson(o)
}

// spokenOf returns the record of what operators say of a person, and what it
// says: nil, and the name of a new one, where they say nothing.
func (f *filing) spokenOf(p *adminpb.Person) (store.Ref, *pb.Observation, error) {
	for _, s := range p.GetSources() {
		if s.GetSource() == Operator {
			ref := store.Ref{Source: Operator, ID: s.GetSourceId()}
			o, err := f.tx.Observation(ref)
			return ref, o, err
		}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return store.Ref{}, nil, fmt.Errorf("name what an operator says: %w", err)
	}
	return store.Ref{Source: Operator, ID: id.String()}, nil, nil
}

// anchorPerson ties what an operator says of a person to the oldest record of
// them.
func (f *filing) anchorPerson(by string, p *adminpb.Person) error {
	to, err := f.oldestOf(p, store.Ref{})
	if err != nil {
		return err
	}
	return f.say(&storagepb.StatementRecord{By: by, Same: true, Anchor: true, SubjectSource: f.ref.Source, SubjectId: f.ref.ID, OtherSource: to.Source, OtherId: to.ID})
}

// oldestOf returns the first record of a person that is no operator's, and not
// the one left out.
func (f *filing) oldestOf(p *adminpb.Person, without store.Ref) (store.Ref, error) {
	var parts []part
	for _, s := range p.GetSources() {
		ref := store.Ref{Source: s.GetSource(), ID: s.GetSourceId()}
		if ref.Source == Operator || ref == without {
			continue
		}
		loaded, err := f.loadPerson(ref)
		if err != nil {
			return store.Ref{}, err
		}
		parts = append(parts, loaded.part)
	}
	if len(parts) == 0 {
		return store.Ref{}, fmt.Errorf("person %s is only what an operator says of them: %w", p.GetId(), store.ErrNotFound)
	}
	return slices.MinFunc(parts, compareParts).ref, nil
}

// unanchorPerson does what is due to what operators say when a record about a
// person is withdrawn: their own goes with what tied it, and what was tied to
// another record is tied to one that is left.
func (f *filing) unanchorPerson(p part) error {
	spoken, err := f.tx.StatementsOf(p.ref)
	if err != nil {
		return err
	}
	for _, s := range spoken {
		if !s.GetAnchor() {
			continue
		}
		if subjectOf(s) == p.ref {
			if err := f.tx.DeleteStatement(s); err != nil {
				return err
			}
			continue
		}
		person, err := f.tx.Person(p.member.GetAssetId())
		if err != nil {
			return err
		}
		to, err := f.oldestOf(person, p.ref)
		if errors.Is(err, store.ErrNotFound) {
			// The operator's word is all that is left; it counts again once the
			// record comes back.
			continue
		}
		if err != nil {
			return err
		}
		if err := f.tx.DeleteStatement(s); err != nil {
			return err
		}
		s = proto.CloneOf(s)
		s.OtherSource, s.OtherId = to.Source, to.ID
		if err := f.tx.PutStatement(s); err != nil {
			return err
		}
	}
	return nil
}

// SayPerson lets an operator state that two records are about one person, or are
// not, as Say does of things.
func (c *Catalog) SayPerson(ctx context.Context, by string, same bool, subject, other store.Ref) (*storagepb.StatementRecord, error) {
	if subject == other {
		return nil, fmt.Errorf("%w: %s is compared with itself", ErrInvalid, subject)
	}
	s := &storagepb.StatementRecord{By: by, Same: same, SubjectSource: subject.Source, SubjectId: subject.ID, OtherSource: other.Source, OtherId: other.ID}
	_, err := c.update(ctx, store.Ref{}, func(f *filing) error {
		f.cause = store.Ref{Source: Operator, ID: by}
		for _, ref := range []store.Ref{subject, other} {
			if _, err := f.tx.PersonMember(ref); err != nil {
				return fmt.Errorf("record %s of a person: %w", ref, err)
			}
		}
		if err := f.say(s); err != nil {
			return err
		}
		return f.regroupPeople(subject, other)
	})
	if err != nil {
		return nil, fmt.Errorf("file an operator's statement: %w", err)
	}
	return s, nil
}

// speaksOfPeople tells whether an operator's statement is about people.
func (f *filing) speaksOfPeople(s *storagepb.StatementRecord) (bool, error) {
	for _, ref := range []store.Ref{subjectOf(s), otherOf(s)} {
		_, err := f.tx.PersonMember(ref)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return false, err
		}
	}
	return false, nil
}

// regroupPeople decides anew who the people are of records and of all that bears
// on them.
func (f *filing) regroupPeople(refs ...store.Ref) error {
	c := newCrowd(f)
	for _, ref := range refs {
		if err := c.visit(ref); err != nil {
			return err
		}
	}
	if err := c.complete(); err != nil {
		return err
	}
	f.owners = true
	if err := f.assignPeople(c); err != nil {
		return err
	}
	return f.reown(c)
}
