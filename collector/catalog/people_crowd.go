package catalog

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/merge"
	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// personPart is one member of a person, loaded.
type personPart struct {
	part
	says identity.PersonClaim
}

// readPerson works out what a member claims. A directory lists nobody twice,
// whatever it does with devices.
func (f *filing) readPerson(p part) (personPart, error) {
	s, err := f.source(p.ref.Source)
	if err != nil {
		return personPart{}, err
	}
	return personPart{part: p, says: identity.NewPersonClaim(p.o, s.GetUnique() || s.GetKind() == merge.KindIDP)}, nil
}

// loadPerson reads a member.
func (f *filing) loadPerson(ref store.Ref) (personPart, error) {
	p := part{ref: ref}
	var err error
	if p.o, p.head, err = f.tx.Stated(ref); err != nil {
		return personPart{}, fmt.Errorf("member %s: %w", ref, err)
	}
	if p.member, err = f.tx.PersonMember(ref); err != nil && !errors.Is(err, store.ErrNotFound) {
		return personPart{}, fmt.Errorf("member %s: %w", ref, err)
	}
	return f.readPerson(p)
}

// claimPerson brings the index of people's identifiers up to date.
func (f *filing) claimPerson(was, is identity.PersonClaim) error {
	for _, k := range was.Keys {
		if !slices.Contains(is.Keys, k) {
			if err := f.tx.UnclaimPerson(k.Identifier(), f.ref); err != nil {
				return err
			}
		}
	}
	for _, k := range is.Keys {
		if !slices.Contains(was.Keys, k) {
			if err := f.tx.ClaimPerson(k.Identifier(), f.ref); err != nil {
				return err
			}
		}
	}
	return nil
}

// crowd is the records about people that bear on each other: they share
// identifiers, or are about one person, over any chain.
type crowd struct {
	f            *filing
	parts        map[store.Ref]personPart
	waiting      []store.Ref
	keys         map[identity.Key]bool
	placeholders map[identity.Key]bool
	statements   map[string]*storagepb.StatementRecord
	// people holds the former ids of each person that a record is about.
	people map[string][]string
}

func newCrowd(f *filing) *crowd {
	return &crowd{f: f, parts: make(map[store.Ref]personPart), keys: make(map[identity.Key]bool), placeholders: make(map[identity.Key]bool),
		statements: make(map[string]*storagepb.StatementRecord), people: make(map[string][]string)}
}

func (c *crowd) add(p personPart) {
	c.parts[p.ref] = p
	c.waiting = append(c.waiting, p.ref)
}

// visit takes in a record by its name; one that is not held is passed over.
func (c *crowd) visit(ref store.Ref) error {
	if _, ok := c.parts[ref]; ok {
		return nil
	}
	if len(c.parts) >= maxComponent {
		c.f.catalog.log.Warn("more records of people hang together than are looked at for one statement", "source", ref.Source, "source_id", ref.ID, "limit", maxComponent)
		return nil
	}
	p, err := c.f.loadPerson(ref)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	// An operator's word ties records of people only.
	if p.o.GetPerson() != nil {
		c.add(p)
	}
	return nil
}

