package catalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// PersonExplanation says why records are about one person; see Explanation.
type PersonExplanation struct {
	Person     *adminpb.Person
	Ties       []identity.Tie
	Refusals   []identity.Refusal
	Ignored    map[store.Ref][]identity.Ignored
	Statements []*storagepb.StatementRecord
}

// ExplainPerson says why the records of a person are about one, by their present
// or a former id. The error wraps store.ErrNotFound for one who is not there.
func (c *Catalog) ExplainPerson(ctx context.Context, personID string) (*PersonExplanation, error) {
	var out *PersonExplanation
	err := c.store.View(ctx, func(tx *store.Tx) error {
		p, err := tx.ResolvePerson(personID)
		if err != nil {
			return err
		}
		if err := c.DatePerson(tx, p); err != nil {
			return err
		}
		out, err = newFiling(c, tx, store.Ref{}).explainPerson(p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("explain person %s: %w", personID, err)
	}
	return out, nil
}

func (f *filing) explainPerson(p *adminpb.Person) (*PersonExplanation, error) {
	c := newCrowd(f)
	if err := c.visitPerson(p.GetId()); err != nil {
		return nil, err
	}
	own := make(map[store.Ref]bool)
	out := &PersonExplanation{Person: p, Ignored: make(map[store.Ref][]identity.Ignored)}
	for ref := range c.parts {
		own[ref] = true
	}
	if err := c.complete(); err != nil {
		return nil, err
	}
	for ref := range own {
		ignored := slices.Clone(c.parts[ref].says.Ignored)
		for _, k := range c.parts[ref].says.Keys {
			if c.placeholders[k] {
				ignored = append(ignored, identity.Ignored{Key: k, Reason: fmt.Sprintf("more than %d records carry it", identity.MaxClaimants)})
			}
		}
		if len(ignored) > 0 {
			out.Ignored[ref] = ignored
		}
	}
	concerns := func(refs []identity.Ref) bool {
		return slices.ContainsFunc(refs, func(r identity.Ref) bool { return own[store.Ref(r)] })
	}
	res := c.resolve()
	for _, t := range res.Ties {
		if concerns(t.Records) {
			out.Ties = append(out.Ties, t)
		}
	}
	for _, r := range res.Refusals {
		if concerns(r.Records) {
			out.Refusals = append(out.Refusals, r)
		}
	}
	for _, s := range c.statements {
		if own[subjectOf(s)] || own[otherOf(s)] {
			out.Statements = append(out.Statements, s)
		}
	}
	slices.SortFunc(out.Statements, func(a, b *storagepb.StatementRecord) int { return a.GetAt().AsTime().Compare(b.GetAt().AsTime()) })
	return out, nil
}
