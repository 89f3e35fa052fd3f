package merge

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func table(t *testing.T, overrides ...Override) *Table {
	t.Helper()
	out, err := NewTable(overrides)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func owned(kind, source string, at int, email string) Statement {
	return says(kind, source, at, &pb.Device{Owner: &pb.Owner{Email: email, Name: email}})
}

func TestOverrides(t *testing.T) {
	never, week := time.Duration(0), 7*24*time.Hour
	mdm, idp, hr := owned(KindMDM, "jamf", 1, "mdm"), owned(KindIDP, "okta", 20, "idp"), owned(KindFile, "hr", 2, "hr")
	for name, tc := range map[string]struct {
		overrides []Override
		want      string
	}{
		"as usual":                             {nil, "mdm"},
		"another order":                        {[]Override{{Field: "owner", Order: []string{KindIDP, KindMDM}}}, "idp"},
		"one source before its kind":           {[]Override{{Field: "owner", Order: []string{"source:hr", KindIDP}}}, "hr"},
		"the newest":                           {[]Override{{Field: "owner", Pick: PickNewest}}, "idp"},
		"stale sooner":                         {[]Override{{Field: "owner", StaleAfter: &week}}, "idp"},
		"a longer path wins":                   {[]Override{{Field: "owner", Order: []string{KindIDP}}, {Field: "owner.email", Order: []string{KindFile}}}, "hr"},
		"and takes the rest of the group over": {[]Override{{Field: "owner", StaleAfter: &week}, {Field: "owner.email", Order: []string{KindMDM, KindIDP}}}, "idp"},
		"never stale":                          {[]Override{{Field: "owner", StaleAfter: &never}, {Field: "", StaleAfter: &week}}, "mdm"},
		"the rule of all others is not this":   {[]Override{{Field: "", Order: []string{KindIDP}}}, "mdm"},
	} {
		a := table(t, tc.overrides...).Merge("id", nil, []Statement{mdm, idp, hr})
		if got := a.GetOwner().GetEmail(); got != tc.want {
			t.Errorf("%s: the owner is %q, want %q", name, got, tc.want)
		}
	}
}

// A source that has been silent for longer than another loses to it, unless it
// is one that says a thing only once; as long as all are silent nothing changes.
func TestStaleSources(t *testing.T) {
	agent := says(KindAgent, "agent", 0, &pb.Device{Os: &pb.Os{Version: "agent"}, Purchase: &pb.Purchase{Vendor: "agent"}})
	mdm := says(KindMDM, "jamf", 29, &pb.Device{Os: &pb.Os{Version: "mdm"}})
	if a := Merge("id", nil, []Statement{agent, mdm}); a.Os.Version != "agent" {
		t.Errorf("after 29 days the version is %s", a.Os.Version)
	}
	late := mdm
	late.Heard = day.AddDate(0, 0, 31)
	if a := Merge("id", nil, []Statement{agent, late}); a.Os.Version != "mdm" || len(a.Conflicts) != 1 {
		t.Errorf("after 31 days the version is %s, conflicts %v", a.Os.Version, a.Conflicts)
	}
	agent.Heard = day.AddDate(0, 0, 2)
	if a := Merge("id", nil, []Statement{agent, late}); a.Os.Version != "agent" {
		t.Errorf("an agent that was heard of since loses: %s", a.Os.Version)
	}
	bought := says(KindPurchasing, "orders", -400, &pb.Device{Purchase: &pb.Purchase{Vendor: "orders"}})
	if a := Merge("id", nil, []Statement{agent, bought}); a.Purchase.Vendor != "orders" {
		t.Errorf("the order went stale: %v", a.Purchase)
	}
	file := says(KindFile, "cmdb", 90, &pb.Device{Os: &pb.Os{Version: "file"}})
	if a := Merge("id", nil, []Statement{agent, file}); a.Os.Version != "agent" {
		t.Errorf("a file makes the agent stale: %v", a.Os)
	}
}

func TestOutlook(t *testing.T) {
	tb := DefaultTable()
	agent, mdm := says(KindAgent, "agent", 0, &pb.Device{}), says(KindMDM, "jamf", 10, &pb.Device{})
	order := says(KindPurchasing, "orders", 0, &pb.Device{})
	for name, tc := range map[string]struct {
		stmts  []Statement
		now    int
		due    time.Time
		silent int
	}{
		"alone":                       {[]Statement{agent, order}, 5, time.Time{}, 0},
		"both speak":                  {[]Statement{agent, mdm}, 12, day.AddDate(0, 0, 30).Add(time.Second), 0},
		"one is silent":               {[]Statement{agent, mdm}, 35, day.AddDate(0, 0, 36), 1},
		"one is silent, other soon":   {[]Statement{agent, mdm}, 40, day.AddDate(0, 0, 40).Add(time.Second), 1},
		"all are silent, for ever so": {[]Statement{agent, mdm}, 100, time.Time{}, 2},
	} {
		due, silent := tb.Outlook(tc.stmts, day.AddDate(0, 0, tc.now))
		if !due.Equal(tc.due) || len(silent) != tc.silent {
			t.Errorf("%s: due %v with %d silent, want %v with %d", name, due, len(silent), tc.due, tc.silent)
		}
	}
}

func TestBadOverridesAreExplained(t *testing.T) {
	negative := -time.Hour
	for name, tc := range map[string]struct {
		overrides []Override
		want      []string
	}{
		"unknown field":   {[]Override{{Field: "hardwre"}}, []string{`"hardwre"`, "did you mean hardware?"}},
		"unknown leaf":    {[]Override{{Field: "owner.emial"}}, []string{"did you mean owner.email?"}},
		"one warranty":    {[]Override{{Field: "warranty"}}, []string{"did you mean warranties?"}},
		"unknown kind":    {[]Override{{Field: "os", Order: []string{"mdn"}}}, []string{"os:", `"mdn"`, "did you mean mdm?", "source:mdn"}},
		"kind twice":      {[]Override{{Field: "os", Order: []string{"mdm", "agent", "mdm"}}}, []string{`"mdm" twice`}},
		"field twice":     {[]Override{{Field: "os"}, {Field: "os"}}, []string{`"os" is there twice`}},
		"no source":       {[]Override{{Field: "os", Order: []string{"source:"}}}, []string{"names no source"}},
		"empty order":     {[]Override{{Field: "os", Order: []string{}}}, []string{"order is empty"}},
		"unknown pick":    {[]Override{{Field: "os", Pick: "best"}}, []string{"want rank or newest"}},
		"a negative age":  {[]Override{{Field: "os", StaleAfter: &negative}}, []string{"negative"}},
		"nothing like it": {[]Override{{Field: "zzzzzzzzzz"}}, []string{`there is no field "zzzzzzzzzz"`}},
	} {
		_, err := NewTable(tc.overrides)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q lacks %q", name, err, want)
			}
		}
	}
}

func TestDigestTellsTablesApart(t *testing.T) {
	week := 7 * 24 * time.Hour
	a, b := table(t, Override{Field: "os", StaleAfter: &week}), table(t, Override{Field: "owner", Pick: PickNewest})
	c := table(t, Override{Field: "owner", Pick: PickNewest})
	if a.Digest() == b.Digest() || b.Digest() != c.Digest() || DefaultTable().Digest() == a.Digest() {
		t.Error("digests do not tell tables apart")
	}
	// A table that says in other words what the default does is the default.
	usual := table(t, Override{Field: "os", Order: []string{KindAgent, KindMDM, KindEDR, KindCloud}})
	if usual.Digest() != DefaultTable().Digest() {
		t.Error("the same table has another digest")
	}
	stmts := []Statement{owned(KindMDM, "jamf", 1, "a"), owned(KindIDP, "okta", 2, "b")}
	if !proto.Equal(usual.Merge("id", nil, stmts), Merge("id", nil, stmts)) {
		t.Error("the same table gives another asset")
	}
}