func (c *crowd) visitSpoken(ref store.Ref) error {
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

// visitKeys takes in who carries an identifier; see component.visitKeys for
// those that too many carry.
func (c *crowd) visitKeys(keys []identity.Key) error {
	for _, k := range keys {
		if c.keys[k] {
			continue
		}
		c.keys[k] = true
		refs, err := c.f.tx.PersonClaimants(k.Identifier(), identity.MaxClaimants+2)
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

func (c *crowd) visitPerson(id string) error {
	if _, ok := c.people[id]; ok || id == "" {
		return nil
	}
	p, err := c.f.tx.Person(id)
	if err != nil {
		return fmt.Errorf("person %s: %w", id, err)
	}
	c.people[id] = p.GetRedirects()
	for _, s := range p.GetSources() {
		if err := c.visit(store.Ref{Source: s.GetSource(), ID: s.GetSourceId()}); err != nil {
			return err
		}
	}
	return nil
}

// complete visits everything that bears on what was added.
func (c *crowd) complete() error {
	for len(c.waiting) > 0 {
		p := c.parts[c.waiting[0]]
		c.waiting = c.waiting[1:]
		if err := errors.Join(c.visitKeys(p.says.Keys), c.visitSpoken(p.ref), c.visitPerson(p.member.GetAssetId())); err != nil {
			return err
		}
	}
	return nil
}

// resolve decides which of the records are one person.
func (c *crowd) resolve() identity.Resolution {
	claims := make([]identity.PersonClaim, 0, len(c.parts))
	for _, p := range c.parts {
		claim := p.says
		claim.Keys = slices.DeleteFunc(slices.Clone(claim.Keys), func(k identity.Key) bool { return c.placeholders[k] })
		claims = append(claims, claim)
	}
	return identity.ResolvePeople(claims, said(c.statements))
}

// groups returns the records of each person-to-be, the oldest first, and the
// groups in the order of their oldest record.
func (c *crowd) groups() [][]part {
	var groups [][]part
	for _, refs := range c.resolve().Groups {
		group := make([]part, len(refs))
		for i, ref := range refs {
			group[i] = c.parts[store.Ref(ref)].part
		}
		slices.SortFunc(group, compareParts)
		groups = append(groups, group)
	}
	slices.SortFunc(groups, func(a, b []part) int { return compareParts(a[0], b[0]) })
	return groups
}

// assignPeople gives each group a person, as assign does for assets.
func (f *filing) assignPeople(c *crowd) error {
	groups := c.groups()
	ids, err := assetsOf(groups)
	if err != nil {
		return err
	}
	into := make(map[string]string) // an id no longer used -> the person it became
	for g, group := range groups {
		for _, p := range group {
			if was := p.member.GetAssetId(); was != "" && !slices.Contains(ids, was) && into[was] == "" {
				into[was] = ids[g]
			}
		}
	}
	for g, group := range groups {
		if err := f.movePerson(ids[g], c, into, group); err != nil {
			return err
		}
	}
	return nil
}

// movePerson puts a group under the id of a person.
func (f *filing) movePerson(id string, c *crowd, into map[string]string, group []part) error {
	redirects := slices.Clone(c.people[id])
	for was, now := range into {
		if now != id {
			continue
		}
		redirects = append(append(redirects, was), c.people[was]...)
		if err := errors.Join(f.tx.PutRedirect(was, id), f.endPerson(was, id)); err != nil {
			return err
		}
	}
	slices.Sort(redirects)
	redirects = slices.Compact(redirects)
	shared := len(c.parts) > 1 || len(redirects) > 0
	for _, p := range group {
		if p.ref == f.ref {
			f.asset = id
		}
		if p.member.GetAssetId() == id && p.member.GetShared() == shared {
			continue
		}
		if err := f.tx.PutPersonMember(p.ref, &storagepb.MemberRecord{AssetId: id, Shared: shared}); err != nil {
			return err
		}
	}
	return f.putPerson(id, redirects, group)
}

// rebuildPeople makes people anew and returns how many there are.
func (c *Catalog) rebuildPeople(ctx context.Context, redirects map[string][]string, stats *RebuildStats) (int, error) {
	members := make(map[string][]store.Ref)
	err := c.store.View(ctx, func(tx *store.Tx) error {
		return tx.ScanPersonMembers(func(ref store.Ref, m *storagepb.MemberRecord) error {
			members[m.GetAssetId()] = append(members[m.GetAssetId()], ref)
			stats.Observations++
			return ctx.Err()
		})
	})
	if err != nil {
		return 0, fmt.Errorf("read who is who: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(rebuildWriters, runtime.GOMAXPROCS(0)))
	for id, refs := range members {
		g.Go(func() error { return c.rebuildPerson(ctx, id, refs, formerIDs(id, redirects)) })
	}
	return len(members), g.Wait()
}

func (c *Catalog) rebuildPerson(ctx context.Context, id string, refs []store.Ref, redirects []string) error {
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		f := newFiling(c, tx, store.Ref{})
		f.quiet = true
		var parts []part
		for _, ref := range refs {
			p, err := f.loadPerson(ref)
			if err != nil {
				return err
			}
			for _, k := range p.says.Keys {
				if err := tx.ClaimPerson(k.Identifier(), ref); err != nil {
					return err
				}
			}
			parts = append(parts, p.part)
		}
		return f.putPerson(id, redirects, parts)
	})
	if err != nil {
		return fmt.Errorf("person %s: %w", id, err)
	}
	return nil
}
