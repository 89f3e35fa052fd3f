package pkgversion

import (
	"cmp"
	"slices"
	"strings"
)

// Kinds of the parts of an Alpine version, in the order in which a version that
// goes on with them stands to one that has ended.
const (
	apkBefore = iota
	apkEnd
	apkRevision
	apkSuffixNumber
	apkAfter
	apkLetter
	apkDigits
)

// apkPart is one part of a version; n orders parts of one kind before digits
// do.
type apkPart struct {
	kind   int
	n      int
	digits string
}

var (
	apkBeforeNames = []string{"alpha", "beta", "pre", "rc"}
	apkAfterNames  = []string{"cvs", "svn", "git", "hg", "p"}
)

// APK compares two Alpine versions, number{.number}[letter]{_suffix[number]}
// [~commit][-rN], as apk-tools does. What does not follow that form ends the
// version.
func APK(a, b string) int {
	kind := apkEnd
	for {
		var pa, pb apkPart
		pa, a = nextAPK(kind, a)
		pb, b = nextAPK(kind, b)
		c := cmp.Or(cmp.Compare(pa.kind, pb.kind), cmp.Compare(pa.n, pb.n), compareNumbers(pa.digits, pb.digits))
		if c != 0 || pa.kind == apkEnd {
			return c
		}
		kind = pa.kind
	}
}

// nextAPK takes the next part off s, which follows a part of kind before;
// apkEnd stands for the start.
func nextAPK(before int, s string) (part apkPart, rest string) {
	digits, rest := cutNumber(s)
	switch {
	case s == "":
		return apkPart{kind: apkEnd}, ""
	case digits != "" && (before == apkEnd || before == apkDigits || before == apkLetter):
		return apkPart{kind: apkDigits, digits: digits}, rest
	case digits != "" && (before == apkBefore || before == apkAfter):
		return apkPart{kind: apkSuffixNumber, digits: digits}, rest
	case s[0] == '.':
		return nextAPKFraction(s[1:])
	case before == apkDigits && s[0] >= 'a' && s[0] <= 'z':
		return apkPart{kind: apkLetter, n: int(s[0])}, s[1:]
	case s[0] == '_':
		name, rest := cutLetters(s[1:])
		if i := slices.Index(apkBeforeNames, name); i >= 0 {
			return apkPart{kind: apkBefore, n: i}, rest
		}
		if i := slices.Index(apkAfterNames, name); i >= 0 {
			return apkPart{kind: apkAfter, n: i}, rest
		}
	case s[0] == '~':
		// The commit that a package was built from does not order versions.
		if i := strings.Index(s, "-r"); i >= 0 {
			return nextAPK(before, s[i:])
		}
	case strings.HasPrefix(s, "-r"):
		digits, rest := cutNumber(s[2:])
		return apkPart{kind: apkRevision, digits: digits}, rest
	}
	return apkPart{kind: apkEnd}, ""
}

// nextAPKFraction takes a number after a dot: one with leading zeros is a
// fraction, and the more zeros the smaller.
func nextAPKFraction(s string) (part apkPart, rest string) {
	rest = strings.TrimLeft(s, "0")
	if zeros := len(s) - len(rest); zeros > 0 {
		return apkPart{kind: apkDigits, n: -zeros}, rest
	}
	digits, rest := cutNumber(s)
	if digits == "" {
		return apkPart{kind: apkEnd}, ""
	}
	return apkPart{kind: apkDigits, digits: digits}, rest
}
