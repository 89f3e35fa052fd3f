package badgerkv

import (
	"context"
	"fmt"
)

// Sizes of a store on its disk, in bytes.
type Sizes struct{ Before, After int64 }

// compactors is how many tables are compacted at once.
const compactors = 2

// Compact merges the levels of the store into one, which drops what was
// overwritten and deleted. Transactions go on meanwhile. It needs about as much
// free space as the store takes, and is refused with kv.ErrFull where that would
// leave less than the minimum.
func (d *DB) Compact(ctx context.Context) (s Sizes, err error) {
	if err := d.begin(ctx); err != nil {
		return s, err
	}
	defer d.running.Done()
	if err := d.writable(); err != nil {
		return s, err
	}
	s.Before = d.Size()
	if err := d.space.room(uint64(s.Before)); err != nil {
		return s, fmt.Errorf("compact the store: %w", err)
	}
	if err := d.badger.Flatten(compactors); err != nil {
		return s, fmt.Errorf("compact the store: %w", err)
	}
	s.After = d.Size()
	return s, nil
}

// Size is what the store's tables take, in bytes; its logs have a size of their
// own, mostly of holes.
func (d *DB) Size() int64 {
	var sum int64
	for _, t := range d.badger.Tables() {
		sum += int64(t.OnDiskSize)
	}
	return sum
}
