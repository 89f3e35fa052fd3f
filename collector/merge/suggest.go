package merge

import (
	"fmt"
	"strings"
)

// nearestOf returns ": did you mean ...?" with the word that a mistyped one is
// closest to, and nothing where none is close.
func nearestOf(word string, words []string) string {
	best, least := "", len(word)/3+2
	for _, w := range words {
		d := distance(strings.ToLower(word), w)
		// owner.emial is closer to owner.email than to owner.
		if d < least {
			best, least = w, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %s?", best)
}

// distance is the number of bytes to insert, delete or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
