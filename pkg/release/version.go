package release

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// maxVersion bounds the text of a version: it becomes the name of a folder.
const maxVersion = 64

// Version is a version of the agent: MAJOR.MINOR.PATCH, and what follows a
// dash for one that comes before it (https://semver.org, 2.0.0, without build
// metadata, which has no order).
type Version struct {
	numbers [3]uint64
	before  string
}

// ParseVersion reads a version; a v in front of it is left away.
func ParseVersion(s string) (Version, error) {
	var v Version
	bad := fmt.Errorf("version %.70q: want MAJOR.MINOR.PATCH or MAJOR.MINOR.PATCH-NAME", s)
	if len(s) > maxVersion {
		return v, bad
	}
	numbers, before, dashed := strings.Cut(strings.TrimPrefix(s, "v"), "-")
	parts := strings.Split(numbers, ".")
	if len(parts) != len(v.numbers) {
		return v, bad
	}
	for i, p := range parts {
		n, ok := number(p)
		if !ok {
			return Version{}, bad
		}
		v.numbers[i] = n
	}
	if !dashed {
		return v, nil
	}
	for p := range strings.SplitSeq(before, ".") {
		if p == "" || strings.Trim(p, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
			return Version{}, bad
		}
	}
	v.before = before
	return v, nil
}

// number reads digits that no zero leads.
func number(s string) (uint64, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' || len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return n, err == nil
}

// String is the version without a v.
func (v Version) String() string {
	s := fmt.Sprintf("%d.%d.%d", v.numbers[0], v.numbers[1], v.numbers[2])
	if v.before != "" {
		s += "-" + v.before
	}
	return s
}

// Compare returns -1 where v comes before w, 1 where it comes after.
func (v Version) Compare(w Version) int {
	for i := range v.numbers {
		if c := cmp.Compare(v.numbers[i], w.numbers[i]); c != 0 {
			return c
		}
	}
	switch {
	case v.before == w.before:
		return 0
	case v.before == "":
		return 1
	case w.before == "":
		return -1
	}
	return compareNames(strings.Split(v.before, "."), strings.Split(w.before, "."))
}

// compareNames orders what follows the dash: numbers by value and before names,
// names by their bytes, and fewer parts first.
func compareNames(v, w []string) int {
	for i := range min(len(v), len(w)) {
		a, isA := number(v[i])
		b, isB := number(w[i])
		var c int
		switch {
		case isA && isB:
			c = cmp.Compare(a, b)
		case isA:
			c = -1
		case isB:
			c = 1
		default:
			c = strings.Compare(v[i], w[i])
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(v), len(w))
}
