package store

import pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"

// Trend returns how the fleet stood on each day.
func (t *Tx) Trend() (*pb.TrendRecord, error) { return read[pb.TrendRecord](t, join(prefixTrend)) }

// PutTrend stores it.
func (t *Tx) PutTrend(r *pb.TrendRecord) error { return t.put(join(prefixTrend), r) }
