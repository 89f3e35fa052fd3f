package badgerkv

import (
	"bytes"
	"slices"
	"sort"
	"strings"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

// write is a pending change of one key.
type write struct {
	key, value []byte
	deleted    bool
}

// overlay holds pending writes by key. Lookups go to the map; the sorted list
// of keys is brought up to date only when a scan asks for it, because most
// transactions never scan.
type overlay struct {
	writes map[string]write
	sorted []string
	fresh  []string
}

func newOverlay() *overlay { return &overlay{writes: map[string]write{}} }

func (o *overlay) put(w write) {
	if _, ok := o.writes[string(w.key)]; !ok {
		o.fresh = append(o.fresh, string(w.key))
	}
	o.writes[string(w.key)] = w
}

func (o *overlay) reset() {
	clear(o.writes)
	o.sorted, o.fresh = o.sorted[:0], o.fresh[:0]
}

// span returns the keys with prefix that are >= start, in order.
func (o *overlay) span(prefix, start []byte) []string {
	o.sortKeys()
	from := sort.Search(len(o.sorted), func(i int) bool { return o.sorted[i] >= string(start) })
	keys := o.sorted[from:]
	to := sort.Search(len(keys), func(i int) bool { return !strings.HasPrefix(keys[i], string(prefix)) })
	return keys[:to]
}

// sortKeys merges the fresh keys into the sorted ones from the back, in place.
func (o *overlay) sortKeys() {
	if len(o.fresh) == 0 {
		return
	}
	slices.Sort(o.fresh)
	i := len(o.sorted) - 1
	o.sorted = append(o.sorted, o.fresh...)
	for j, k := len(o.fresh)-1, len(o.sorted)-1; j >= 0; k-- {
		if i >= 0 && o.sorted[i] > o.fresh[j] {
			o.sorted[k] = o.sorted[i]
			i--
			continue
		}
		o.sorted[k] = o.fresh[j]
		j--
	}
	o.fresh = o.fresh[:0]
}

// cursor walks one overlay's span.
type cursor struct {
	keys []string
	from *overlay
}

// nextWrite returns the pending write with the smallest key and steps over it
// in all cursors; of several for one key, that of the first cursor counts.
func nextWrite(cursors []cursor) (write, bool) {
	least := -1
	for i := range cursors {
		if len(cursors[i].keys) > 0 && (least < 0 || cursors[i].keys[0] < cursors[least].keys[0]) {
			least = i
		}
	}
	if least < 0 {
		return write{}, false
	}
	key := cursors[least].keys[0]
	for i := least; i < len(cursors); i++ {
		if len(cursors[i].keys) > 0 && cursors[i].keys[0] == key {
			cursors[i].keys = cursors[i].keys[1:]
		}
	}
	return cursors[least].from.writes[key], true
}

// arena copies what callers hand in, so that they may reuse their slices while
// other transactions still read the pending writes.
type arena struct{ free []byte }

const arenaChunk = 64 << 10

func (a *arena) copy(parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if n > len(a.free) {
		if n > arenaChunk/8 {
			return bytes.Join(parts, nil)
		}
		a.free = make([]byte, arenaChunk)
	}
	dst := a.free[:0:n]
	a.free = a.free[n:]
	for _, p := range parts {
		dst = append(dst, p...)
	}
	return dst
}

// cost is what a write counts towards the bound of a transaction.
func cost(key, value []byte) int { return len(key) + len(value) + kv.WriteOverhead }
