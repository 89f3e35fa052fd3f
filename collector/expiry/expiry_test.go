package expiry

import (
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/merge"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

var heard = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func TestWhenAssetsExpire(t *testing.T) {
	usual, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	own, err := New([]Rule{{Classes: []string{"laptop"}, Only: []string{merge.KindMDM}, After: 10 * day, Stage: Retired}, {Classes: []string{"server"}}})
	if err != nil {
		t.Fatal(err)
	}
	of := func(class, stage string, kinds ...string) *pb.Asset {
		a := &pb.Asset{Class: class, Stage: stage}
		for _, k := range kinds {
			a.Sources = append(a.Sources, &pb.AssetSource{Source: k, Kind: k})
		}
		return a
	}
	held := of("laptop", "deployed", "agent")
	held.Hold = &pb.Hold{Reason: "case 17"}
	for name, tc := range map[string]struct {
		policy *Policy
		asset  *pb.Asset
		days   int // 0 for never
		stage  string
	}{
		"a laptop with an agent":            {usual, of("laptop", "deployed", "agent", "mdm"), 90, Missing},
		"one that only management knows":    {usual, of("laptop", "deployed", "mdm"), 180, Missing},
		"with its order":                    {usual, of("laptop", "deployed", "mdm", "purchasing"), 180, Missing},
		"a cloud instance":                  {usual, of("cloud_instance", "deployed", "cloud", "agent"), 7, Retired},
		"a virtual machine":                 {usual, of("virtual_machine", "deployed", "agent"), 30, Retired},
		"a display":                         {usual, of("display", "deployed", "agent"), 365, Missing},
		"nobody says where it stands":       {usual, of("other", "", "edr"), 90, Missing},
		"in stock":                          {usual, of("laptop", "in_stock", "mdm"), 0, ""},
		"retired by somebody":               {usual, of("laptop", "retired", "agent"), 0, ""},
		"on legal hold":                     {usual, held, 0, ""},
		"a rule of its own":                 {own, of("laptop", "deployed", "mdm"), 10, Retired},
		"which is not about those with one": {own, of("laptop", "deployed", "mdm", "agent"), 90, Missing},
		"never":                             {own, of("server", "deployed", "agent"), 0, ""},
	} {
		want := Expiry{Stage: tc.stage}
		if tc.days > 0 {
			want.At = heard.AddDate(0, 0, tc.days)
		}
		if got := tc.policy.Of(tc.asset, heard); !got.At.Equal(want.At) || got.Stage != want.Stage {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if got := usual.Of(of("laptop", "ordered", "purchasing"), time.Time{}); !got.At.IsZero() {
		t.Errorf("what was only bought expires: %v", got)
	}
}

func TestBadRulesAreExplained(t *testing.T) {
	for name, tc := range map[string]struct {
		rule Rule
		want string
	}{
		"class":    {Rule{Classes: []string{"notebook"}, After: day, Stage: Missing}, `rule 1: there is no class "notebook"`},
		"kind":     {Rule{Only: []string{"jamf"}, After: day, Stage: Missing}, `no kind of source "jamf"`},
		"stage":    {Rule{After: day, Stage: "gone"}, `stage "gone": want retired or missing`},
		"negative": {Rule{After: -day}, "negative"},
	} {
		if _, err := New([]Rule{tc.rule}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}
