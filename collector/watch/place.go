package watch

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/history"
	"github.com/rollcall-itam/rollcall/collector/scope"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// place finds out in which scopes the asset was before an event and is after it.
// Of most events that is where it is now: what happened in a scope that an asset
// has left is no longer told there. Of those by which it moves, began or ended,
// it is where it was then, so that its coming and going is told once.
func (e *Event) place(tx *store.Tx, now *pb.Asset, record *storagepb.EventRecord) error {
	began := record.GetKind() == catalog.Created
	moved := slices.ContainsFunc(record.GetChanges(), func(f *storagepb.FieldChange) bool { return scope.Deciding(f.GetField()) })
	if began {
		e.Was = nil
	}
	if now != nil && (began || !moved) {
		return nil
	}
	at := record.GetAt().AsTime()
	after, err := stateAfter(tx, now, e.Change.GetAssetId(), at)
	if err != nil {
		return err
	}
	ends := record.GetKind() == catalog.United || record.GetKind() == catalog.Withdrawn
	if e.Is = nil; !ends {
		e.Is = scope.Part(after)
	}
	if began {
		return nil
	}
	p := history.NewPast(proto.CloneOf(after))
	b, err := proto.Marshal(record)
	if err == nil {
		err = p.Undo(b)
	}
	if err == nil {
		e.Was = scope.Part(p.Asset())
	}
	return err
}

// stateAfter returns an asset as it was right after a time.
func stateAfter(tx *store.Tx, now *pb.Asset, id string, at time.Time) (*pb.Asset, error) {
	if now == nil {
		now = &pb.Asset{Id: id}
	}
	p := history.NewPast(proto.CloneOf(now))
	err := tx.ScanEvents(id, at, func(_ time.Time, event []byte) error { return p.Undo(event) })
	return proto.CloneOf(p.Asset()), err
}
