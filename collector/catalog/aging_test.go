package catalog_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/expiry"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func aging(t *testing.T) *fixture {
	t.Helper()
	f := setup(t)
	p, err := expiry.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	f.c.ExpireBy(p)
	return f
}

func (f *fixture) stage(t testing.TB, id, want string, expired time.Duration) {
	t.Helper()
	a := f.asset(t, id)
	var at *timestamppb.Timestamp
	if expired > 0 {
		at = timestamppb.New(epoch.Add(expired))
	}
	if a.GetStage() != want || at.AsTime() != a.GetExpiredAt().AsTime() || (at == nil) != (a.GetExpiredAt() == nil) {
		t.Errorf("after %v it is %q, expired at %v; want %q, %v", f.later, a.GetStage(), a.GetExpiredAt(), want, at)
	}
}

// An asset of which nothing is heard expires in its time, is never deleted, and
// is what it was once it is heard of: by a check-in as well as by a report.
func TestSilentAssetsExpireAndComeBack(t *testing.T) {
	f := aging(t)
	id := f.accept(t, observe("agent", "1", "SER-A1"))
	since := f.asset(t, id).GetStageSince()
	f.expire(t, 80*aDay)
	f.stage(t, id, "deployed", 0)
	f.c.Seen(store.Ref{Source: "agent", ID: "1"}, epoch.Add(80*aDay))
	f.expire(t, 95*aDay)
	f.stage(t, id, "deployed", 0)
	f.expire(t, 171*aDay)
	f.stage(t, id, "missing", 170*aDay)
	if a := f.asset(t, id); !a.GetStageSince().AsTime().Equal(a.GetExpiredAt().AsTime()) {
		t.Errorf("stage since %v", a.GetStageSince())
	}
	want := f.picture(t)
	if _, err := f.c.Rebuild(context.Background()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, f.picture(t)); diff != "" {
		t.Errorf("a rebuild gives something else:\n%s", diff)
	}
	f.c.Seen(store.Ref{Source: "agent", ID: "1"}, epoch.Add(171*aDay))
	f.expire(t, 171*aDay)
	f.stage(t, id, "deployed", 0)
	if got := f.asset(t, id).GetStageSince(); !got.AsTime().Equal(since.AsTime()) {
		t.Errorf("back since %v, want %v", got, since)
	}
	f.expire(t, 300*aDay)
	f.stage(t, id, "missing", 261*aDay)
	o := observe("agent", "1", "SER-A1")
	o.ObservedAt = timestamppb.New(epoch.Add(300 * aDay))
	o.GetDevice().Os = &pb.Os{Version: "2"}
	f.accept(t, o)
	f.stage(t, id, "deployed", 0)
}

// What operators say stands: the stage, and that an asset is to be kept.
func TestOperatorsOutrankExpiry(t *testing.T) {
	ctx := context.Background()
	f := aging(t)
	if err := f.c.DeclareOperator(ctx); err != nil {
		t.Fatal(err)
	}
	held := f.accept(t, observe("agent", "1", "SER-A1"))
	stocked := f.accept(t, observe("agent", "2", "SER-B2"))
	bought := f.accept(t, observe("abm", "3", "SER-C3"))
	say := func(id string, change func(*pb.Device)) {
		t.Helper()
		if _, err := f.c.Assert(ctx, "token:x", id, func(d *pb.Device) error { change(d); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	say(held, func(d *pb.Device) { d.Hold = &pb.Hold{Reason: "case 17"} })
	say(stocked, func(d *pb.Device) { d.Stage = "in_stock" })
	f.expire(t, 400*aDay)
	f.stage(t, held, "deployed", 0)
	f.stage(t, stocked, "in_stock", 0)
	f.stage(t, bought, "ordered", 0)
	say(held, func(d *pb.Device) { d.Hold = nil })
	f.expire(t, 400*aDay)
	f.stage(t, held, "missing", 90*aDay)
}
