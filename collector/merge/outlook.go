package merge

import (
	"slices"
	"time"
)

// recheck is how soon to look again at statements of which one is old and
// another is not: whoever is heard of makes the old one older still.
const recheck = 24 * time.Hour

// Outlook tells when the statements may make another asset although none of them
// changes, zero for never, and which of them have been silent so long that their
// being heard of again may do so, too.
func (t *Table) Outlook(stmts []Statement, now time.Time) (due time.Time, silent []int) {
	regular := 0
	for i := range stmts {
		s := &stmts[i]
		if lasting[s.Kind] {
			continue
		}
		regular++
		for _, age := range t.agesOf(s) {
			// A moment later than the age, which is still fresh.
			at := s.heard().Add(age + time.Second)
			if at.After(now) {
				if due.IsZero() || at.Before(due) {
					due = at
				}
				break
			}
			if !slices.Contains(silent, i) {
				silent = append(silent, i)
			}
		}
	}
	if regular < 2 {
		return time.Time{}, nil
	}
	if soon := now.Add(recheck); len(silent) > 0 && len(silent) < regular && (due.IsZero() || soon.Before(due)) {
		due = soon
	}
	return due, silent
}

// agesOf are the ages at which a statement counts for less, the shortest first.
func (t *Table) agesOf(s *Statement) []time.Duration {
	if s.Listing == nil {
		return t.ages
	}
	return slices.Sorted(slices.Values(append([]time.Duration{AttachedSlack}, t.ages...)))
}
