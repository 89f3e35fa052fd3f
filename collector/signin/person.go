package signin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rollcall-itam/rollcall/collector/enroll"
)

const (
	emailClaim    = "email"
	verifiedClaim = "email_verified"
	// maxIdentity is the longest e-mail address that there can be.
	maxIdentity = 254
	maxShown    = 100
)

// Results of a sign-in, as the metrics count them.
const (
	Completed   = "completed"
	Invalid     = "invalid"
	Expired     = "expired"
	Forged      = "forged"
	Refused     = "refused_by_provider"
	Unreachable = "provider_unreachable"
	Broken      = "provider_error"
	Unverified  = "unverified"
	Unknown     = "no_identity"
	Outside     = "not_allowed"
	NoRole      = "no_role"
	Busy        = "busy"
)

// Results names all of them.
var Results = []string{Completed, Invalid, Expired, Forged, Refused, Unreachable, Broken, Unverified, Unknown, Outside, NoRole, Busy}

// Refusal is a sign-in that comes to nothing.
type Refusal struct {
	// Result is one of Results.
	Result string
	// Text tells the person why, and what to do.
	Text string
	// Person is who it was, where the provider said so.
	Person string
	// Cause is for the log; it may be nil.
	Cause error
}

// Error implements error.
func (r *Refusal) Error() string { return r.Text }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

func refuse(result, format string, args ...any) *Refusal {
	return &Refusal{Result: result, Text: fmt.Sprintf(format, args...)}
}

// Person is who signed in, and what they may.
type Person struct {
	// Identity is the claim by which the person is known, in small letters.
	Identity string
	Name     string
	// Subject is the provider's own id.
	Subject string
	Role    string
	// Scope is the part of the fleet that they may see; none is all.
	Scope []string
}

// claims are what a provider says of a person.
type claims map[string]any

// person returns who the claims are about. The error is a Refusal.
func (s Settings) person(c claims) (Person, error) {
	p := Person{Subject: text(c["sub"]), Name: shown(text(c["name"]))}
	raw := text(c.find(s.Identity))
	p.Identity = strings.ToLower(strings.TrimSpace(raw))
	if raw == "" {
		return p, refuse(Unknown, "the provider does not say your %s: an administrator has to let the application have that claim (often by a scope, see scopes in the configuration of oidc)", s.Identity)
	}
	if !nameable(p.Identity) {
		return p, refuse(Unknown, "the provider says a %s that names nobody: %.100q", s.Identity, shown(raw))
	}
	refused := func(result, format string, args ...any) (Person, error) {
		r := refuse(result, format, args...)
		r.Person = p.Identity
		return p, r
	}
	if s.Identity == emailClaim && !s.AllowUnverified && !truth(c[verifiedClaim]) {
		return refused(Unverified, "the provider does not call the address %s verified: confirm it there; where all addresses come from a directory and the provider never says so, an administrator may set allow_unverified", p.Identity)
	}
	for claim, want := range s.Require {
		if !c.holds(claim, want) {
			return refused(Outside, "%s may not sign in here: the claim %s is not what it has to be", p.Identity, claim)
		}
	}
	if _, domain, _ := strings.Cut(p.Identity, "@"); len(s.Domains) > 0 && !slices.ContainsFunc(s.Domains, func(d string) bool { return strings.EqualFold(d, domain) }) {
		return refused(Outside, "%s may not sign in here: only addresses of %s may; choose another account at the provider", p.Identity, strings.Join(s.Domains, ", "))
	}
	for _, r := range s.Roles {
		claim := r.Claim
		if claim == "" {
			claim = s.Groups
		}
		if r.Everyone || c.holds(claim, r.Value) {
			p.Role, p.Scope = enroll.RoleOf(r.Role), r.Scope
			return p, nil
		}
	}
	if c.elsewhere(s.Groups) {
		return refused(NoRole, "%s is in so many groups that the provider does not list them: have it send only the groups that are assigned to this application, or application roles", p.Identity)
	}
	return refused(NoRole, "%s has no role here: ask an administrator to put you into one of the groups that roles in the configuration of oidc names (claim %s)", p.Identity, s.Groups)
}

// needs tells whether a claim that decides is not there yet.
func (s Settings) needs(c claims) bool {
	wanted := []string{s.Identity, "name"}
	if s.Identity == emailClaim && !s.AllowUnverified {
		wanted = append(wanted, verifiedClaim)
	}
	for claim := range s.Require {
		wanted = append(wanted, claim)
	}
	for _, r := range s.Roles {
		switch {
		case r.Claim != "":
			wanted = append(wanted, r.Claim)
		case !r.Everyone:
			wanted = append(wanted, s.Groups)
		}
	}
	return slices.ContainsFunc(wanted, func(claim string) bool { return c.find(claim) == nil })
}

// find returns a claim by its name, or by the way to it through others, as in
// realm_access.roles; nil where there is none.
func (c claims) find(name string) any {
	if v, ok := c[name]; ok {
		return v
	}
	first, rest, nested := strings.Cut(name, ".")
	inner, ok := c[first].(map[string]any)
	if !nested || !ok {
		return nil
	}
	return claims(inner).find(rest)
}

// holds tells whether a claim is a value, or a list with it.
func (c claims) holds(name, value string) bool {
	switch v := c.find(name).(type) {
	case []any:
		return slices.ContainsFunc(v, func(one any) bool { return text(one) == value })
	case nil:
		return false
	default:
		return text(v) == value
	}
}

// elsewhere tells whether a provider says where to ask for a claim instead of
// sending it, as Entra ID does of people in more than 200 groups.
func (c claims) elsewhere(name string) bool {
	names, ok := c["_claim_names"].(map[string]any)
	_, there := names[name]
	return ok && there || truth(c["hasgroups"])
}

// text returns a claim that is one value, as a text.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return fmt.Sprint(v)
	case json.Number:
		return v.String()
	}
	return ""
}

// truth tells whether a claim is true; some providers write it as a text.
func truth(v any) bool { return v == true || v == "true" }

// nameable tells whether an identity can stand in the audit log and nowhere
// be taken for something else.
func nameable(s string) bool {
	return s != "" && len(s) <= maxIdentity && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`[]<>"`, r)
	})
}

// shown returns a text of others in such a way that it can be shown.
func shown(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, ""))
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown], "")
	}
	return strings.TrimSpace(s)
}
