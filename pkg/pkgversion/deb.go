// Package pkgversion orders version strings as dpkg, rpm, apk and pacman do.
package pkgversion

import (
	"cmp"
	"strings"
)

// Deb compares two Debian versions, [epoch:]upstream[-revision], by the rules
// of deb-version(7): negative if a is older, positive if newer.
func Deb(a, b string) int {
	ea, ua, ra := splitDeb(a)
	eb, ub, rb := splitDeb(b)
	if c := compareNumbers(ea, eb); c != 0 {
		return c
	}
	if c := debPart(ua, ub); c != 0 {
		return c
	}
	return debPart(ra, rb)
}

func splitDeb(v string) (epoch, upstream, revision string) {
	if i := strings.IndexByte(v, ':'); i >= 0 {
		epoch, v = v[:i], v[i+1:]
	}
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return epoch, v[:i], v[i+1:]
	}
	return epoch, v, ""
}

// debPart compares alternately what is no digit and what is, the first in an
// order in which ~ stands before the end, and letters before the rest.
func debPart(a, b string) int {
	for a != "" || b != "" {
		for a != "" && !isDigit(a[0]) || b != "" && !isDigit(b[0]) {
			if c := cmp.Compare(debOrder(a), debOrder(b)); c != 0 {
				return c
			}
			// Both are equal here, so that neither has ended nor is a digit.
			a, b = a[1:], b[1:]
		}
		var na, nb string
		na, a = cutNumber(a)
		nb, b = cutNumber(b)
		if c := compareNumbers(na, nb); c != 0 {
			return c
		}
	}
	return 0
}

// debOrder is the weight of the first character of s.
func debOrder(s string) int {
	switch {
	case s == "" || isDigit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case isLetter(s[0]):
		return int(s[0])
	}
	return int(s[0]) + 256
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// cutNumber splits s after its leading digits.
func cutNumber(s string) (number, rest string) {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

// compareNumbers compares strings of digits by value, of any length; none is
// zero.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return cmp.Compare(len(a), len(b))
	}
	return cmp.Compare(a, b)
}
