package mapping

import (
	"slices"
	"strings"
	"time"
)

// nothings are the words by which systems write that they do not know, each
// seen in some vendor's answers. They state nothing.
var nothings = []string{
	"", "-", "--", "n/a", "na", "none", "null", "nil", "unknown", "undefined", "not available", "not applicable", "not specified",
	"not set", "no value", "unspecified", "(removed)", "[redacted]", "{redacted}", "<none>", "00000000-0000-0000-0000-000000000000",
}

// nothing tells of a text that states nothing.
func nothing(s string, more []string) bool {
	s = strings.ToLower(s)
	return slices.Contains(nothings, s) || slices.ContainsFunc(more, func(m string) bool { return strings.EqualFold(m, s) })
}

// Times before and after these are what systems write for none: year 1, 1601
// (the beginning of Windows' clock), 1970, 9999.
var (
	earliest = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// noTime tells of a time that stands for none.
func noTime(t time.Time) bool { return t.Before(earliest) || t.After(latest) }
