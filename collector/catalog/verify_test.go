package catalog_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

func verify(t testing.TB, f *fixture) []store.Problem {
	t.Helper()
	var problems []store.Problem
	if _, err := f.c.Verify(context.Background(), func(p store.Problem) { problems = append(problems, p) }); err != nil {
		t.Fatal(err)
	}
	return problems
}

// inhabited has a record of most kinds.
func inhabited(t *testing.T) *fixture {
	t.Helper()
	f := setup(t)
	big := observe("jamf", "9", "SER-9")
	for i := range 3000 {
		big.GetDevice().Software = append(big.GetDevice().Software, &pb.Software{Name: strings.Repeat("long ", i%40) + string(rune('a'+i%26)), Version: strings.Repeat("1", i%300)})
	}
	f.accept(t, big)
	f.accept(t, observe("agent", "1", "SER-1"))
	f.accept(t, observe("jamf", "2", "SER-2"))
	both := observe("abm", "3", "SER-1")
	both.Identifiers = []*pb.Identifier{{Kind: "serial", Scope: "dell", Value: "SER-2"}}
	f.accept(t, both)
	f.c.Seen(store.Ref{Source: "agent", ID: "1"}, epoch)
	err := f.st.Update(t.Context(), func(tx *store.Tx) error {
		at := timestamppb.New(epoch)
		return errors.Join(tx.PutLastSeen(store.Ref{Source: "agent", ID: "1"}, epoch), tx.AppendAudit(&storagepb.AuditRecord{At: at, Actor: "a", Action: "one"}),
			tx.AppendAudit(&storagepb.AuditRecord{At: at, Actor: "a", Action: "two"}), tx.PutToken(&storagepb.TokenRecord{Id: "t"}),
			tx.PutEnrolment(&storagepb.EnrolmentRecord{AgentId: "1"}), tx.PutFinding(&storagepb.FindingRecord{AssetId: "x", Rule: "r"}))
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Every record of a store is overwritten, and then every one that others refer
// to is removed, one after another.
func TestVerifyFindsDamagedRecords(t *testing.T) {
	f := inhabited(t)
	if problems := verify(t, f); len(problems) > 0 {
		t.Fatalf("problems where there are none: %+v", problems)
	}
	set := func(k, v string) {
		err := f.db.Update(t.Context(), func(tx kv.Tx) error {
			if v == "" && !strings.HasPrefix(k, "i/") && !strings.HasPrefix(k, "n/") {
				return tx.Delete([]byte(k))
			}
			return tx.Set([]byte(k), []byte(v))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	tried := make(map[string]int)
	for k, v := range dump(t, f.db) {
		kind := k[:2]
		if kind == "!/" || tried[kind] > 20 {
			continue
		}
		tried[kind]++
		if v != "" {
			set(k, "\x00\xff\xff\xff"+v)
			problems := verify(t, f)
			if len(problems) == 0 {
				t.Errorf("%q overwritten: not found", k)
			}
			if slices.ContainsFunc(problems, func(p store.Problem) bool { return !p.Derived }) == (kind == "a/") {
				t.Errorf("%q overwritten: %+v", k, problems)
			}
			set(k, v)
		}
		if strings.Contains("o/ h/ m/ t/ w/ a/ s/ u/ ", kind) && (kind != "w/" || k[len(k)-1] == 0) {
			set(k, "")
			if problems := verify(t, f); len(problems) == 0 && kind != "u/" && kind != "s/" {
				t.Errorf("%q removed: not found", k)
			}
			set(k, v)
		}
	}
	t.Log(tried)
	if problems := verify(t, f); len(problems) > 0 {
		t.Errorf("after all was put back: %+v", problems)
	}
}
