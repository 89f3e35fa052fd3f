package policy

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/expr"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// A display that machines list is judged by no rule about what machines run, and
// nobody is asked for its agent, its updates or its owner. What is stated of it
// counts: a warranty that ended did.
func TestRulesAboutMachinesSayNothingOfDisplays(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	since := timestamppb.New(now.AddDate(0, -6, 0))
	for _, class := range []string{"display", "peripheral"} {
		a := &pb.Asset{Id: "1", Name: "DELL U2720Q", Class: class, Stage: "deployed", StageSince: since, FirstSeen: since, LastSeen: timestamppb.New(now),
			Sources:  []*pb.AssetSource{{Source: "parts", Kind: "host", LastSeen: timestamppb.New(now)}},
			Hardware: &pb.Hardware{Manufacturer: "Dell", Model: "DELL U2720Q", Serial: "CN0Y5H4K09PS"}}
		in := &expr.Input{Asset: a, Now: now, Kinds: []string{"agent", "mdm", "edr", "purchasing", "host"}, Record: new(expr.Record)}
		for _, v := range builtinPack(t).Evaluate(in) {
			// How sources are united concerns whatever has a record.
			if v.Result != NotApplicable && v.Rule.ID != "identity" {
				t.Errorf("a %s: %s is %v for the want of %v", class, v.Rule.ID, v.Result, v.Missing)
			}
		}
		a.Warranty = &pb.Warranty{End: "2026-01-01"}
		failed := 0
		for _, v := range builtinPack(t).Evaluate(in) {
			if v.Result == Fail {
				failed++
				if v.Rule.ID != "warranty-ended" {
					t.Errorf("a %s without warranty: %s fails", class, v.Rule.ID)
				}
			}
		}
		if failed != 1 {
			t.Errorf("a %s without warranty fails %d rules, want that one", class, failed)
		}
	}
}
