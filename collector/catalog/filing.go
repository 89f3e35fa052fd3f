package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/merge"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// maxClaimants is how many observations may carry one identifier before it is
// taken to identify nothing: more than that is a placeholder that no list has.
const maxClaimants = 50

// filing is one run of one transaction of Apply.
type filing struct {
	catalog   *Catalog
	tx        *store.Tx
	ref       store.Ref
	claimants map[identity.Key][]store.Ref
	asset     string
	// rows is how many software rows ref states, -1 for none.
	rows     int
	observed time.Time
	changes  []Change
}

func newFiling(c *Catalog, tx *store.Tx, ref store.Ref) *filing {
	return &filing{catalog: c, tx: tx, ref: ref, claimants: make(map[identity.Key][]store.Ref)}
}

// part is one member of an asset, loaded.
type part struct {
	ref    store.Ref
	o      *pb.Observation
	member *pb.MemberRecord
	keys   []identity.Key
}

func (f *filing) kind(source string) (string, error) {
	if k, ok := f.catalog.kinds.Load(source); ok {
		return k.(string), nil
	}
	r, err := f.tx.Source(source)
	if errors.Is(err, store.ErrNotFound) {
		return "", fmt.Errorf("%w: %q: declare it first with PUT /v1/sources/%s", ErrUndeclared, source, source)
	}
	if err == nil {
		f.catalog.kinds.Store(source, r.GetKind())
	}
	return r.GetKind(), err
}

// load reads a member; o is its observation where that is at hand.
func (f *filing) load(ref store.Ref, o *pb.Observation) (part, error) {
	p := part{ref: ref, o: o}
	var err error
	if o == nil {
		if p.o, err = f.tx.Observation(ref); err != nil {
			return p, fmt.Errorf("member %s: %w", ref, err)
		}
	}
	p.keys, _ = identity.Keys(p.o)
	if p.member, err = f.tx.Member(ref); errors.Is(err, store.ErrNotFound) {
		p.member, err = &pb.MemberRecord{FirstSeen: timestamppb.New(f.catalog.now())}, nil
	}
	return p, err
}

// refs returns the members of an asset, and its former ids.
func (f *filing) refs(assetID string) ([]store.Ref, []string, error) {
	a, err := f.tx.Asset(assetID)
	if err != nil {
		return nil, nil, fmt.Errorf("asset %s: %w", assetID, err)
	}
	var refs []store.Ref
	for _, s := range a.GetSources() {
		refs = append(refs, store.Ref{Source: s.GetSource(), ID: s.GetSourceId()})
	}
	return refs, a.GetRedirects(), nil
}

// refresh merges an asset whose members are the same as before.
func (f *filing) refresh(assetID string, o *pb.Observation) error {
	refs, redirects, err := f.refs(assetID)
	if err != nil {
		return err
	}
	var parts []part
	for _, ref := range refs {
		var at *pb.Observation
		if ref == f.ref {
			at = o
		}
		p, err := f.load(ref, at)
		if err != nil {
			return err
		}
		parts = append(parts, p)
	}
	return f.put(assetID, redirects, parts)
}

// put merges parts into an asset and stores it.
func (f *filing) put(assetID string, redirects []string, parts []part) error {
	var stmts []merge.Statement
	for _, p := range parts {
		kind, err := f.kind(p.ref.Source)
		if err != nil {
			return err
		}
		rows := f.rows
		if p.ref != f.ref {
			if rows, err = f.countRows(p.ref); err != nil {
				return err
			}
		}
		stmts = append(stmts, merge.Statement{Observation: p.o, Kind: kind, FirstSeen: p.member.GetFirstSeen().AsTime(), SoftwareRows: rows})
	}
	a := merge.Merge(assetID, redirects, stmts)
	undate(a)
	if err := f.tx.PutAsset(a); err != nil {
		return err
	}
	f.changed(assetID, a)
	return nil
}

func (f *filing) changed(assetID string, a *pb.Asset) {
	f.changes = append(f.changes, Change{Sequence: f.catalog.sequence.Add(1), AssetID: assetID, Asset: a})
}

