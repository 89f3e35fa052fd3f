package store

import (
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Trend returns how the fleet stood on each day.
func (t *Tx) Trend() (*storagepb.TrendRecord, error) {
	return read[storagepb.TrendRecord](t, join(prefixTrend))
}

// PutTrend stores it.
func (t *Tx) PutTrend(r *storagepb.TrendRecord) error { return t.put(join(prefixTrend), r) }
