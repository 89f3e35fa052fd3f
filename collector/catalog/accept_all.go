package catalog

import (
	"context"

	"google.golang.org/protobuf/proto"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Bounds of what AcceptAll files in one transaction. It holds the store's only
// writer meanwhile, so they are small, and far below what a transaction may write.
const (
	batchCount = 64
	batchBytes = 256 << 10
	batchRows  = 1000
)

// AcceptAll files observations as Accept does one after another, in fewer
// transactions, and returns the error of each, nil where it was filed. What is
// wrong with one keeps no other from being filed.
func (c *Catalog) AcceptAll(ctx context.Context, all []*pb.Observation) []error {
	errs := make([]error, len(all))
	b := batch{catalog: c, errs: errs}
	for i, o := range all {
		if errs[i] = c.admit(o); errs[i] != nil {
			continue
		}
		if o.GetGone() {
			b.flush(ctx)
			errs[i] = c.withdraw(ctx, refOf(o), o.GetObservedAt().AsTime())
			continue
		}
		s, err := c.step(ctx, o)
		if err != nil {
			errs[i] = err
			continue
		}
		b.add(ctx, i, s, proto.Size(o))
	}
	b.flush(ctx)
	return errs
}

// batch is what is filed in the next transaction.
type batch struct {
	catalog *Catalog
	errs    []error
	steps   []step
	// places are those of the steps among all.
	places      []int
	bytes, rows int
}

// add takes in what files the observation at a place, and files what there is
// before where that would be too much at once.
func (b *batch) add(ctx context.Context, place int, s step, size int) {
	if len(b.steps) == batchCount || len(b.steps) > 0 && (b.bytes+size > batchBytes || b.rows+s.rows > batchRows) {
		b.flush(ctx)
	}
	b.steps, b.places = append(b.steps, s), append(b.places, place)
	b.bytes, b.rows = b.bytes+size, b.rows+s.rows
}

// flush files what was taken in. Where it cannot be filed together nothing of it
// was, and each is filed by itself: that tells which of them was at fault.
func (b *batch) flush(ctx context.Context) {
	if len(b.steps) == 0 {
		return
	}
	done, err := b.catalog.updateAll(ctx, b.steps)
	for i, s := range b.steps {
		if err != nil {
			_, b.errs[b.places[i]] = b.catalog.do(ctx, s)
			continue
		}
		b.catalog.Seen(s.ref, done[i].observed)
	}
	b.steps, b.places, b.bytes, b.rows = b.steps[:0], b.places[:0], 0, 0
}
