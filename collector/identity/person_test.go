package identity

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func profile(source, id string, p *pb.Profile) PersonClaim {
	return NewPersonClaim(&pb.Observation{Source: source, SourceId: id, Subject: &pb.Observation_Person{Person: p}}, source == "okta" || source == "entra")
}

func TestPeopleUnite(t *testing.T) {
	for _, c := range []struct {
		name   string
		claims []PersonClaim
		want   [][]string
	}{
		{"by address, in whatever case and form", []PersonClaim{
			profile("okta", "1", &pb.Profile{Emails: []string{"Ann.Berg@Example.com"}}),
			profile("jamf", "7", &pb.Profile{Emails: []string{"SMTP:ann.berg@example.com"}}),
		}, [][]string{{"jamf/7", "okta/1"}}},
		{"a principal name is an address", []PersonClaim{
			profile("entra", "1", &pb.Profile{Upn: "ann@example.com"}),
			profile("okta", "1", &pb.Profile{Emails: []string{"ann@example.com"}}),
		}, [][]string{{"entra/1", "okta/1"}}},
		{"by employee id, over another address", []PersonClaim{
			profile("okta", "1", &pb.Profile{Emails: []string{"ann@example.com"}, EmployeeId: "E-1001"}),
			profile("hr", "1", &pb.Profile{Emails: []string{"ann@berg.name"}, EmployeeId: "e1001"}),
		}, [][]string{{"hr/1", "okta/1"}}},
		{"by account with its domain", []PersonClaim{
			profile("entra", "1", &pb.Profile{Account: `CORP\ann`, Upn: "ann@example.com"}),
			profile("jamf", "1", &pb.Profile{Account: `corp\Ann`}),
		}, [][]string{{"entra/1", "jamf/1"}}},
		{"not by an account without one", []PersonClaim{
			profile("jamf", "1", &pb.Profile{Account: "ann"}),
			profile("intune", "1", &pb.Profile{Account: "ann"}),
		}, [][]string{{"intune/1"}, {"jamf/1"}}},
		{"not two living accounts of one directory, as of an administrator", []PersonClaim{
			profile("entra", "1", &pb.Profile{Upn: "ann@example.com", EmployeeId: "1001"}),
			profile("entra", "2", &pb.Profile{Upn: "adm-ann@example.com", EmployeeId: "1001"}),
			profile("okta", "1", &pb.Profile{Emails: []string{"ann@example.com"}, EmployeeId: "1001"}),
		}, [][]string{{"entra/1", "okta/1"}, {"entra/2"}}},
		{"who left and came back", []PersonClaim{
			profile("okta", "1", &pb.Profile{Emails: []string{"ann@example.com"}, Status: Departed}),
			profile("okta", "2", &pb.Profile{Emails: []string{"ann@example.com"}, Status: "active"}),
		}, [][]string{{"okta/1", "okta/2"}}},
		{"not who left and who has the address now", []PersonClaim{
			profile("okta", "1", &pb.Profile{Emails: []string{"a.berg@example.com"}, EmployeeId: "7", Status: Departed}),
			profile("okta", "2", &pb.Profile{Emails: []string{"a.berg@example.com"}, EmployeeId: "9", Status: "active"}),
			profile("jamf", "1", &pb.Profile{Emails: []string{"a.berg@example.com"}}),
		}, [][]string{{"jamf/1", "okta/2"}, {"okta/1"}}},
		{"not by a mailbox of many", []PersonClaim{
			profile("hr", "1", &pb.Profile{Emails: []string{"kiosk@example.com"}, EmployeeId: "1"}),
			profile("hr", "2", &pb.Profile{Emails: []string{"kiosk@example.com"}, EmployeeId: "2"}),
		}, [][]string{{"hr/1"}, {"hr/2"}}},
		{"not by what stands in place of a number", []PersonClaim{
			profile("hr", "1", &pb.Profile{Name: "A", EmployeeId: "N/A"}),
			profile("okta", "2", &pb.Profile{Name: "B", EmployeeId: "n/a"}),
			profile("csv", "3", &pb.Profile{Name: "C", EmployeeId: "0000"}),
			profile("idp", "4", &pb.Profile{Name: "D", EmployeeId: "00000"}),
		}, [][]string{{"csv/3"}, {"hr/1"}, {"idp/4"}, {"okta/2"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got [][]string
			for _, g := range ResolvePeople(c.claims, nil).Groups {
				var names []string
				for _, ref := range g {
					names = append(names, ref.String())
				}
				got = append(got, names)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAnAddressOfTooManyUnitesNobody(t *testing.T) {
	var claims []PersonClaim
	for i := range MaxClaimants + 1 {
		claims = append(claims, profile(fmt.Sprintf("csv:%02d", i), "1", &pb.Profile{Emails: []string{"everybody@example.com"}}))
	}
	r := ResolvePeople(claims, nil)
	if len(r.Groups) != MaxClaimants+1 || len(r.Refusals) != 1 || !r.Refusals[0].Quarantined {
		t.Errorf("%d groups, refusals %v", len(r.Groups), r.Refusals)
	}
}

func TestARecordWithTooManyAddressesIsAList(t *testing.T) {
	var emails []string
	for i := range 10_000 {
		emails = append(emails, fmt.Sprintf("u%d@example.com", i))
	}
	c := profile("csv", "1", &pb.Profile{Emails: emails, EmployeeId: "17"})
	if len(c.Keys) != 1 || c.Keys[0].Kind != EmployeeID || len(c.Ignored) != maxAddresses {
		t.Errorf("%d keys, %d ignored", len(c.Keys), len(c.Ignored))
	}
}

// The estates are small and crowded, so that all rules meet.
func somePeople(t *rapid.T) []PersonClaim {
	claims := make([]PersonClaim, rapid.IntRange(0, 12).Draw(t, "claims"))
	for i := range claims {
		source := rapid.SampledFrom([]string{"okta", "entra", "hr", "jamf"}).Draw(t, "source")
		p := &pb.Profile{Status: rapid.SampledFrom([]string{"", "active", Departed}).Draw(t, "status")}
		for range rapid.IntRange(0, 2).Draw(t, "addresses") {
			p.Emails = append(p.Emails, fmt.Sprintf("p%d@example.com", rapid.IntRange(1, 4).Draw(t, "address")))
		}
		if n := rapid.IntRange(0, 4).Draw(t, "number"); n > 0 {
			p.EmployeeId = fmt.Sprint(n)
		}
		claims[i] = profile(source, fmt.Sprint(i), p)
	}
	return claims
}

func TestPeopleDoNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		claims := somePeople(t)
		want := ResolvePeople(claims, nil)
		again := slices.Concat(rapid.Permutation(claims).Draw(t, "order"), claims[:len(claims)/2])
		if d := cmp.Diff(want, ResolvePeople(again, nil)); d != "" {
			t.Fatal(d)
		}
		obey(t, claims, again)
		for _, g := range want.Groups {
			living := make(map[string]int)
			for _, ref := range g {
				i := slices.IndexFunc(claims, func(c PersonClaim) bool { return c.Ref == ref })
				if c := claims[i]; c.Unique && !c.Departed {
					if living[ref.Source]++; living[ref.Source] > 1 {
						t.Fatalf("two living accounts of %s in one person: %v", ref.Source, g)
					}
				}
			}
		}
	})
}

func FuzzPersonKey(f *testing.F) {
	for _, s := range []string{"Ann <a@b.de>", "SMTP:a@b.de", "ann_b.de#EXT#@t.onmicrosoft.com", `CORP\ann`, "007", "N/A", "\xff@b.de"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, kind := range []string{Email, "upn", Account, EmployeeID} {
			k, ok := PersonKey(kind, "", s)
			if again, same := PersonKey(k.Kind, k.Scope, k.Value); ok && (!same || again != k) {
				t.Errorf("%s %q: %v, and of that %v", kind, s, k, again)
			}
		}
	})
}

// obey checks that the words of operators count alike in any order, and that the
// last one about a pair holds.
func obey(t *rapid.T, claims, again []PersonClaim) {
	if len(claims) < 2 {
		return
	}
	var words []Statement
	for n := range rapid.IntRange(1, 4).Draw(t, "words") {
		pair := rapid.Permutation(claims).Draw(t, "pair")
		words = append(words, Statement{Same: rapid.Bool().Draw(t, "same"), Subject: pair[0].Ref, Other: pair[1].Ref, By: "op", At: time.Unix(int64(n), 0)})
	}
	got := ResolvePeople(claims, words)
	if d := cmp.Diff(got, ResolvePeople(again, rapid.Permutation(words).Draw(t, "said"))); d != "" {
		t.Fatal(d)
	}
	last := words[len(words)-1]
	together := slices.ContainsFunc(got.Groups, func(g []Ref) bool { return slices.Contains(g, last.Subject) && slices.Contains(g, last.Other) })
	if together != last.Same {
		t.Fatalf("the operator says %+v, and the people are %v", last, got.Groups)
	}
}
