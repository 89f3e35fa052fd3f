// Package formula keeps texts from being computed by the spreadsheet program that
// a table is opened with.
package formula

import (
	"strings"
	"unicode/utf8"
)

// dangerous are the characters with which a spreadsheet program takes a text for a
// formula, or a command (OWASP, CSV Injection), with their full-width forms.
const dangerous = "=+-@\t\r\n＝＋－＠"

// Text returns a text as it may stand in a cell. What devices and people say may be
// made to be computed by whoever opens the table: an apostrophe before it makes it
// text.
func Text(s string) string {
	if r, n := utf8.DecodeRuneInString(s); n > 0 && strings.ContainsRune(dangerous, r) {
		return "'" + s
	}
	return s
}
