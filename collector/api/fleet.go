package api

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/scope"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/view"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// fleet is what a caller may see of the fleet. Handlers read assets through it
// and in no other way, which a test holds them to: so no call can forget whom it
// answers. An asset outside is one that does not exist.
//
// What may be seen follows from what an asset is now, or was when it ended, also
// where its past is asked for.
type fleet struct {
	view.Part
	service *Service
	scope   *scope.Scope
}

// fleet returns what the caller of ctx may see.
func (s *Service) fleet(ctx context.Context) fleet {
	sc := callerOf(ctx).scope
	return fleet{Part: s.View.Part(sc), service: s, scope: sc}
}

// asset returns the asset with this very id, or store.ErrNotFound.
func (f fleet) asset(tx *store.Tx, id string) (*pb.Asset, error) {
	a, err := tx.Asset(id)
	if err == nil && !f.scope.Admits(a) {
		return nil, store.ErrNotFound
	}
	if err == nil {
		err = f.detach(tx, a)
	}
	return a, err
}

// detach leaves out of an asset the machine that it is attached to, where that is
// outside of what the caller may see.
func (f fleet) detach(tx *store.Tx, a *pb.Asset) error {
	if f.scope == nil || a.GetAttachedTo() == nil {
		return nil
	}
	host, err := tx.Asset(a.GetAttachedTo().GetAssetId())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err != nil || !f.scope.Admits(host) {
		a.AttachedTo = nil
		delete(a.GetProvenance(), "attached_to")
	}
	return nil
}

// resolve returns an asset by its present or a former id.
func (f fleet) resolve(tx *store.Tx, id string) (*pb.Asset, error) {
	if len(id) > maxID {
		return nil, unknownAsset(id)
	}
	a, err := tx.ResolveAsset(id)
	if errors.Is(err, store.ErrNotFound) || err == nil && !f.scope.Admits(a) {
		return nil, unknownAsset(id)
	}
	if err == nil {
		err = f.detach(tx, a)
	}
	return a, err
}

// each calls fn with all assets whose ids are greater than after, in the order
// of their ids.
func (f fleet) each(tx *store.Tx, after string, fn func(*pb.Asset) error) error {
	return tx.ScanAssets(after, func(a *pb.Asset) error {
		if !f.scope.Admits(a) {
			return nil
		}
		if err := f.detach(tx, a); err != nil {
			return err
		}
		return fn(a)
	})
}

// next returns the smallest id greater than after of an asset that there is or
// was, of which asOf tells whether it may be seen; empty where there is none.
func (f fleet) next(tx *store.Tx, after string) (string, error) { return tx.NextAsset(after) }

// has tells whether an id, present or former, is that of an asset or of one that
// is no more and has left a history.
func (f fleet) has(tx *store.Tx, id string) error {
	_, err := f.resolve(tx, id)
	if status.Code(err) != codes.NotFound || len(id) > maxID {
		return err
	}
	if a, live := tx.ResolveAsset(id); live == nil && a != nil {
		return err // it is outside
	}
	var ended time.Time
	scanned := tx.ScanEvents(id, time.Time{}, func(at time.Time, _ []byte) error {
		ended = at
		return nil
	})
	if scanned != nil || ended.IsZero() {
		return errors.Join(scanned, err)
	}
	if f.scope == nil {
		return nil
	}
	last, lost := f.service.Catalog.AsOf(tx, id, ended.Add(-1))
	if lost != nil || !f.scope.Admits(last) {
		return err
	}
	return nil
}

// asOf returns an asset as it was.
func (f fleet) asOf(tx *store.Tx, id string, at *timestamppb.Timestamp) (*pb.Asset, error) {
	if at.CheckValid() != nil {
		return nil, status.Error(codes.InvalidArgument, "as_of is a time as in 2026-11-25T10:00:00Z")
	}
	if f.scope != nil {
		if err := f.has(tx, id); err != nil {
			return nil, err
		}
	}
	a, err := f.service.Catalog.AsOf(tx, id, at.AsTime())
	switch {
	case errors.Is(err, catalog.ErrNotYet):
		return nil, status.Error(codes.NotFound, err.Error())
	case errors.Is(err, store.ErrNotFound) || len(id) > maxID:
		return nil, unknownAsset(id)
	}
	if err == nil {
		err = f.detach(tx, a)
	}
	return a, err
}

