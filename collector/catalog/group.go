package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// maxComponent bounds how many records are looked at for one statement. It is
// far above what hangs together in any fleet; beyond it the rest stays as it was
// grouped.
const maxComponent = 5000

// place brings the assets up to date that an observation was and is part of.
// before is what its source said before, nil for nothing.
func (f *filing) place(before *pb.Observation, heldHead *storagepb.HeadRecord, self part) error {
	if err := f.read(&self); err != nil {
		return err
	}
	var was identity.Claim
	if before != nil {
		var err error
		if was, err = f.claimOf(before, heldHead); err != nil {
			return err
		}
	}
	sameKeys := slices.Equal(was.Keys, self.claim.Keys)
	if err := f.claim(was, self.claim); err != nil {
		return err
	}
	if self.member != nil && sameKeys && !self.member.GetShared() {
		// Nothing beside it bears on its asset.
		f.asset = self.member.GetAssetId()
		return f.put(f.asset, nil, []part{self})
	}
	c := newComponent(f)
	c.add(self)
	if err := c.visitKeys(was.Keys); err != nil {
		return err
	}
	if err := c.complete(); err != nil {
		return err
	}
	return f.assign(c)
}

// claim brings the identifier index up to date. It has the weak identifiers,
// too: they suggest what may be one thing.
func (f *filing) claim(was, is identity.Claim) error {
	before, now := slices.Concat(was.Keys, was.Weak), slices.Concat(is.Keys, is.Weak)
	for _, k := range before {
		if !slices.Contains(now, k) {
			if err := f.tx.Unclaim(k.Identifier(), f.ref); err != nil {
				return err
			}
		}
	}
	for _, k := range now {
		if !slices.Contains(before, k) {
			if err := f.tx.Claim(k.Identifier(), f.ref); err != nil {
				return err
			}
		}
	}
	return nil
}

// component is the records that bear on each other: they share identifiers, are
// members of one asset, or an operator spoke of them, over any chain.
type component struct {
	f       *filing
	parts   map[store.Ref]part
	waiting []store.Ref
	keys    map[identity.Key]bool
	// placeholders are the identifiers that too many records carry.
	placeholders map[identity.Key]bool
	statements   map[string]*storagepb.StatementRecord
	// assets holds the former ids of each asset that a record is part of.
	assets map[string][]string
}

func newComponent(f *filing) *component {
	return &component{f: f, parts: make(map[store.Ref]part), keys: make(map[identity.Key]bool), placeholders: make(map[identity.Key]bool),
		statements: make(map[string]*storagepb.StatementRecord), assets: make(map[string][]string)}
}

// add takes in a record that is loaded.
func (c *component) add(p part) {
	c.parts[p.ref] = p
	c.waiting = append(c.waiting, p.ref)
}

// visit takes in a record by its name; one that is not held is passed over.
func (c *component) visit(ref store.Ref) error {
	if _, ok := c.parts[ref]; ok {
		return nil
	}
	if len(c.parts) >= maxComponent {
		c.f.catalog.log.Warn("more records hang together than are looked at for one statement", "source", ref.Source, "source_id", ref.ID, "limit", maxComponent)
		return nil
	}
	p, err := c.f.load(ref)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if p.o.GetPerson() == nil {
		c.add(p)
	}
	return nil
}

func (c *component) visitKeys(keys []identity.Key) error {
	for _, k := range keys {
		if c.keys[k] {
			continue
		}
		c.keys[k] = true
		// One more than makes it a placeholder: the record that does so finds
		// those that it parts; what comes after it finds nobody.
		refs, err := c.f.tx.Claimants(k.Identifier(), identity.MaxClaimants+2)
		if err != nil {
			return err
		}
		if len(refs) > identity.MaxClaimants {
			c.placeholders[k] = true
		}
		if len(refs) > identity.MaxClaimants+1 {
			continue
		}
		for _, ref := range refs {
			if err := c.visit(ref); err != nil {
				return err
			}
		}
	}
	return nil
}

// complete visits everything that bears on what was added.
func (c *component) complete() error {
	for len(c.waiting) > 0 {
		ref := c.waiting[0]
		c.waiting = c.waiting[1:]
		p := c.parts[ref]
		if err := c.visitKeys(p.claim.Keys); err != nil {
			return err
		}
		if err := c.visitSpoken(ref); err != nil {
			return err
		}
		if err := c.visitAsset(p.member.GetAssetId()); err != nil {
			return err
		}
	}
	return nil
}

