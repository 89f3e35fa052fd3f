package api

import (
	"context"
	"errors"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/merge"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// assertable are the fields, and the groups of them, on which an operator's
// word may stand: what people decide or know, not what a machine reads of itself.
var assertable = []string{"name", "class", "stage", "labels", "owner", "location", "purchase", "financial", "warranty", "hold", "hardware.asset_tag"}

// maxSpoken bounds the statements of one call.
const maxSpoken = 100

// AssertAsset lets an operator state fields of an asset, or that it is the same
// as another or is not.
func (s *Service) AssertAsset(ctx context.Context, r *adminpb.AssertAssetRequest) (*pb.Asset, error) {
	if err := checkAssertion(r); err != nil {
		return nil, err
	}
	var a *pb.Asset
	f := s.fleet(ctx)
	if err := f.stays(r); err != nil {
		return nil, err
	}
	pairs := make([]spoken, 0, len(r.GetSameAs())+len(r.GetNotSameAs()))
	err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
		if a, err = f.resolve(tx, r.GetId()); err != nil {
			return err
		}
		for _, name := range r.GetSameAs() {
			p, err := f.about(tx, a, name, true)
			if err != nil {
				return err
			}
			pairs = append(pairs, p)
		}
		for _, name := range r.GetNotSameAs() {
			p, err := f.about(tx, a, name, false)
			if err != nil {
				return err
			}
			pairs = append(pairs, p)
		}
		return nil
	})
	if err != nil {
		return nil, s.answer("read the assets", err)
	}
	for _, p := range pairs {
		if _, err := s.Catalog.Say(ctx, actor(ctx), p.same, p.subject, p.other); err != nil {
			return nil, s.refused("file the operator's word", err)
		}
	}
	id := a.GetId()
	if r.GetSet() != nil || len(r.GetClear()) > 0 {
		id, err = s.Catalog.Assert(ctx, actor(ctx), id, func(d *pb.Device) error { return change(d, r) })
		if err != nil {
			return nil, s.refused("file the operator's word", err)
		}
	}
	return s.GetAsset(ctx, &adminpb.GetAssetRequest{Id: id})
}

// refused answers with what is wrong with a statement.
func (s *Service) refused(doing string, err error) error {
	switch {
	case errors.Is(err, catalog.ErrInvalid), errors.Is(err, store.ErrInvalidRow):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, catalog.ErrUndeclared):
		return status.Error(codes.FailedPrecondition, err.Error())
	case errors.Is(err, store.ErrNotFound):
		return status.Error(codes.NotFound, err.Error())
	}
	return s.answer(doing, err)
}

func checkAssertion(r *adminpb.AssertAssetRequest) error {
	if r.GetSet() == nil && len(r.GetClear())+len(r.GetSameAs())+len(r.GetNotSameAs()) == 0 {
		return status.Error(codes.InvalidArgument, "nothing is stated: give set, clear, same_as or not_same_as")
	}
	if len(r.GetClear())+len(r.GetSameAs())+len(r.GetNotSameAs()) > maxSpoken {
		return status.Errorf(codes.InvalidArgument, "more than %d statements in one call", maxSpoken)
	}
	var bad string
	each(r.GetSet().ProtoReflect(), "", func(path string) {
		if !mayAssert(path) && bad == "" {
			bad = path
		}
	})
	for _, path := range r.GetClear() {
		if !mayAssert(path) && bad == "" {
			bad = path
		}
	}
	d := r.GetSet()
	switch {
	case bad != "":
		return status.Errorf(codes.InvalidArgument, "an operator's word does not count for %.100q, only for: %s", bad, strings.Join(assertable, ", "))
	case d.GetClass() != "" && !slices.Contains(merge.Classes, d.GetClass()):
		return status.Errorf(codes.InvalidArgument, "class %.50q is none of: %s", d.GetClass(), strings.Join(merge.Classes, ", "))
	case d.GetStage() != "" && !slices.Contains(merge.Stages, d.GetStage()):
		return status.Errorf(codes.InvalidArgument, "stage %.50q is none of: %s", d.GetStage(), strings.Join(merge.Stages, ", "))
	}
	return nil
}

// mayAssert tells whether a path is one of assertable or below it.
func mayAssert(path string) bool {
	return slices.ContainsFunc(assertable, func(a string) bool { return path == a || strings.HasPrefix(path, a+".") })
}

// each calls fn with the path of every field of a message that is set, of groups
// with those of their fields.
func each(m protoreflect.Message, prefix string, fn func(path string)) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		path := prefix + string(fd.Name())
		if fd.Message() != nil && !fd.IsList() && !fd.IsMap() && fd.Message().ParentFile().Package() == "rollcall.v1" {
			each(v.Message(), path+".", fn)
			return true
		}
		fn(path)
		return true
	})
}

// change applies an assertion to what operators say so far.
func change(d *pb.Device, r *adminpb.AssertAssetRequest) error {
	for _, path := range r.GetClear() {
		if key, ok := strings.CutPrefix(path, "labels."); ok {
			delete(d.Labels, key)
			continue
		}
		if !clearPath(d.ProtoReflect(), path) {
			return status.Errorf(codes.InvalidArgument, "clear names %.100q, which an asset does not have", path)
		}
	}
	proto.Merge(d, r.GetSet())
	return nil
}

