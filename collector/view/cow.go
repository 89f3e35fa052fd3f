package view

// chunkRows is how many rows a chunk has: what a change copies while an older
// snapshot is read.
const chunkRows = 1024

// cow is an array that grows and of which a snapshot costs nothing: what is
// written after the snapshot goes into chunks of its own. Rows that were never
// written hold the zero value and take no memory of their own.
type cow[T any] struct {
	chunks []*chunk[T]
	// epoch is when chunks was last copied.
	epoch uint64
}

type chunk[T any] struct {
	epoch uint64
	rows  [chunkRows]T
}

// get returns the value of a row.
func (c *cow[T]) get(row uint32) T {
	if i := int(row / chunkRows); i < len(c.chunks) && c.chunks[i] != nil {
		return c.chunks[i].rows[row%chunkRows]
	}
	var zero T
	return zero
}

// set changes a row. epoch is greater than that of every snapshot that may still
// be read.
func (c *cow[T]) set(row uint32, value T, epoch uint64) {
	i := int(row / chunkRows)
	if c.epoch != epoch {
		c.chunks, c.epoch = append(make([]*chunk[T], 0, max(len(c.chunks), i+1)), c.chunks...), epoch
	}
	for i >= len(c.chunks) {
		c.chunks = append(c.chunks, nil)
	}
	switch held := c.chunks[i]; {
	case held == nil:
		c.chunks[i] = &chunk[T]{epoch: epoch}
	case held.epoch != epoch:
		c.chunks[i] = &chunk[T]{epoch: epoch, rows: held.rows}
	}
	c.chunks[i].rows[row%chunkRows] = value
}

// rows returns the values of the rows from first on, which is the first of a
// chunk; nil where all are zero.
func (c *cow[T]) rows(first uint32) *[chunkRows]T {
	if i := int(first / chunkRows); i < len(c.chunks) && c.chunks[i] != nil {
		return &c.chunks[i].rows
	}
	return nil
}
