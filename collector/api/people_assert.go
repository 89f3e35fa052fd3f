package api

import (
	"context"
	"errors"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// assertableOfPeople are the fields, and the groups of them, of a person on which
// an operator's word may stand. Names, addresses and whether somebody left are
// the directory's to say: whoever is to change them changes them there.
var assertableOfPeople = []string{"title", "type", "department", "division", "company", "cost_center", "manager", "location", "labels"}

// AssertPerson lets an operator state fields of a person, or that they are the
// same as another or are not.
func (s *Service) AssertPerson(ctx context.Context, r *adminpb.AssertPersonRequest) (*adminpb.Person, error) {
	if err := checkPersonAssertion(r); err != nil {
		return nil, err
	}
	var id string
	var pairs []spoken
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		p, err := s.fleet(ctx).person(tx, r.GetId())
		if err != nil {
			return err
		}
		id, pairs = p.GetId(), nil
		for i, name := range slices.Concat(r.GetSameAs(), r.GetNotSameAs()) {
			pair, err := personCompared(tx, p, name)
			if err != nil {
				return err
			}
			pair.same = i < len(r.GetSameAs())
			pairs = append(pairs, pair)
		}
		return nil
	})
	if err != nil {
		return nil, s.answer("read the people", err)
	}
	for _, p := range pairs {
		if _, err := s.Catalog.SayPerson(ctx, actor(ctx), p.same, p.subject, p.other); err != nil {
			return nil, s.refused("file the operator's word", err)
		}
	}
	if r.GetSet() != nil || len(r.GetClear()) > 0 {
		id, err = s.Catalog.AssertPerson(ctx, actor(ctx), id, func(p *pb.Profile) error { return changeProfile(p, r) })
		if err != nil {
			return nil, s.refused("file the operator's word", err)
		}
	}
	return s.GetPerson(ctx, &adminpb.GetPersonRequest{Id: id})
}

func checkPersonAssertion(r *adminpb.AssertPersonRequest) error {
	spoken := len(r.GetClear()) + len(r.GetSameAs()) + len(r.GetNotSameAs())
	switch {
	case r.GetSet() == nil && spoken == 0:
		return status.Error(codes.InvalidArgument, "nothing is stated: give set, clear, same_as or not_same_as")
	case spoken > maxSpoken:
		return status.Errorf(codes.InvalidArgument, "more than %d statements in one call", maxSpoken)
	}
	var bad string
	may := func(path string) {
		ok := slices.ContainsFunc(assertableOfPeople, func(a string) bool { return path == a || strings.HasPrefix(path, a+".") })
		if !ok && bad == "" {
			bad = path
		}
	}
	each(r.GetSet().ProtoReflect(), "", may)
	for _, path := range r.GetClear() {
		may(path)
	}
	if bad != "" {
		return status.Errorf(codes.InvalidArgument, "an operator's word does not count for %.100q of a person, only for: %s", bad, strings.Join(assertableOfPeople, ", "))
	}
	return nil
}

// changeProfile applies an assertion to what operators say so far of a person.
func changeProfile(p *pb.Profile, r *adminpb.AssertPersonRequest) error {
	for _, path := range r.GetClear() {
		if key, ok := strings.CutPrefix(path, "labels."); ok {
			delete(p.Labels, key)
			continue
		}
		if !clearPath(p.ProtoReflect(), path) {
			return status.Errorf(codes.InvalidArgument, "clear names %.100q, which a person does not have", path)
		}
	}
	proto.Merge(p, r.GetSet())
	return nil
}

// personCompared finds the records that stand for a person and for whom they are
// compared with: a name of a person, or source/source_id of a record.
func personCompared(tx *store.Tx, p *adminpb.Person, name string) (spoken, error) {
	var pair spoken
	if source, id, ok := strings.Cut(name, "/"); ok {
		pair.other = store.Ref{Source: source, ID: id}
		if _, err := tx.PersonMember(pair.other); errors.Is(err, store.ErrNotFound) {
			return pair, status.Errorf(codes.NotFound, "nothing is held of a person %.200q", name)
		} else if err != nil {
			return pair, err
		}
	} else {
		other, err := findPerson(tx, name)
		if err != nil {
			return pair, err
		}
		if other.GetId() == p.GetId() {
			return pair, status.Errorf(codes.InvalidArgument, "%.100q is this person already: to part one of their records, name that as source/source_id", name)
		}
		if pair.other, err = standsForPerson(other, store.Ref{}); err != nil {
			return pair, err
		}
	}
	var err error
	pair.subject, err = standsForPerson(p, pair.other)
	return pair, err
}

// standsForPerson returns the oldest record of a person that is not the one left
// out.
func standsForPerson(p *adminpb.Person, without store.Ref) (store.Ref, error) {
	var best *pb.AssetSource
	for _, s := range p.GetSources() {
		if (store.Ref{Source: s.GetSource(), ID: s.GetSourceId()}) == without || s.GetSource() == catalog.Operator {
			continue
		}
		if best == nil || s.GetFirstSeen().AsTime().Before(best.GetFirstSeen().AsTime()) {
			best = s
		}
	}
	if best == nil {
		return store.Ref{}, status.Errorf(codes.FailedPrecondition, "person %s has no other record to compare with", p.GetId())
	}
	return store.Ref{Source: best.GetSource(), ID: best.GetSourceId()}, nil
}
