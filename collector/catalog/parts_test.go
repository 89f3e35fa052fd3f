package catalog_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const screenSerial = "CN0Y5H4K09PS"

// docked is what an agent says of a machine, some hours before the tests' time,
// with displays by their serials attached to it.
func docked(id string, hours int, displays ...string) *pb.Observation {
	o := observe("agent", id, "SER-"+id+"00")
	o.ObservedAt = timestamppb.New(epoch.Add(-time.Duration(hours) * time.Hour))
	o.GetDevice().Hardware.Chassis = "notebook"
	for _, serial := range displays {
		o.GetDevice().Hardware.Displays = append(o.GetDevice().Hardware.Displays,
			&pb.Display{Manufacturer: "DEL", Model: "DELL U2720Q", Serial: serial, Connector: "DP-1", Product: "40a1"})
	}
	return o
}

// displays are the assets of that class, as users see them.
func (f *fixture) displays(t testing.TB) []*pb.Asset {
	t.Helper()
	var all []*pb.Asset
	err := f.st.View(context.Background(), func(tx *store.Tx) error {
		return tx.ScanAssets("", func(a *pb.Asset) error {
			if a.GetClass() != "display" {
				return nil
			}
			all = append(all, a)
			return f.c.Date(tx, a)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (f *fixture) display(t testing.TB) *pb.Asset {
	t.Helper()
	all := f.displays(t)
	if len(all) != 1 {
		t.Fatalf("%d displays, want one: %v", len(all), all)
	}
	return all[0]
}

// A display is an asset of its own that follows who lists it, and stays when
// nobody does; what it is and whose it is, is its own.
func TestADisplayFollowsWhoListsIt(t *testing.T) {
	f := setup(t)
	a, b := f.accept(t, docked("A1", 72, screenSerial)), f.accept(t, docked("B2", 72))
	host := f.asset(t, a)
	d := f.display(t)
	if d.GetHardware().GetSerial() != screenSerial || d.GetHardware().GetManufacturer() != "Dell" || d.GetHardware().GetModelId() != "DEL40A1" ||
		d.GetStage() != "deployed" || d.GetOwner() != nil || d.GetLocation() != nil || len(d.GetLabels()) > 0 {
		t.Errorf("the display is %v", d)
	}
	if host.GetHardware().GetSerial() == screenSerial || len(host.GetHardware().GetDisplays()) != 1 {
		t.Errorf("its machine is %v", host)
	}
	attached := func(step, to string, listed bool, hours int) {
		t.Helper()
		got := f.display(t)
		if got.GetId() != d.GetId() {
			t.Fatalf("%s: the display is another asset", step)
		}
		want := &pb.AttachedTo{AssetId: to, Listed: listed, LastListedAt: timestamppb.New(epoch.Add(-time.Duration(hours) * time.Hour))}
		if g := got.GetAttachedTo(); g.GetAssetId() != want.AssetId || g.GetListed() != listed || !g.GetLastListedAt().AsTime().Equal(want.LastListedAt.AsTime()) {
			t.Errorf("%s: attached to %v, want %v", step, g, want)
		}
		f.sound(t)
	}
	attached("docked", a, true, 72)
	f.accept(t, docked("A1", 71, screenSerial))
	attached("it reports again", a, true, 71)
	f.accept(t, docked("A1", 70))
	attached("undocked", a, false, 71)
	f.accept(t, docked("B2", 69, screenSerial))
	attached("another machine docks", b, true, 69)
	f.accept(t, docked("A1", 68, screenSerial))
	attached("both list it: that which began later has it", b, true, 69)
	f.accept(t, docked("A1", 40, screenSerial))
	attached("one has been silent for more than a day since", a, true, 40)
	if got := len(f.displays(t)[0].GetSources()); got != 2 {
		t.Errorf("%d records, want that of each machine", got)
	}
}

// What a check-in confirms is confirmed of what is attached, too, without a write.
func TestACheckInConfirmsWhatIsAttached(t *testing.T) {
	f := setup(t)
	f.accept(t, docked("A1", 72, screenSerial))
	heard := 0
	f.c.OnSeen(func(r store.Ref, at time.Time) {
		if r.Source == "parts" && at.Equal(epoch) {
			heard++
		}
	})
	f.c.Seen(store.Ref{Source: "agent", ID: "A1"}, epoch)
	if d := f.display(t); !d.GetAttachedTo().GetLastListedAt().AsTime().Equal(epoch) || !d.GetLastSeen().AsTime().Equal(epoch) || heard != 1 {
		t.Errorf("seen %v, attached to %v, told %d times", d.GetLastSeen().AsTime(), d.GetAttachedTo(), heard)
	}
	f.accept(t, docked("A1", 0))
	f.c.Seen(store.Ref{Source: "agent", ID: "A1"}, epoch.Add(2*time.Minute))
	if d := f.display(t); d.GetAttachedTo().GetListed() || !d.GetLastSeen().AsTime().Equal(epoch) {
		t.Errorf("after it was unplugged it is seen %v, attached to %v", d.GetLastSeen().AsTime(), d.GetAttachedTo())
	}
}

// An order for a display unites with what was seen, and a computer that has the
// same number with neither.
func TestABoughtDisplayIsTheSeenOne(t *testing.T) {
	f := setup(t)
	order := observe("abm", "1", strings.ToLower(screenSerial))
	order.GetDevice().Class, order.GetDevice().Name = "display", ""
	order.GetDevice().Hardware.Manufacturer = "Dell Inc."
	order.GetDevice().Purchase = &pb.Purchase{OrderNumber: "PO-1"}
	bought := f.accept(t, order)
	twin := f.accept(t, observe("jamf", "9", screenSerial))
	f.accept(t, docked("A1", 3, screenSerial))
	d := f.display(t)
	if d.GetId() != bought || d.GetPurchase().GetOrderNumber() != "PO-1" || d.GetStage() != "deployed" || len(d.GetSources()) != 2 || twin == bought {
		t.Errorf("the display is %v", d)
	}
	// Withdrawing the machine takes back what it said of the display.
	if err := f.c.Withdraw(context.Background(), store.Ref{Source: "agent", ID: "A1"}); err != nil {
		t.Fatal(err)
	}
	if d := f.display(t); d.GetId() != bought || d.GetAttachedTo() != nil || d.GetStage() != "ordered" || len(d.GetSources()) != 1 {
		t.Errorf("without the machine the display is %v", d)
	}
	f.sound(t)
}

// Where machines are united or parted, what is attached to them follows.
func TestWhatIsAttachedFollowsItsMachine(t *testing.T) {
	f := setup(t)
	older := observe("jamf", "1", "SER-Z9")
	older.ObservedAt = timestamppb.New(epoch.Add(-100 * time.Hour))
	f.accept(t, older)
	f.accept(t, docked("A1", 72, screenSerial))
	before := f.display(t).GetAttachedTo().GetAssetId()
	said, err := f.c.Say(context.Background(), "ann", true, store.Ref{Source: "agent", ID: "A1"}, store.Ref{Source: "jamf", ID: "1"})
	if err != nil {
		t.Fatal(err)
	}
	after := f.display(t).GetAttachedTo().GetAssetId()
	if after == before || f.asset(t, after).GetId() != after {
		t.Errorf("attached to %s, before the machine became another asset to %s", after, before)
	}
	f.sound(t)
	if err := f.c.Unsay(context.Background(), "ann", said.GetId()); err != nil {
		t.Fatal(err)
	}
	if again := f.display(t).GetAttachedTo().GetAssetId(); again == after {
		t.Errorf("still attached to %s, which the machine is no longer part of", again)
	}
	f.sound(t)
}

// The records of what machines list are the collector's own.
func TestNobodyElseStatesParts(t *testing.T) {
	f := setup(t)
	f.accept(t, docked("A1", 3, screenSerial))
	record := f.display(t).GetSources()[0]
	if _, err := f.c.Accept(context.Background(), observe("parts", record.GetSourceId(), "X-123456")); err == nil {
		t.Error("a statement of the collector's own source was taken")
	}
	if err := f.c.Withdraw(context.Background(), store.Ref{Source: "parts", ID: record.GetSourceId()}); err == nil {
		t.Error("the record of a display was withdrawn without its machine's")
	}
}

// dockings draws what machines say as displays come and go.
func dockings() *rapid.Generator[[]*pb.Observation] {
	return rapid.Custom(func(t *rapid.T) []*pb.Observation {
		var all []*pb.Observation
		taken := make(map[string]bool)
		for range rapid.IntRange(1, 8).Draw(t, "statements") {
			id := rapid.SampledFrom([]string{"A1", "B2", "C3"}).Draw(t, "machine")
			hours := rapid.IntRange(0, 72).Draw(t, "hours")
			key := fmt.Sprint(id, hours)
			if taken[key] {
				continue
			}
			taken[key] = true
			var screens []string
			for _, s := range []string{screenSerial, "CN0Y5H4K10PS"} {
				if rapid.Bool().Draw(t, "plugged") {
					screens = append(screens, s)
				}
			}
			o := docked(id, hours, screens...)
			if len(screens) > 0 && rapid.Bool().Draw(t, "another reading") {
				o.GetDevice().Hardware.Displays[0].Model = "U2720Q"
			}
			all = append(all, o)
		}
		return all
	})
}

// The order in which machines tell of it changes nothing about what is attached to
// them, nor does a rebuild; and what a machine said that is withdrawn might never
// have been said.
func TestTheOrderOfDockingsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := dockings().Draw(rt, "world")
		want := setup(t).acceptAll(t, all).dockedPicture(t)
		again := slices.Concat(all, rapid.SliceOfN(rapid.SampledFrom(all), 0, 3).Draw(rt, "repeated"))
		f := setup(t).acceptAll(t, rapid.Permutation(again).Draw(rt, "order"))
		if diff := cmp.Diff(want, f.dockedPicture(t)); diff != "" {
			rt.Fatalf("another order (-want +got):\n%s", diff)
		}
		f.sound(t)
		if _, err := f.c.Rebuild(context.Background()); err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, f.dockedPicture(t)); diff != "" {
			rt.Fatalf("after a rebuild (-want +got):\n%s", diff)
		}
		victim := rapid.SampledFrom(all).Draw(rt, "victim")
		if err := f.c.Withdraw(context.Background(), store.Ref{Source: victim.Source, ID: victim.SourceId}); err != nil {
			rt.Fatal(err)
		}
		rest := slices.DeleteFunc(slices.Clone(all), func(o *pb.Observation) bool { return o.SourceId == victim.SourceId })
		if diff := cmp.Diff(setup(t).acceptAll(t, rest).dockedPicture(t), f.dockedPicture(t)); diff != "" {
			rt.Fatalf("(-never said +withdrawn):\n%s", diff)
		}
	})
}

// dockedPicture is the picture of all assets, with machines by their serials in
// place of their ids.
func (f *fixture) dockedPicture(t testing.TB) []string {
	t.Helper()
	out := f.picture(t)
	names := make(map[string]string)
	err := f.st.View(context.Background(), func(tx *store.Tx) error {
		return tx.ScanAssets("", func(a *pb.Asset) error {
			names[a.GetId()] = a.GetHardware().GetSerial()
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range out {
		// Beside the readable form stands the encoded one, which has the ids too.
		text = text[:strings.LastIndex(text, "} ")]
		for id, name := range names {
			text = strings.ReplaceAll(text, id, name)
		}
		out[i] = strings.Join(strings.Fields(text), " ")
	}
	slices.Sort(out)
	return out
}
