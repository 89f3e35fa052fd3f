// Package diagnose tells who helps an administrator how a collector fares,
// without its secrets and without what names people and their devices.
package diagnose

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"unicode"
)

// secrets are what secrets look like, wherever they come from; the first group
// of a pattern stays.
var secrets = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)`), "(private key)"},
	// Our own tokens, and those of others that can be told by their looks.
	{regexp.MustCompile(`\b(?:rc[a-z]|whsec|ghp|gho|ghs|glpat|github_pat|xox[abprs])[-_][A-Za-z0-9_+/=-]{8,}`), "(secret)"},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?`), "(secret)"},
	{regexp.MustCompile(`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`), "(secret)"},
	{regexp.MustCompile(`(?i)\b((?:bearer|basic|ssws|token|splunk)[ ]+)[A-Za-z0-9._~+/=-]{8,}`), "$1(secret)"},
	{regexp.MustCompile(`(://)[^/@\s"'?#]+@`), "$1(secret)@"},
	{regexp.MustCompile(`(?i)([?&][a-z0-9_.-]*(?:sig|code|key|auth|token|secret|pass|password|signature|credential)=)[^&\s"'\\]+`), "$1(secret)"},
	// The hooks of chat systems are secret as a whole.
	{regexp.MustCompile(`(?i)(https://(?:hooks\.slack\.com|[a-z0-9.-]*webhook\.office\.com|[a-z0-9.-]+\.logic\.azure\.com)[^/]*)/[^\s"'\\]+`), "$1/(secret)"},
}

// named finds name=value and name: value, in queries, JSON, YAML and text, where
// the name is that of a secret.
var named = regexp.MustCompile(`(?i)(\b[a-z0-9_.-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|signature|credentials?)\\?["']?[ ]*[:=][ ]*)(\\"[^"\\]*\\"|"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"',;&})\\{\[][^\s"',;&})\\]*)`)

// people finds name: value where the name is that of a person.
var people = regexp.MustCompile(`(?i)(\b(?:user|user_?name|login|upn|e-?mail|owner)\\?["']?[ ]*[:=][ ]*)(\\"[^"\\]*\\"|"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"',;&})\\{\[][^\s"',;&})\\]*)`)

// personal are what names people and their devices by its looks.
var personal = []struct {
	pattern *regexp.Regexp
	kind    string
}{
	{regexp.MustCompile(`[\p{L}0-9._%+'-]+(?:@|%40)[\p{L}0-9-]+(?:\.[\p{L}0-9-]+)+`), "address"},
	{regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "id"},
	{regexp.MustCompile(`(?i)\b[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}\b`), "id"},
	{regexp.MustCompile(`\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b`), "ip"},
	{regexp.MustCompile(`(?i)\b(?:[0-9a-f]{1,4}:){3,7}(?::?[0-9a-f]{1,4})?\b`), "ip"},
	{regexp.MustCompile(`(?i)\b(?:[0-9a-f]{1,4}:){1,6}:(?:[0-9a-f]{1,4}:){0,5}[0-9a-f]{1,4}\b`), "ip"},
}

// home finds the folders of people.
var home = regexp.MustCompile(`(/home/|/Users/|\\Users\\)[^/\\\s"':]+`)

// Masker takes secrets, people and devices out of texts. What it puts in the
// place of one device or address is the same wherever it stands, so that a
// reader can follow it, and tells nothing of it to who has not the key.
type Masker struct{ key []byte }

// NewMasker returns one whose replacements follow from a key, which should be
// random and be forgotten.
func NewMasker(key []byte) *Masker { return &Masker{key: key} }

// alias stands for a value.
func (m *Masker) alias(kind, value string) string {
	mac := hmac.New(sha256.New, m.key)
	_, _ = mac.Write([]byte(strings.ToLower(value))) // never fails
	return "(" + kind + "-" + hex.EncodeToString(mac.Sum(nil)[:3]) + ")"
}

// Text returns a text without what is secret in it, and without what names
// people by its looks: addresses of mail and network, ids of devices.
func (m *Masker) Text(s string) string {
	for _, mask := range secrets {
		s = mask.pattern.ReplaceAllString(s, mask.with)
	}
	s = values(s, named, "(secret)")
	s = values(s, people, "(name)")
	for _, mask := range personal {
		s = mask.pattern.ReplaceAllStringFunc(s, func(found string) string {
			if listens(found) {
				return found
			}
			return m.alias(mask.kind, found)
		})
	}
	return home.ReplaceAllString(s, "$1(name)")
}

// values replaces the values that a pattern finds, its second group.
func values(s string, pattern *regexp.Regexp, with string) string {
	return pattern.ReplaceAllStringFunc(s, func(found string) string {
		part := pattern.FindStringSubmatch(found)
		if kept(strings.Trim(part[2], `\"'`)) {
			return found
		}
		return part[1] + with
	})
}

// kept tells what may stand where a secret is expected: where it lies, and that
// there is one.
func kept(value string) bool {
	return strings.HasPrefix(value, "env:") || strings.HasPrefix(value, "file:") || strings.HasPrefix(value, "(") || value == "null"
}

// listens tells whether an address is one that every machine has.
func listens(address string) bool { return strings.HasPrefix(address, "127.") || address == "0.0.0.0" }

var (
	quotedText = regexp.MustCompile(`\\?"(?:[^"\\]|\\[^"])*\\?"`)
	ourWords   = regexp.MustCompile(`^[a-z]+(?:_[a-z]+)*$`)
	// token is what may be a serial number.
	token    = regexp.MustCompile(`[A-Za-z0-9][A-Za-z0-9-]{5,}`)
	webPath  = regexp.MustCompile(`(https?://[^/\s"'\\?]+/?)[^\s"'\\]*`)
	instants = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T`)
)

// Foreign is Text for what tells of the fleet, such as errors about records: it
// withholds as well what is quoted there, for that comes from outside, what
// follows the host in a web address, and what may be a serial number.
func (m *Masker) Foreign(s string) string {
	s = webPath.ReplaceAllString(m.Text(s), "$1...")
	s = quotedText.ReplaceAllStringFunc(s, func(found string) string {
		bare := strings.Trim(found, `\"`)
		if bare == "" || ourWords.MatchString(bare) || webPath.MatchString(bare) {
			return found
		}
		return strings.Replace(found, bare, "...", 1)
	})
	return token.ReplaceAllStringFunc(s, func(found string) string {
		if instants.MatchString(found) || !serial(found) {
			return found
		}
		return m.alias("id", found)
	})
}

// serial tells whether a word looks like a serial number: digits among capitals.
func serial(s string) bool {
	return strings.ContainsFunc(s, unicode.IsDigit) && strings.ContainsFunc(s, unicode.IsUpper) && !strings.ContainsFunc(s, unicode.IsLower)
}
