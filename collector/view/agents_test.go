package view

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Each agent counts once, by the state that matters most, and the store is not
// read anew for every question.
func TestAgentsAreCountedOnceAMinute(t *testing.T) {
	db := memkv.New()
	t.Cleanup(func() { _ = db.Close() })
	st, err := store.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 0)
	soon, past := timestamppb.New(now.Add(time.Hour)), timestamppb.New(now.Add(-time.Hour))
	put := func(records ...*storagepb.EnrolmentRecord) {
		t.Helper()
		for _, r := range records {
			if err := st.Update(t.Context(), func(tx *store.Tx) error { return tx.PutEnrolment(r) }); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(&storagepb.EnrolmentRecord{AgentId: "a", CertificateExpiresAt: soon}, &storagepb.EnrolmentRecord{AgentId: "b", CertificateExpiresAt: past},
		&storagepb.EnrolmentRecord{AgentId: "c", CertificateExpiresAt: past, RevokedAt: past, Conflicted: true}, &storagepb.EnrolmentRecord{AgentId: "d", CertificateExpiresAt: soon, Conflicted: true})
	a := NewAgents(st, func() time.Time { return now })
	want := map[string]int{AgentActive: 1, AgentExpired: 1, AgentRevoked: 1, AgentConflicted: 1}
	check := func() {
		t.Helper()
		got, err := a.Counts(t.Context())
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	check()
	put(&storagepb.EnrolmentRecord{AgentId: "e", CertificateExpiresAt: soon})
	check()
	now = now.Add(recountAfter)
	want[AgentActive] = 2
	check()
}
