package view

// dictionary holds the distinct values of a column, encoded. Code 0 is that
// nothing is stated.
type dictionary struct {
	// values are only ever appended to, so that a snapshot may read the part that
	// it knows.
	values []string
	codes  map[string]uint32
	uses   []int32
	// unused counts the values that no row has any more.
	unused int
}

func newDictionary() *dictionary {
	return &dictionary{values: []string{""}, codes: map[string]uint32{"": 0}, uses: []int32{0}}
}

// use returns the code of a value that one more row has.
func (d *dictionary) use(value []byte) uint32 {
	code, ok := d.codes[string(value)]
	if !ok {
		code = uint32(len(d.values))
		text := string(value)
		d.values, d.uses = append(d.values, text), append(d.uses, 0)
		d.codes[text] = code
		d.unused++
	}
	if d.uses[code] == 0 && code != 0 {
		d.unused--
	}
	d.uses[code]++
	return code
}

// drop notes that one row less has a value.
func (d *dictionary) drop(code uint32) {
	if d.uses[code]--; d.uses[code] == 0 && code != 0 {
		d.unused++
	}
}

// Values that come and go, as the free space of a volume, would fill a
// dictionary: it is made anew when this many are unused and they are the most.
const maxUnused = 4096

func (d *dictionary) crowded() bool { return d.unused > maxUnused && d.unused > len(d.values)/2 }

// compact returns the dictionary without the values that no row has, and the
// new codes of the others.
func (d *dictionary) compact() (*dictionary, []uint32) {
	now, moved := newDictionary(), make([]uint32, len(d.values))
	for code, n := range d.uses {
		if n == 0 || code == 0 {
			continue
		}
		moved[code] = uint32(len(now.values))
		now.codes[d.values[code]] = moved[code]
		now.values, now.uses = append(now.values, d.values[code]), append(now.uses, n)
	}
	now.uses[0] = d.uses[0]
	return now, moved
}
