package store

import "time"

// HasSoftwareBefore tells whether PruneSoftware would delete any.
func (t *Tx) HasSoftwareBefore(ref Ref, before time.Time) (bool, error) {
	c, err := t.counts(ref)
	if err != nil || c.first == c.folded {
		return false, ignoreNotFound(err)
	}
	_, at, err := t.change(ref, c.first)
	return err == nil && time.Unix(at, 0).Before(before), err
}

// PruneSoftware deletes changes of an observation's software that were stated
// before a time and are in its base, at most limit of them.
func (t *Tx) PruneSoftware(ref Ref, before time.Time, limit int) (int, error) {
	c, err := t.counts(ref)
	if err != nil {
		return 0, ignoreNotFound(err)
	}
	n := c.first
	for ; n < c.folded && n-c.first < limit; n++ {
		_, when, err := t.change(ref, n)
		if err != nil {
			return 0, err
		}
		if !time.Unix(when, 0).Before(before) {
			break
		}
		if err := t.remove(changeKey(ref, n)); err != nil {
			return 0, err
		}
	}
	pruned := n - c.first
	if pruned == 0 {
		return 0, nil
	}
	c.first = n
	return pruned, t.setValue(softwareKey(ref, partCounts), c.encode())
}