// clearPath clears a field with the groups above it that are left empty, and
// tells whether there is such a field.
func clearPath(m protoreflect.Message, path string) bool {
	name, rest, below := strings.Cut(path, ".")
	fd := m.Descriptor().Fields().ByName(protoreflect.Name(name))
	switch {
	case fd == nil:
		return false
	case !below:
		m.Clear(fd)
		return true
	case fd.Message() == nil || fd.IsList() || fd.IsMap():
		return false
	case !m.Has(fd):
		return fd.Message().Fields().ByName(protoreflect.Name(rest)) != nil
	}
	sub := m.Mutable(fd).Message()
	ok := clearPath(sub, rest)
	if proto.Size(sub.Interface()) == 0 {
		m.Clear(fd)
	}
	return ok
}

// spoken is a pair of records of which an operator speaks.
type spoken struct {
	same           bool
	subject, other store.Ref
}

// about finds the records that stand for an asset and for what it is compared
// with: an asset's id, or source/source_id of a record.
func (f fleet) about(tx *store.Tx, a *pb.Asset, name string, same bool) (spoken, error) {
	p := spoken{same: same}
	if source, id, ok := strings.Cut(name, "/"); ok {
		if p.other = (store.Ref{Source: source, ID: id}); !f.record(p.other) {
			return p, status.Errorf(codes.NotFound, "nothing is held of %.200q", name)
		}
	} else {
		b, err := f.resolve(tx, name)
		if err != nil {
			return p, err
		}
		if b.GetId() == a.GetId() {
			return p, status.Errorf(codes.InvalidArgument, "%.100q is this asset already: to part one of its records, name that as source/source_id", name)
		}
		if p.other, err = standsFor(b, store.Ref{}); err != nil {
			return p, err
		}
	}
	var err error
	p.subject, err = standsFor(a, p.other)
	return p, err
}

// standsFor returns the oldest record of an asset that is not the one left out.
func standsFor(a *pb.Asset, without store.Ref) (store.Ref, error) {
	var best *pb.AssetSource
	for _, s := range a.GetSources() {
		ref := store.Ref{Source: s.GetSource(), ID: s.GetSourceId()}
		if ref == without || s.GetSource() == catalog.Operator {
			continue
		}
		if best == nil || s.GetFirstSeen().AsTime().Before(best.GetFirstSeen().AsTime()) {
			best = s
		}
	}
	if best == nil {
		return store.Ref{}, status.Errorf(codes.FailedPrecondition, "asset %s has no other record to compare with", a.GetId())
	}
	return store.Ref{Source: best.GetSource(), ID: best.GetSourceId()}, nil
}

func operatorStatement(st *storagepb.StatementRecord) *adminpb.OperatorStatement {
	verb := "not_same_as"
	if st.GetSame() {
		verb = "same_as"
	}
	return &adminpb.OperatorStatement{Id: st.GetId(), At: st.GetAt(), By: st.GetBy(), Verb: verb,
		Subject: st.GetSubjectSource() + "/" + st.GetSubjectId(), Other: st.GetOtherSource() + "/" + st.GetOtherId()}
}

// ListStatements lists what operators said of which records are one thing.
func (s *Service) ListStatements(ctx context.Context, r *adminpb.ListStatementsRequest) (*adminpb.ListStatementsResponse, error) {
	limit, err := pageSize(r.GetPageSize(), defaultPage, maxPage)
	if err != nil {
		return nil, err
	}
	after, err := pageAfter("statements", r.GetPageToken())
	if err != nil {
		return nil, err
	}
	out, f := new(adminpb.ListStatementsResponse), s.fleet(ctx)
	last := ""
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		return tx.ScanStatements(after, func(st *storagepb.StatementRecord) error {
			if st.GetAnchor() || !f.spoken(st) {
				return ctx.Err()
			}
			if len(out.Statements) == limit {
				out.NextPageToken = nextPage("statements", last)
				return store.Stop
			}
			last = st.GetId()
			out.Statements = append(out.Statements, operatorStatement(st))
			return ctx.Err()
		})
	})
	if err != nil {
		return nil, s.answer("list the statements", err)
	}
	return out, nil
}

// DeleteStatement takes back that two records are the same, or are not.
func (s *Service) DeleteStatement(ctx context.Context, r *adminpb.DeleteStatementRequest) (*adminpb.DeleteStatementResponse, error) {
	if len(r.GetId()) > maxID {
		return nil, status.Error(codes.NotFound, "there is no such statement: list them with GET /v1/statements")
	}
	f := s.fleet(ctx)
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		st, err := tx.Statement(r.GetId())
		if err == nil && !f.spoken(st) {
			err = store.ErrNotFound
		}
		return err
	})
	if err == nil {
		err = s.Catalog.Unsay(ctx, actor(ctx), r.GetId())
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, status.Errorf(codes.NotFound, "there is no statement %.100q: list them with GET /v1/statements", r.GetId())
	}
	if err != nil {
		return nil, s.refused("take back the statement", err)
	}
	return new(adminpb.DeleteStatementResponse), nil
}
