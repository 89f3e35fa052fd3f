package store

import (
	"encoding/binary"
	"errors"
	"slices"
	"sort"

	"google.golang.org/protobuf/types/known/timestamppb"
)

var errDamagedSet = errors.New("packed software is damaged: restore a backup, or let the agent report anew")

// delta is one change of a device's software; both lists are sorted.
type delta struct{ removed, added []entry }

// counts says how many rows a device's base has and how many there are now, how
// many changes there were ever, how many of those the base has in it, the first
// that is kept, and how many bytes the others have. unstated is 1 where the
// source no longer states any software, which is not the same as having none.
type counts struct{ base, now, changes, folded, first, bytes, unstated int }

// entries returns what the set of rows holds, in their order.
func entries(rows []Row) []entry {
	out := make([]entry, len(rows))
	for i, r := range rows {
		out[i] = r.entry
	}
	return out
}

// net folds deltas into one that leads to the same set.
func net(deltas []delta) delta {
	if len(deltas) == 1 {
		return deltas[0]
	}
	type signed struct {
		entry
		n int
	}
	var all []signed
	for _, d := range deltas {
		for _, e := range d.removed {
			all = append(all, signed{e, -1})
		}
		for _, e := range d.added {
			all = append(all, signed{e, 1})
		}
	}
	slices.SortFunc(all, func(a, b signed) int { return compareEntries(a.entry, b.entry) })
	var out delta
	for i := 0; i < len(all); {
		e, n := all[i].entry, 0
		for ; i < len(all) && all[i].entry == e; i++ {
			n += all[i].n
		}
		for ; n < 0; n++ {
			out.removed = append(out.removed, e)
		}
		for ; n > 0; n-- {
			out.added = append(out.added, e)
		}
	}
	return out
}

// apply returns a sorted set without the removed and with the added entries,
// which are sorted too. An entry to remove whose times differ from those held
// is found by its title.
func apply(set []entry, d delta) []entry {
	drop := make(map[int]bool, len(d.removed))
	for _, e := range d.removed {
		i, exact := slices.BinarySearchFunc(set, e, compareEntries)
		if !exact {
			i = sort.Search(len(set), func(i int) bool { return set[i].title >= e.title })
		}
		for i < len(set) && drop[i] {
			i++
		}
		if i < len(set) && set[i].title == e.title {
			drop[i] = true
		}
	}
	out := make([]entry, 0, len(set)+len(d.added))
	added := d.added
	for i, e := range set {
		if len(drop) > 0 && drop[i] {
			continue
		}
		for len(added) > 0 && compareEntries(added[0], e) < 0 {
			out, added = append(out, added[0]), added[1:]
		}
		out = append(out, e)
	}
	return append(out, added...)
}

// encodeBase packs sorted entries after their number. A 1,000-title device
// takes about 10 KB.
func encodeBase(rows []entry) []byte {
	return appendEntries(binary.AppendUvarint(make([]byte, 0, 12*len(rows)+64), uint64(len(rows))), rows)
}

// appendEntries packs entries: their title ids, a table of the distinct times,
// and for each row the place of its two times in that table.
func appendEntries(b []byte, rows []entry) []byte {
	times := make([]int64, 0, 2*len(rows))
	used := false
	for _, r := range rows {
		times = append(times, r.installed, r.lastUsed)
		used = used || r.lastUsed != 0
	}
	slices.Sort(times)
	times = slices.Compact(times)
	for _, r := range rows {
		b = appendTitle(b, r.title)
	}
	b = binary.AppendUvarint(b, uint64(len(times)))
	var last int64
	for _, t := range times {
		b = binary.AppendUvarint(b, uint64(t-last))
		last = t
	}
	place := func(t int64) uint64 {
		if t == times[0] { // most have no time of last use
			return 0
		}
		i, _ := slices.BinarySearch(times, t)
		return uint64(i)
	}
	for _, r := range rows {
		b = binary.AppendUvarint(b, place(r.installed))
	}
	// Most systems know no time of last use.
	if !used {
		return append(b, 0)
	}
	b = append(b, 1)
	for _, r := range rows {
		b = binary.AppendUvarint(b, place(r.lastUsed))
	}
	return b
}

