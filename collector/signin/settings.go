// Package signin lets people in whom an OpenID Connect provider knows: it leads
// them through the provider's sign-in and tells who they are and what they may.
package signin

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/scope"
)

// CallbackPath is where a provider sends people back to, below the collector's
// address.
const CallbackPath = "/signin/callback"

// Bounds of the settings.
const (
	defaultSession = 8 * time.Hour
	minSession     = 5 * time.Minute
	maxSession     = 7 * 24 * time.Hour
	maxRules       = 500
	maxListed      = 100
	maxSettingText = 500
)

// metricsRole is for programs, and no role of people.
const metricsRole = "metrics"

// Settings say which provider is trusted and who may what, with the names that
// the configuration has for them.
type Settings struct {
	// Issuer is the provider, as its tokens name it.
	Issuer string `yaml:"issuer"`
	// URL is the address of the collector as browsers reach it.
	URL      string `yaml:"url,omitempty"`
	ClientID string `yaml:"client_id"`
	// ClientSecret may be env:NAME or file:PATH, and is empty for a public client.
	ClientSecret string `yaml:"client_secret,omitempty"`
	// CAFile holds the authorities that sign the provider's certificate, where the
	// system does not trust them.
	CAFile string   `yaml:"ca_file,omitempty"`
	Scopes []string `yaml:"scopes,omitempty,flow"`
	// Identity is the claim by which a person is known.
	Identity string `yaml:"identity,omitempty"`
	// AllowUnverified takes an e-mail address that the provider does not call
	// verified.
	AllowUnverified bool `yaml:"allow_unverified,omitempty"`
	// Domains are those that a person's address may have; none are all.
	Domains []string `yaml:"domains,omitempty,flow"`
	// Require are claims and the values that they must have.
	Require map[string]string `yaml:"require,omitempty"`
	// Groups is the claim that the rules look at.
	Groups string `yaml:"groups,omitempty"`
	// Roles give people their roles: the first rule that fits decides.
	Roles []Rule `yaml:"roles"`
	// Session is how long a person stays signed in.
	Session time.Duration `yaml:"session,omitempty"`
	// Device lets people sign in with a code that they enter on another device.
	Device bool `yaml:"device,omitempty"`
}

// Rule gives a role to whose claim has a value, or to everyone.
type Rule struct {
	// Claim is that of Groups unless it is named.
	Claim string `yaml:"claim,omitempty"`
	Value string `yaml:"value,omitempty"`
	// Everyone fits whoever comes this far.
	Everyone bool   `yaml:"everyone,omitempty"`
	Role     string `yaml:"role"`
	// Scope is the part of the fleet that may be seen, as in label.site=berlin;
	// none is all.
	Scope []string `yaml:"scope,omitempty,flow"`
}

// Filled returns the settings with what is usual where they do not say.
func (s Settings) Filled() Settings {
	if s.Identity == "" {
		s.Identity = emailClaim
	}
	if s.Groups == "" {
		s.Groups = "groups"
	}
	if len(s.Scopes) == 0 {
		s.Scopes = []string{"openid", "email", "profile"}
	}
	if s.Session == 0 {
		s.Session = defaultSession
	}
	s.URL = strings.TrimRight(s.URL, "/")
	return s
}

// Shown returns the settings without the secret; a reference to where it is kept
// stays.
func (s Settings) Shown() Settings {
	if s.ClientSecret != "" && !strings.HasPrefix(s.ClientSecret, "env:") && !strings.HasPrefix(s.ClientSecret, "file:") {
		s.ClientSecret = "(set)"
	}
	return s
}

