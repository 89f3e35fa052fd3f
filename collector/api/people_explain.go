package api

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// ExplainPerson says why the records of a person are about one.
func (s *Service) ExplainPerson(ctx context.Context, r *adminpb.ExplainPersonRequest) (*adminpb.PersonExplanation, error) {
	f := s.fleet(ctx)
	var id string
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		p, err := f.person(tx, r.GetId())
		id = p.GetId()
		return err
	})
	if err != nil {
		return nil, s.answer("read the person", err)
	}
	e, err := s.Catalog.ExplainPerson(ctx, id)
	if err == nil && f.scope != nil {
		err = s.Store.View(ctx, func(tx *store.Tx) error { return f.withhold(tx, e) })
	}
	if err != nil {
		return nil, s.answer("explain the person", err)
	}
	return explainedPerson(e), nil
}

// withhold leaves out of an explanation what is said of people whom the caller
// may not see.
func (f fleet) withhold(tx *store.Tx, e *catalog.PersonExplanation) error {
	seen := make(map[string]bool)
	hidden := func(ref store.Ref) (bool, error) {
		m, err := tx.PersonMember(ref)
		if errors.Is(err, store.ErrNotFound) {
			return true, nil
		}
		if err != nil || m.GetAssetId() == e.Person.GetId() {
			return false, err
		}
		if sees, ok := seen[m.GetAssetId()]; ok {
			return !sees, nil
		}
		p, err := tx.Person(m.GetAssetId())
		if err != nil {
			return false, err
		}
		seen[m.GetAssetId()] = len(f.With(addressesOf(p)...)) > 0
		return !seen[m.GetAssetId()], nil
	}
	var bad error
	any := func(refs ...store.Ref) bool {
		return slices.ContainsFunc(refs, func(ref store.Ref) bool {
			is, err := hidden(ref)
			bad = errors.Join(bad, err)
			return is
		})
	}
	e.Refusals = slices.DeleteFunc(e.Refusals, func(r identity.Refusal) bool { return any(storeRefs(r.Records)...) })
	e.Ties = slices.DeleteFunc(e.Ties, func(t identity.Tie) bool { return any(storeRefs(t.Records)...) })
	e.Statements = slices.DeleteFunc(e.Statements, func(s *storagepb.StatementRecord) bool {
		return any(store.Ref{Source: s.GetSubjectSource(), ID: s.GetSubjectId()}, store.Ref{Source: s.GetOtherSource(), ID: s.GetOtherId()})
	})
	return bad
}

func storeRefs(records []identity.Ref) []store.Ref {
	out := make([]store.Ref, len(records))
	for i, r := range records {
		out[i] = store.Ref(r)
	}
	return out
}

func explainedPerson(e *catalog.PersonExplanation) *adminpb.PersonExplanation {
	out := &adminpb.PersonExplanation{PersonId: e.Person.GetId(), Name: e.Person.GetName(), Conflicts: e.Person.GetConflicts()}
	for _, src := range e.Person.GetSources() {
		rec := &adminpb.ExplainedRecord{Source: src.GetSource(), Kind: src.GetKind(), SourceId: src.GetSourceId(), FirstSeen: src.GetFirstSeen(), LastSeen: src.GetLastSeen()}
		for _, i := range e.Ignored[store.Ref{Source: src.GetSource(), ID: src.GetSourceId()}] {
			rec.Ignored = append(rec.Ignored, &adminpb.IgnoredIdentifier{Identifier: i.Key.String(), Reason: i.Reason})
		}
		out.Records = append(out.Records, rec)
	}
	// What ties an operator's own words to the person is no news to anybody.
	own := func(refs []identity.Ref) bool {
		return slices.ContainsFunc(refs, func(r identity.Ref) bool { return r.Source == catalog.Operator })
	}
	for _, t := range e.Ties {
		if t.Key == (identity.Key{}) && own(t.Records) {
			continue
		}
		tie := &adminpb.ExplainedTie{Records: names(t.Records), Because: t.Because()}
		if t.Key != (identity.Key{}) {
			tie.Identifier = t.Key.String()
		}
		out.Ties = append(out.Ties, tie)
	}
	for _, r := range e.Refusals {
		refusal := &adminpb.ExplainedRefusal{Records: names(r.Records), Reason: r.Reason, Collision: r.Collision, Quarantined: r.Quarantined}
		if r.Key != (identity.Key{}) {
			refusal.Identifier = r.Key.String()
		}
		out.Refusals = append(out.Refusals, refusal)
	}
	for _, st := range e.Statements {
		if !st.GetAnchor() {
			out.Statements = append(out.Statements, operatorStatement(st))
		}
	}
	out.Summary = aboutPeople(sentences(&adminpb.AssetExplanation{Name: out.GetName(), Records: out.GetRecords(), Ties: out.GetTies(), Refusals: out.GetRefusals(), Conflicts: out.GetConflicts()}))
	return out
}

// aboutPeople says of people what sentences says of things.
func aboutPeople(lines []string) []string {
	for i, line := range lines {
		line = strings.Replace(line, " are one thing: ", " are one person: ", 1)
		lines[i] = strings.Replace(line, "which does not make them one thing: ", "which does not make them one person: ", 1)
	}
	return lines
}
