package enroll

import (
	"context"
	"fmt"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// maxKnown bounds the memory of known to some 60 MB.
const maxKnown = 50_000

// known remembers the records of agents that called lately, since each is asked
// for at every call. All writes of them go through the one Enroller of a store,
// which lets it forget: what it answers with is never older than the last write.
type known struct {
	records *lru.Cache[string, *storagepb.EnrolmentRecord]
	// writes counts the writes, so that a record that was read before one and
	// comes to be remembered after it is not kept.
	writes atomic.Uint64
}

func newKnown() *known {
	// The only error is that of a size below 1.
	cache, _ := lru.New[string, *storagepb.EnrolmentRecord](maxKnown)
	return &known{records: cache}
}

// record returns an agent's record, which must not be modified.
func (k *known) record(ctx context.Context, st *store.Store, id string) (*storagepb.EnrolmentRecord, error) {
	if r, ok := k.records.Get(id); ok {
		return r, nil
	}
	before := k.writes.Load()
	var record *storagepb.EnrolmentRecord
	err := st.View(ctx, func(tx *store.Tx) (err error) {
		record, err = tx.Enrolment(id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("record of agent %s: %w", id, err)
	}
	k.records.Add(id, record)
	if k.writes.Load() != before {
		k.records.Remove(id)
	}
	return record, nil
}

// forget is to be called after each write of records, whether it succeeded or
// not.
func (k *known) forget(ids ...string) {
	k.writes.Add(1)
	for _, id := range ids {
		k.records.Remove(id)
	}
}