// explain says why the records of an asset are one thing. What it says of assets
// outside is left out.
func (f fleet) explain(ctx context.Context, id string) (*catalog.Explanation, error) {
	if len(id) > maxID {
		return nil, unknownAsset(id)
	}
	e, err := f.service.Catalog.Explain(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && !f.scope.Admits(e.Asset) {
		return nil, unknownAsset(id)
	}
	if err != nil || f.scope == nil {
		return e, err
	}
	own := make(map[store.Ref]bool)
	for _, src := range e.Asset.GetSources() {
		own[store.Ref{Source: src.GetSource(), ID: src.GetSourceId()}] = true
	}
	outside := func(ref store.Ref) bool { return !own[ref] && f.AssetOf(ref) == "" }
	foreign := func(refs []identity.Ref) bool {
		return slices.ContainsFunc(refs, func(ref identity.Ref) bool { return outside(store.Ref(ref)) })
	}
	e.Refusals = slices.DeleteFunc(e.Refusals, func(r identity.Refusal) bool { return foreign(r.Records) })
	e.Ties = slices.DeleteFunc(e.Ties, func(t identity.Tie) bool { return foreign(t.Records) })
	e.Statements = slices.DeleteFunc(e.Statements, func(st *storagepb.StatementRecord) bool {
		subject, other := refsOf(st)
		return outside(subject) || outside(other)
	})
	e.Suggestions = slices.DeleteFunc(e.Suggestions, func(x catalog.Suggestion) bool { return !f.Has([]string{x.AssetID})[0] })
	return e, nil
}

// refsOf returns the records that an operator spoke of.
func refsOf(st *storagepb.StatementRecord) (subject, other store.Ref) {
	return store.Ref{Source: st.GetSubjectSource(), ID: st.GetSubjectId()}, store.Ref{Source: st.GetOtherSource(), ID: st.GetOtherId()}
}

// record tells whether what a source said of one thing is part of an asset that
// the caller may see and change.
func (f fleet) record(ref store.Ref) bool { return f.scope == nil || f.AssetOf(ref) != "" }

// spoken tells whether the caller may see and take back what an operator said.
func (f fleet) spoken(st *storagepb.StatementRecord) bool {
	subject, other := refsOf(st)
	return f.record(subject) && f.record(other)
}

// findings leaves of some findings those of assets in the fleet.
func (f fleet) findings(all []*storagepb.FindingRecord) []*storagepb.FindingRecord {
	if f.scope == nil {
		return all
	}
	ids := make([]string, len(all))
	for i, x := range all {
		ids[i] = x.GetAssetId()
	}
	var some []*storagepb.FindingRecord
	for i, is := range f.Has(ids) {
		if is {
			some = append(some, all[i])
		}
	}
	return some
}

// keep tells of judgements which are of assets in the fleet; nil is all.
func (f fleet) keep() func(ids []string) []bool {
	if f.scope == nil {
		return nil
	}
	return f.Has
}

// stays refuses a change by which an asset could leave the caller's scope.
func (f fleet) stays(r *adminpb.AssertAssetRequest) error {
	if f.scope == nil {
		return nil
	}
	changed := slices.Clone(r.GetClear())
	each(r.GetSet().ProtoReflect(), "", func(path string) {
		if path != "labels" {
			changed = append(changed, path)
		}
	})
	for key := range r.GetSet().GetLabels() {
		changed = append(changed, "labels."+key)
	}
	for _, path := range changed {
		if f.scope.Decides(path) {
			return status.Errorf(codes.PermissionDenied, "%.100q decides who may see the asset, and this token is for a part of the fleet (%s): ask an administrator of all of it", path, f.scope)
		}
	}
	return nil
}
