package record

import (
	"regexp"
	"slices"
)

// secretKey matches keys whose values are secrets in some vendor's answers:
// recovery keys, bypass and unlock codes, passwords, tokens.
var secretKey = regexp.MustCompile(`(?i)(recovery_?key|bypass_?code|unlock_?(pin|token|code)|pass(word|code|phrase)$|^(api|secret|private|access)_?key$|client_?secret|(access|refresh|bearer|api|auth)_?token|script_?(body|contents?)$)`)

// Redacted stands where a secret was.
const Redacted = "(removed)"

// Scrub replaces, in place, the values of keys that hold secrets, and of those
// named in deny, wherever they stand in v.
func Scrub(v any, deny []string) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if e != nil && (secretKey.MatchString(k) && !flag(e) || slices.Contains(deny, k)) {
				v[k] = Redacted
				continue
			}
			Scrub(e, deny)
		}
	case []any:
		for _, e := range v {
			Scrub(e, deny)
		}
	}
}

// flag tells of values that say whether there is a secret, and are none.
func flag(v any) bool {
	_, ok := v.(bool)
	return ok
}