// Check tells what is wrong with settings that are filled.
func (s Settings) Check() error {
	if s.Issuer == "" {
		return errors.New("issuer is missing: the provider's address, as in https://login.example.com; its page /.well-known/openid-configuration names it")
	}
	if err := checkAddress("issuer", s.Issuer); err != nil {
		return err
	}
	if s.URL == "" {
		return errors.New("url is missing: the address of this collector as browsers reach it, like https://rollcall.example.com:8470; register it with " + CallbackPath + " behind it as redirect URI at the provider")
	}
	if err := checkAddress("url", s.URL); err != nil {
		return err
	}
	switch {
	case s.ClientID == "":
		return errors.New("client_id is missing: register an application at the provider, with the redirect URI " + s.URL + CallbackPath)
	case !slices.Contains(s.Scopes, "openid"):
		return fmt.Errorf("scopes %v lack openid, without which no provider says who signs in", s.Scopes)
	case s.Session < minSession || s.Session > maxSession:
		return fmt.Errorf("session %s: want %s to %s; what changes at the provider holds from the next sign-in", s.Session, minSession, maxSession)
	case len(s.Scopes) > maxListed || len(s.Domains) > maxListed || len(s.Require) > maxListed:
		return fmt.Errorf("scopes, domains and require may have %d entries each", maxListed)
	}
	for _, text := range slices.Concat(s.Scopes, []string{s.ClientID, s.Identity, s.Groups}) {
		if !word(text) {
			return fmt.Errorf("%.50q is empty, or holds spaces: want one name", text)
		}
	}
	for _, d := range s.Domains {
		if !word(d) || strings.ContainsAny(d, "@/*") || !strings.Contains(d, ".") {
			return fmt.Errorf("domains: %.100q is none: write it like example.com, each one that is allowed by itself", d)
		}
	}
	for claim, value := range s.Require {
		if !word(claim) || value == "" {
			return fmt.Errorf("require: %.100q: want a claim and the value that it must have, like hd: example.com", claim)
		}
	}
	return s.checkRoles()
}

func (s Settings) checkRoles() error {
	if len(s.Roles) == 0 {
		return errors.New("roles is empty, so that nobody could sign in: want entries like {value: it-admins, role: admin}, where value is what the claim " + s.Groups + " holds, or {everyone: true, role: viewer}")
	}
	if len(s.Roles) > maxRules {
		return fmt.Errorf("roles: %d entries, at most %d", len(s.Roles), maxRules)
	}
	for i, r := range s.Roles {
		role := enroll.RoleOf(r.Role)
		_, err := scope.Parse(r.Scope)
		switch {
		case r.Everyone == (r.Value != ""):
			return fmt.Errorf("roles: entry %d: give either value, which the claim must hold, or everyone: true", i+1)
		case r.Everyone && r.Claim != "":
			return fmt.Errorf("roles: entry %d: everyone looks at no claim: leave out claim %.100q", i+1, r.Claim)
		case len(r.Value) > maxSettingText || r.Claim != "" && !word(r.Claim):
			return fmt.Errorf("roles: entry %d: claim wants one name, and value at most %d bytes", i+1, maxSettingText)
		case role == metricsRole || !slices.Contains(enroll.Roles, role):
			return fmt.Errorf("roles: entry %d: role is %.50q, want one of viewer, auditor, operator, admin, servicedesk", i+1, r.Role)
		case err != nil:
			return fmt.Errorf("roles: entry %d: %w", i+1, err)
		case r.Everyone && i < len(s.Roles)-1:
			return fmt.Errorf("roles: entry %d fits everyone, so that what follows is never reached: put it last", i+1)
		}
	}
	return nil
}

// basis stands for all that decides who a person is and what they may: sessions
// that began with another are over.
func (s Settings) basis() string {
	s.Session, s.ClientSecret, s.CAFile, s.URL, s.Device, s.Scopes = 0, "", "", "", false, nil
	b, err := json.Marshal(s)
	if err != nil {
		b = []byte(err.Error()) // which no struct of texts has
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// checkAddress says why a secret should not go to an address.
func checkAddress(setting, raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(raw) > maxSettingText {
		return fmt.Errorf("%s %.100q: want an address like https://rollcall.example.com, without query and user", setting, raw)
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && onLoopback(u)) {
		return fmt.Errorf("%s %.100q: want https: who signs in, and with what, must not travel in the clear (http:// is for 127.0.0.1 only)", setting, raw)
	}
	return nil
}

func onLoopback(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

// word tells whether s is one name.
func word(s string) bool {
	return s != "" && len(s) <= maxSettingText && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}