func appendTitle(b []byte, id titleID) []byte {
	var all [8]byte
	binary.BigEndian.PutUint64(all[:], uint64(id))
	return append(b, all[8-titleSize:]...)
}

func decodeBase(b []byte) ([]entry, error) {
	r := reader{b: b}
	rows := r.entries(r.uvarint())
	return rows, r.err()
}

// entries reads n packed entries.
func (r *reader) entries(n uint64) []entry {
	if n > uint64(len(r.b)/titleSize) {
		r.bad = true
		return nil
	}
	rows := make([]entry, n)
	for i := range rows {
		rows[i].title = r.title()
	}
	if n = r.uvarint(); n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	times := make([]int64, n)
	var last int64
	for i := range times {
		last += int64(r.uvarint())
		times[i] = last
	}
	for i := range rows {
		rows[i].installed = r.pick(times)
	}
	if r.count(1) == 0 {
		return rows
	}
	for i := range rows {
		rows[i].lastUsed = r.pick(times)
	}
	return rows
}

func (c counts) encode() []byte {
	b := make([]byte, 0, 16)
	for _, n := range []int{c.base, c.now, c.changes, c.folded, c.first, c.bytes, c.unstated} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

// maxChanges bounds how many changes a record may claim.
const maxChanges = 1 << 31

func decodeCounts(b []byte) (counts, error) {
	r := reader{b: b}
	c := counts{base: r.count(maxRecord), now: r.count(maxRecord), changes: r.count(maxChanges), folded: r.count(maxChanges), first: r.count(maxChanges), bytes: r.count(maxRecord), unstated: r.count(1)}
	if c.first > c.folded || c.folded > c.changes {
		r.bad = true
	}
	return c, r.err()
}

// encode packs a change with the unix seconds at which it was stated.
func (d delta) encode(at int64) []byte {
	b := binary.AppendUvarint(make([]byte, 0, 11*(len(d.removed)+len(d.added))+32), uint64(max(at, 0)))
	b = binary.AppendUvarint(b, uint64(len(d.removed)))
	b = binary.AppendUvarint(b, uint64(len(d.added)))
	return appendEntries(b, slices.Concat(d.removed, d.added))
}

func decodeDelta(b []byte) (d delta, at int64, err error) {
	r := reader{b: b}
	at = int64(r.count(maxTime))
	removed, added := r.uvarint(), r.uvarint()
	if removed > uint64(len(r.b)) || added > uint64(len(r.b)) {
		return delta{}, 0, errDamagedSet
	}
	all := r.entries(removed + added)
	if err := r.err(); err != nil {
		return delta{}, 0, err
	}
	return delta{removed: all[:removed], added: all[removed:]}, at, nil
}

// between returns the change that leads from one sorted set to another.
func between(from, to []entry) (d delta) {
	for len(from) > 0 || len(to) > 0 {
		switch {
		case len(to) == 0 || len(from) > 0 && compareEntries(from[0], to[0]) < 0:
			d.removed, from = append(d.removed, from[0]), from[1:]
		case len(from) == 0 || compareEntries(from[0], to[0]) > 0:
			d.added, to = append(d.added, to[0]), to[1:]
		default:
			from, to = from[1:], to[1:]
		}
	}
	return d
}

// reader reads packed numbers and remembers that it ran out.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) err() error {
	if r.bad || len(r.b) > 0 {
		return errDamagedSet
	}
	return nil
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads a number of at most limit.
func (r *reader) count(limit uint64) int {
	n := r.uvarint()
	if n > limit {
		r.bad = true
		return 0
	}
	return int(n)
}

func (r *reader) title() titleID {
	if len(r.b) < titleSize {
		r.bad, r.b = true, nil
		return 0
	}
	var b [8]byte
	copy(b[8-titleSize:], r.b)
	r.b = r.b[titleSize:]
	return titleID(binary.BigEndian.Uint64(b[:]))
}

func (r *reader) pick(times []int64) int64 {
	i := r.uvarint()
	if i >= uint64(len(times)) {
		r.bad = true
		return 0
	}
	return times[i]
}

func timestamp(seconds int64) *timestamppb.Timestamp {
	if seconds == 0 {
		return nil
	}
	return &timestamppb.Timestamp{Seconds: seconds}
}