// regroup decides anew which members belong together, among those of the
// assets that the observation was part of or now shares an identifier with.
func (f *filing) regroup(o *pb.Observation, member *pb.MemberRecord, keys []identity.Key) error {
	touched := make(map[string][]string) // asset id -> its former ids
	parts := make(map[store.Ref]part)
	visit := func(assetID string) error {
		if _, ok := touched[assetID]; ok || assetID == "" {
			return nil
		}
		refs, redirects, err := f.refs(assetID)
		if err != nil {
			return err
		}
		touched[assetID] = redirects
		for _, ref := range refs {
			if ref == f.ref {
				continue
			}
			if parts[ref], err = f.load(ref, nil); err != nil {
				return err
			}
		}
		return nil
	}
	self, err := f.load(f.ref, o)
	if err != nil {
		return err
	}
	parts[f.ref] = self
	if err := visit(member.GetAssetId()); err != nil {
		return err
	}
	for _, k := range keys {
		claimants, err := f.claimantsOf(k)
		if err != nil {
			return err
		}
		for _, ref := range claimants {
			m, err := f.tx.Member(ref)
			if err == nil {
				err = visit(m.GetAssetId())
			}
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
	}
	return f.assign(touched, parts)
}

// assign groups the parts, gives each group an asset, and lets the ids that
// are no longer used answer with the asset that holds their oldest member.
func (f *filing) assign(touched map[string][]string, parts map[store.Ref]part) error {
	ordered := make([]part, 0, len(parts))
	for _, p := range parts {
		ordered = append(ordered, p)
	}
	// Oldest first; so groups are numbered by their oldest member, too.
	slices.SortFunc(ordered, func(a, b part) int {
		return cmp.Or(a.member.GetFirstSeen().AsTime().Compare(b.member.GetFirstSeen().AsTime()),
			cmp.Compare(a.ref.Source, b.ref.Source), cmp.Compare(a.ref.ID, b.ref.ID))
	})
	keys := make([][]identity.Key, len(ordered))
	for i, p := range ordered {
		var err error
		if keys[i], err = f.trusted(p.keys); err != nil {
			return err
		}
	}
	var groups [][]part
	for i, g := range identity.Group(keys) {
		if g == len(groups) {
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], ordered[i])
	}
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
	for g, group := range groups {
		if err := f.move(ids[g], touched, into, group); err != nil {
			return err
		}
	}
	return nil
}

// claimantsOf returns the observations that carry a key, and none for one that
// too many carry.
func (f *filing) claimantsOf(k identity.Key) ([]store.Ref, error) {
	if refs, ok := f.claimants[k]; ok {
		return refs, nil
	}
	refs, err := f.tx.Claimants(k.Identifier(), maxClaimants+1)
	if err != nil {
		return nil, err
	}
	if len(refs) > maxClaimants {
		refs = nil
	}
	f.claimants[k] = refs
	return refs, nil
}

// trusted leaves out the keys that too many observations claim.
func (f *filing) trusted(keys []identity.Key) ([]identity.Key, error) {
	var out []identity.Key
	for _, k := range keys {
		refs, err := f.claimantsOf(k)
		if err != nil {
			return nil, err
		}
		if len(refs) > 0 {
			out = append(out, k)
		}
	}
	return out, nil
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
func (f *filing) move(id string, touched map[string][]string, into map[string]string, group []part) error {
	redirects := slices.Clone(touched[id])
	for was, now := range into {
		if now != id {
			continue
		}
		redirects = append(append(redirects, was), touched[was]...)
		if err := f.tx.PutRedirect(was, id); err != nil {
			return err
		}
		if err := f.tx.DeleteAsset(was); err != nil {
			return err
		}
		f.changed(was, nil)
	}
	slices.Sort(redirects)
	redirects = slices.Compact(redirects)
	shared := len(group) > 1 || len(redirects) > 0
	for _, p := range group {
		if p.ref == f.ref {
			f.asset = id
		}
		if p.member.GetAssetId() == id && p.member.GetShared() == shared {
			continue
		}
		m := &pb.MemberRecord{AssetId: id, FirstSeen: p.member.GetFirstSeen(), Shared: shared}
		if err := f.tx.PutMember(p.ref, m); err != nil {
			return err
		}
	}
	return f.put(id, redirects, group)
}
