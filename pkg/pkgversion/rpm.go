package pkgversion

import (
	"cmp"
	"strings"
)

// RPM compares two versions [epoch:]version[-release] as rpm does (rpmvercmp,
// with ~ before and ^ after what it follows). A release that one side does not
// have is not compared.
func RPM(a, b string) int { return compareEVR(a, b, rpmSegments) }

// Pacman compares two versions [epoch:]version[-release] as pacman's vercmp
// does: rpm's order of earlier days, in which 1.0rc1 is older than 1.0.
func Pacman(a, b string) int { return compareEVR(a, b, pacmanSegments) }

func compareEVR(a, b string, segments func(a, b string) int) int {
	ea, va, ra := splitEVR(a)
	eb, vb, rb := splitEVR(b)
	if c := compareNumbers(ea, eb); c != 0 {
		return c
	}
	if c := segments(va, vb); c != 0 {
		return c
	}
	if ra == "" || rb == "" {
		return 0
	}
	return segments(ra, rb)
}

// splitEVR takes as the epoch only digits before a colon, as rpm does.
func splitEVR(v string) (epoch, version, release string) {
	if n, rest := cutNumber(v); strings.HasPrefix(rest, ":") {
		epoch, v = n, rest[1:]
	}
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return epoch, v[:i], v[i+1:]
	}
	return epoch, v, ""
}

func rpmSegments(a, b string) int {
	separator := func(c rune) bool { return !isAlnum(byte(c)) && c != '~' && c != '^' || c > 0x7f }
	for {
		a, b = strings.TrimLeftFunc(a, separator), strings.TrimLeftFunc(b, separator)
		ta, tb := strings.HasPrefix(a, "~"), strings.HasPrefix(b, "~")
		ca, cb := strings.HasPrefix(a, "^"), strings.HasPrefix(b, "^")
		switch {
		case ta && tb || ca && cb:
			a, b = a[1:], b[1:]
			continue
		case ta:
			return -1
		case tb:
			return 1
		case cb && a == "", ca && b != "":
			return -1
		case ca, cb:
			return 1
		case a == "" || b == "":
			return cmp.Compare(len(a), len(b))
		}
		var c int
		if c, a, b = firstSegment(a, b); c != 0 {
			return c
		}
	}
}

// firstSegment compares the leading digits or letters of two strings that both
// begin with one, and returns what follows them. Digits are newer than letters.
func firstSegment(a, b string) (c int, restA, restB string) {
	switch da, db := isDigit(a[0]), isDigit(b[0]); {
	case da && db:
		na, ra := cutNumber(a)
		nb, rb := cutNumber(b)
		return compareNumbers(na, nb), ra, rb
	case da:
		return 1, a, b
	case db:
		return -1, a, b
	}
	la, ra := cutLetters(a)
	lb, rb := cutLetters(b)
	return cmp.Compare(la, lb), ra, rb
}

func pacmanSegments(a, b string) int {
	separator := func(c rune) bool { return c > 0x7f || !isAlnum(byte(c)) }
	for a != "" && b != "" {
		ra, rb := strings.TrimLeftFunc(a, separator), strings.TrimLeftFunc(b, separator)
		skippedA, skippedB := len(a)-len(ra), len(b)-len(rb)
		a, b = ra, rb
		if a == "" || b == "" {
			break
		}
		if skippedA != skippedB {
			return cmp.Compare(skippedA, skippedB)
		}
		var c int
		if c, a, b = firstSegment(a, b); c != 0 {
			return c
		}
	}
	switch {
	case a == "" && b == "":
		return 0
	case a == "" && !isLetter(b[0]), a != "" && isLetter(a[0]):
		// What goes on with letters is a version before the release.
		return -1
	}
	return 1
}

func isAlnum(c byte) bool { return isDigit(c) || isLetter(c) }

func cutLetters(s string) (letters, rest string) {
	i := 0
	for i < len(s) && isLetter(s[i]) {
		i++
	}
	return s[:i], s[i:]
}
