package api

import (
	"context"

	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// attach fills in what is attached to a machine, of what the caller may see. A
// peripheral is in a part of the fleet by its own fields, as any asset is: it does
// not follow its machine there.
func (s *Service) attach(ctx context.Context, tx *store.Tx, a *pb.Asset, want *mask) error {
	if !want.wants("attached") {
		return nil
	}
	things, err := s.Catalog.Attached(tx, a)
	if err != nil {
		return err
	}
	f := s.fleet(ctx)
	for _, t := range things {
		if !f.scope.Admits(t) {
			continue
		}
		if err := s.Catalog.Date(tx, t); err != nil {
			return err
		}
		a.Attached = append(a.Attached, &pb.Attachment{AssetId: t.GetId(), Class: t.GetClass(), Name: t.GetName(), Serial: t.GetHardware().GetSerial(),
			Listed: t.GetAttachedTo().GetListed(), LastListedAt: t.GetAttachedTo().GetLastListedAt()})
	}
	return nil
}