func (c *component) visitSpoken(ref store.Ref) error {
	said, err := c.f.tx.StatementsOf(ref)
	if err != nil {
		return err
	}
	for _, s := range said {
		c.statements[s.GetId()] = s
		for _, other := range []store.Ref{subjectOf(s), otherOf(s)} {
			if err := c.visit(other); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *component) visitAsset(id string) error {
	if _, ok := c.assets[id]; ok || id == "" {
		return nil
	}
	refs, redirects, err := c.f.refs(id)
	if err != nil {
		return err
	}
	c.assets[id] = redirects
	for _, ref := range refs {
		if err := c.visit(ref); err != nil {
			return err
		}
	}
	return nil
}

// resolve decides which of the records are one thing.
func (c *component) resolve() identity.Resolution {
	claims, statements := c.claims()
	return identity.Resolve(claims, statements)
}

// claims returns what the records claim, without the identifiers that too many
// carry, and what operators say of them.
func (c *component) claims() ([]identity.Claim, []identity.Statement) {
	claims := make([]identity.Claim, 0, len(c.parts))
	for _, p := range c.parts {
		claims = append(claims, c.trusted(p.claim))
	}
	return claims, said(c.statements)
}

// subjectOf and otherOf return the records that an operator spoke of.
func subjectOf(s *storagepb.StatementRecord) store.Ref {
	return store.Ref{Source: s.GetSubjectSource(), ID: s.GetSubjectId()}
}

func otherOf(s *storagepb.StatementRecord) store.Ref {
	return store.Ref{Source: s.GetOtherSource(), ID: s.GetOtherId()}
}

// said returns what operators said, in no order.
func said(records map[string]*storagepb.StatementRecord) []identity.Statement {
	statements := make([]identity.Statement, 0, len(records))
	for _, s := range records {
		statements = append(statements, identity.Statement{Same: s.GetSame(), At: s.GetAt().AsTime(), By: s.GetBy(),
			Subject: identity.Ref(subjectOf(s)), Other: identity.Ref(otherOf(s))})
	}
	return statements
}

// trusted sets aside the identifiers of a claim that too many records carry.
func (c *component) trusted(claim identity.Claim) identity.Claim {
	if !slices.ContainsFunc(claim.Keys, func(k identity.Key) bool { return c.placeholders[k] }) {
		return claim
	}
	keys := claim.Keys
	claim.Keys, claim.Ignored = nil, slices.Clone(claim.Ignored)
	for _, k := range keys {
		if c.placeholders[k] {
			claim.Ignored = append(claim.Ignored, identity.Ignored{Key: k, Reason: fmt.Sprintf("more than %d records carry it", identity.MaxClaimants)})
			continue
		}
		claim.Keys = append(claim.Keys, k)
	}
	return claim
}

// compareParts orders records by their age.
func compareParts(a, b part) int {
	return cmp.Or(a.first().Compare(b.first()), strings.Compare(a.ref.Source, b.ref.Source), strings.Compare(a.ref.ID, b.ref.ID))
}

// groups returns the records of each asset-to-be, the oldest first, and the
// groups in the order of their oldest record.
func (c *component) groups() [][]part {
	var groups [][]part
	for _, refs := range c.resolve().Groups {
		group := make([]part, len(refs))
		for i, ref := range refs {
			group[i] = c.parts[store.Ref(ref)]
		}
		slices.SortFunc(group, compareParts)
		groups = append(groups, group)
	}
	slices.SortFunc(groups, func(a, b []part) int { return compareParts(a[0], b[0]) })
	return groups
}

// assign gives each group an asset, and lets the ids that are no longer used
// answer with the asset that holds their oldest member.
func (f *filing) assign(c *component) error {
	groups := c.groups()
	ids, err := assetsOf(groups)
	if err != nil {
		return err
	}
	into := make(map[string]string) // an id no longer used -> the asset it became
	for g, group := range groups {
		for _, p := range group {
			if was := p.member.GetAssetId(); was != "" && !slices.Contains(ids, was) && into[was] == "" {
				into[was] = ids[g]
			}
		}
	}
	// Something else bears on a record unless it is alone here.
	shared := len(c.parts) > 1
	for g, group := range groups {
		if err := f.move(ids[g], c.assets, into, group, shared); err != nil {
			return err
		}
	}
	return nil
}

// assetsOf returns the asset id of each group, oldest first: that of its
// oldest member that no older group has, or a new one.
func assetsOf(groups [][]part) ([]string, error) {
	ids := make([]string, len(groups))
	for g, group := range groups {
		for _, p := range group {
			if id := p.member.GetAssetId(); id != "" && !slices.Contains(ids, id) {
				ids[g] = id
				break
			}
		}
		if ids[g] != "" {
			continue
		}
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("make an asset id: %w", err)
		}
		ids[g] = id.String()
	}
	return ids, nil
}

// move puts a group under an asset id.
func (f *filing) move(id string, touched map[string][]string, into map[string]string, group []part, shared bool) error {
	redirects := slices.Clone(touched[id])
	for was, now := range into {
		if now != id {
			continue
		}
		redirects = append(append(redirects, was), touched[was]...)
		if err := f.tx.PutRedirect(was, id); err != nil {
			return err
		}
		if err := f.end(was, &storagepb.EventRecord{Kind: United, Into: id}); err != nil {
			return err
		}
	}
	slices.Sort(redirects)
	redirects = slices.Compact(redirects)
	shared = shared || len(redirects) > 0
	for _, p := range group {
		if p.ref == f.ref {
			f.asset = id
		}
		if p.member.GetAssetId() == id && p.member.GetShared() == shared {
			continue
		}
		if err := f.tx.PutMember(p.ref, &storagepb.MemberRecord{AssetId: id, Shared: shared}); err != nil {
			return err
		}
		if p.member.GetAssetId() != id && len(p.head.GetParts()) > 0 {
			f.moved = append(f.moved, p)
		}
	}
	return f.put(id, redirects, group)
}
