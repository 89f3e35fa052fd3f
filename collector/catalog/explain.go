package catalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Explanation says why the records of an asset are one thing.
type Explanation struct {
	Asset *pb.Asset
	// Ties unite its records; Refusals are identifiers that they carry and that
	// unite them with nothing, or not with all that carry them.
	Ties     []identity.Tie
	Refusals []identity.Refusal
	// Ignored are, by record, the identifiers that say nothing.
	Ignored map[store.Ref][]identity.Ignored
	// Statements are what operators said of its records.
	Statements []*storagepb.StatementRecord
	// Suggestions are assets that may be the same thing.
	Suggestions []Suggestion
}

// Suggestion is an asset that may be the same thing as another.
type Suggestion struct {
	AssetID string
	identity.Likeness
}

// maxSuggested bounds how many records that share a weak identifier are looked
// at for suggestions.
const maxSuggested = 20

// Explain says why the records of an asset are one thing, by its present or a
// former id. The error wraps store.ErrNotFound for an asset that is not there.
func (c *Catalog) Explain(ctx context.Context, assetID string) (*Explanation, error) {
	var out *Explanation
	err := c.store.View(ctx, func(tx *store.Tx) error {
		f := newFiling(c, tx, store.Ref{})
		a, err := tx.ResolveAsset(assetID)
		if err != nil {
			return err
		}
		if err := c.Date(tx, a); err != nil {
			return err
		}
		var c *component
		var own map[store.Ref]bool
		if out, c, own, err = f.explain(a); err != nil {
			return err
		}
		return f.suggest(out, c, own)
	})
	if err != nil {
		return nil, fmt.Errorf("explain asset %s: %w", assetID, err)
	}
	return out, nil
}

// explain says why the records of an asset are one thing, without suggestions,
// and returns all that hangs together with them and which are its own.
func (f *filing) explain(a *pb.Asset) (*Explanation, *component, map[store.Ref]bool, error) {
	c := newComponent(f)
	if err := c.visitAsset(a.GetId()); err != nil {
		return nil, nil, nil, err
	}
	own := make(map[store.Ref]bool)
	for ref := range c.parts {
		own[ref] = true
	}
	if err := c.complete(); err != nil {
		return nil, nil, nil, err
	}
	res := c.resolve()
	out := &Explanation{Asset: a, Ignored: make(map[store.Ref][]identity.Ignored)}
	concerns := func(refs []identity.Ref) bool {
		return slices.ContainsFunc(refs, func(r identity.Ref) bool { return own[store.Ref(r)] })
	}
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
	for ref := range own {
		if ignored := c.trusted(c.parts[ref].claim).Ignored; len(ignored) > 0 {
			out.Ignored[ref] = ignored
		}
	}
	for _, s := range c.statements {
		if own[store.Ref{Source: s.GetSubjectSource(), ID: s.GetSubjectId()}] || own[store.Ref{Source: s.GetOtherSource(), ID: s.GetOtherId()}] {
			out.Statements = append(out.Statements, s)
		}
	}
	slices.SortFunc(out.Statements, func(a, b *storagepb.StatementRecord) int { return a.GetAt().AsTime().Compare(b.GetAt().AsTime()) })
	return out, c, own, nil
}

// suggest finds the assets that share weak identifiers with this one.
func (f *filing) suggest(out *Explanation, c *component, own map[store.Ref]bool) error {
	for ref := range own {
		for _, k := range c.parts[ref].claim.Weak {
			refs, err := f.tx.Claimants(k.Identifier(), maxSuggested+1)
			if err != nil {
				return err
			}
			if len(refs) > maxSuggested {
				continue
			}
			for _, other := range refs {
				if err := c.visit(other); err != nil {
					return err
				}
			}
		}
	}
	if err := c.complete(); err != nil {
		return err
	}
	claims, statements := c.claims()
	for _, s := range identity.Suggest(claims, statements, c.resolve()) {
		a, b := store.Ref(s.A), store.Ref(s.B)
		mine, other := c.parts[a].member.GetAssetId(), c.parts[b].member.GetAssetId()
		if other == out.Asset.GetId() {
			mine, other = other, mine
		}
		if mine == out.Asset.GetId() && other != mine {
			out.Suggestions = append(out.Suggestions, Suggestion{AssetID: other, Likeness: s.Likeness})
		}
	}
	return nil
}

// Words for what is wrong with an asset's identity.
const (
	IssueCollision   = "collision"
	IssueQuarantined = "quarantined"
)

// Issues tells what is wrong with the identity of an asset: an identifier of it
// is carried by another live device, or by more than one thing can be. It is
// empty where nothing is.
func (c *Catalog) Issues(tx *store.Tx, a *pb.Asset) ([]string, error) {
	issues := []string{}
	f := newFiling(c, tx, store.Ref{})
	alone := true
	for _, s := range a.GetSources() {
		m, err := tx.Member(store.Ref{Source: s.GetSource(), ID: s.GetSourceId()})
		if err != nil {
			return nil, fmt.Errorf("identity of asset %s: %w", a.GetId(), err)
		}
		alone = alone && !m.GetShared()
	}
	if alone && len(a.GetSources()) == 1 {
		// A placeholder may still be what it carries; that is no fault of its own.
		return issues, nil
	}
	e, _, _, err := f.explain(a)
	if err != nil {
		return nil, fmt.Errorf("identity of asset %s: %w", a.GetId(), err)
	}
	for _, r := range e.Refusals {
		if r.Collision && !slices.Contains(issues, IssueCollision) {
			issues = append(issues, IssueCollision)
		}
		if r.Quarantined && !slices.Contains(issues, IssueQuarantined) {
			issues = append(issues, IssueQuarantined)
		}
	}
	slices.Sort(issues)
	return issues, nil
}
