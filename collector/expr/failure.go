package expr

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
)

// Error tells what is wrong with an expression, where, and what to do. Line and
// column count from 1; the column counts characters.
type Error struct {
	Line, Column int
	Message      string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Line > 1 {
		return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
	}
	return fmt.Sprintf("column %d: %s", e.Column, e.Message)
}

func location(info *ast.SourceInfo, id int64) (line, column int) {
	at := info.GetStartLocation(id)
	return max(at.Line(), 1), max(at.Column(), 0) + 1
}

// usage says how the functions that are ways of writing are written.
var usage = map[string]string{
	"age":          "age takes one time, such as age(asset.last_seen)",
	"seen_by":      "seen_by takes one kind of source, such as seen_by(\"mdm\")",
	"known_to":     "known_to takes one kind of source, such as known_to(\"mdm\")",
	"has_software": "has_software takes a name and, if you like, versions as quoted text: has_software(\"openssl\", \">= 3.0 < 3.0.13\")",
}

var (
	undefinedField = regexp.MustCompile(`^undefined field '([^']*)'`)
	undeclared     = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	noOverload     = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'$`)
)

// issue makes an Error of the first thing that CEL found.
func (e *Env) issue(source string, issues *cel.Issues) *Error {
	first := issues.Errors()[0]
	at := &Error{Line: max(first.Location.Line(), 1), Column: max(first.Location.Column(), 0) + 1}
	text, _, _ := strings.Cut(first.Message, "\n")
	switch {
	case undefinedField.MatchString(text):
		name := undefinedField.FindStringSubmatch(text)[1]
		at.Message = fmt.Sprintf("there is no field %q here%s; see the list of fields in docs/rules.md", name, e.guess(name, e.fields.names))
	case undeclared.MatchString(text):
		name := undeclared.FindStringSubmatch(text)[1]
		if full := e.lacks(name); full != "" {
			at.Message = fmt.Sprintf("%q is not known: write %s", name, full)
			break
		}
		at.Message = fmt.Sprintf("%q is not known%s; text stands in quotes", name, e.guess(name, e.words()))
	case noOverload.MatchString(text):
		m := noOverload.FindStringSubmatch(text)
		at.Message = fmt.Sprintf("%s cannot be applied to %s%s", strings.Trim(m[1], "_@"), m[2], typeHint(m[2]))
	default:
		text = strings.TrimPrefix(text, "Syntax error: ")
		at.Message = "this is not an expression: " + text
		if strings.Contains(source, " and ") || strings.Contains(source, " or ") || strings.Contains(source, " not ") {
			at.Message += "; write && for and, || for or, ! for not"
		}
	}
	return at
}

// typeHint says what to do about types that do not fit.
func typeHint(types string) string {
	switch {
	case strings.Contains(types, "timestamp") && strings.Contains(types, "string"):
		return ": write a day as date(\"2027-01-31\"), a time as timestamp(\"2027-01-31T10:00:00Z\")"
	case strings.Contains(types, "duration") && strings.Contains(types, "int"):
		return ": write a span of time as days(30) or duration(\"12h\")"
	case strings.Contains(types, versionType.String()):
		return ": compare a version with a version, as in version(asset.os.version) < version(\"14.5\")"
	}
	return ": compare values of one type"
}

// words are the names that an expression can use.
var words = []string{"asset", "software", "record", "kinds", "now", "params", "age", "days", "date", "version", "seen_by", "known_to", "has_software",
	"has", "size", "duration", "timestamp", "string", "int", "double", "matches", "true", "false"}

// words are those that an expression in this environment can use.
func (e *Env) words() []string {
	if e.fields.types[findingType] != nil {
		return append([]string{"finding"}, words...)
	}
	return words
}

// guess proposes what a misspelt name means.
func (e *Env) guess(name string, among []string) string {
	best, least := "", len(name)/3+1
	for _, candidate := range among {
		if d := distance(name, candidate, least); d <= least && (best == "" || d < least) {
			best, least = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %s?", best)
}

// distance counts the letters to insert, remove or change between two names; it
// may stop counting above most.
func distance(a, b string, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
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
			diagonal, row[j+1] = row[j+1], min(cost, row[j]+1, row[j+1]+1)
		}
		if slices.Min(row) > most {
			return most + 1
		}
	}
	return row[len(b)]
}

func typeName(t *cel.Type) string { return t.String() }
