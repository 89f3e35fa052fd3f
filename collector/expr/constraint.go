package expr

import (
	"fmt"
	"strings"

	"github.com/rollcall-itam/rollcall/pkg/pkgversion"
)

// order compares two versions: negative if a is older.
type order func(a, b string) int

// orders has the order of versions of each kind of package; all others are
// compared piece by piece, see compareVersions.
var orders = map[string]order{
	"deb": pkgversion.Deb, "rpm": pkgversion.RPM, "apk": pkgversion.APK, "pacman": pkgversion.Pacman,
}

// orderOf returns how versions of a kind of software compare.
func orderOf(kind string) order {
	if o := orders[kind]; o != nil {
		return o
	}
	return compareVersions
}

// bound is one comparison of a constraint.
type bound struct{ operator, version string }

// constraint is a set of bounds that a version must all keep.
type constraint []bound

// maxVersion bounds a version in a constraint.
const maxVersion = 200

// parseConstraint reads ">= 3.0 < 3.0.13": comparisons one after another, with
// or without commas. A version alone means exactly that one.
func parseConstraint(text string) (constraint, error) {
	var c constraint
	rest := strings.TrimSpace(text)
	for rest != "" {
		b := bound{operator: "="}
		for _, op := range []string{"<=", ">=", "!=", "==", "<", ">", "="} {
			if after, ok := strings.CutPrefix(rest, op); ok {
				b.operator, rest = strings.Replace(op, "==", "=", 1), strings.TrimSpace(after)
				break
			}
		}
		end := strings.IndexAny(rest, " ,<>=!")
		if end < 0 {
			end = len(rest)
		}
		if b.version, rest = rest[:end], strings.TrimLeft(rest[end:], " ,"); b.version == "" || len(b.version) > maxVersion {
			return nil, fmt.Errorf("%q does not say which versions: write comparisons such as \">= 3.0 < 3.0.13\"", text)
		}
		c = append(c, b)
	}
	return c, nil
}

// allows tells whether a version of a kind of software keeps every bound.
func (c constraint) allows(kind, version string) bool {
	compare := orderOf(kind)
	for _, b := range c {
		d := compare(version, b.version)
		ok := false
		switch b.operator {
		case "<":
			ok = d < 0
		case "<=":
			ok = d <= 0
		case ">":
			ok = d > 0
		case ">=":
			ok = d >= 0
		case "=":
			ok = d == 0
		case "!=":
			ok = d != 0
		}
		if !ok {
			return false
		}
	}
	return true
}

// compareVersions orders versions that follow no distribution's rules: numbers
// by value and letters by the alphabet, piece by piece. What goes on after the
// other has ended is newer, unless it goes on with letters (1.0 is newer than
// 1.0-rc1) or with nothing but zeroes (1.0 equals 1.0.0).
func compareVersions(a, b string) int {
	a, b = strings.TrimLeft(a, "vV"), strings.TrimLeft(b, "vV")
	for a != "" || b != "" {
		var pa, pb string
		pa, a = piece(a)
		pb, b = piece(b)
		if d := comparePieces(pa, pb); d != 0 {
			return d
		}
	}
	return 0
}

// piece cuts the next run of digits or letters off a version.
func piece(s string) (first, rest string) {
	s = strings.TrimLeftFunc(s, func(r rune) bool { return classOf(r) == 0 })
	if s == "" {
		return "", ""
	}
	class := classOf(rune(s[0]))
	end := strings.IndexFunc(s, func(r rune) bool { return classOf(r) != class })
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:]
}

// classOf is 1 for a digit, 2 for a letter, 0 for what separates.
func classOf(r rune) int {
	switch {
	case r >= '0' && r <= '9':
		return 1
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z':
		return 2
	}
	return 0
}

func comparePieces(a, b string) int {
	rank := func(s string) int { // letters, the end or zero, other numbers
		switch {
		case s == "":
			return 1
		case classOf(rune(s[0])) == 2:
			return 0
		case strings.Trim(s, "0") == "":
			return 1
		}
		return 2
	}
	if d := rank(a) - rank(b); d != 0 {
		return d
	}
	if rank(a) == 0 {
		return strings.Compare(strings.ToLower(a), strings.ToLower(b))
	}
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}
