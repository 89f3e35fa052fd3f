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

// Secret tells whether a key names a secret.
func Secret(key string) bool { return secretKey.MatchString(key) }

// Scrub replaces, in place, the values of keys that hold secrets, and of those
// named in deny, wherever they stand in v.
func Scrub(v any, deny []string) { scrubber{deny, make(map[string]bool)}.scrub(v) }

// scrubber remembers what it found of each key: the records of a page have the
// same ones.
type scrubber struct {
	deny   []string
	secret map[string]bool
}

func (s scrubber) scrub(v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if e != nil && s.drops(k, e) {
				v[k] = Redacted
				continue
			}
			s.scrub(e)
		}
	case []any:
		for _, e := range v {
			s.scrub(e)
		}
	}
}

// drops tells whether the value of a key is to be removed.
func (s scrubber) drops(key string, v any) bool {
	secret, known := s.secret[key]
	if !known {
		secret = Secret(key)
		s.secret[key] = secret
	}
	return secret && !flag(v) || slices.Contains(s.deny, key)
}

// flag tells of values that say whether there is a secret, and are none.
func flag(v any) bool {
	_, ok := v.(bool)
	return ok
}
