package signin

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func usual() Settings {
	return Settings{Issuer: "https://login.example.com", URL: "https://rollcall.example.com:8470/", ClientID: "rollcall", Domains: []string{"example.com"},
		Roles: []Rule{{Value: "it", Role: "admin"}, {Value: "berlin", Role: "helpdesk", Scope: []string{"label.site=berlin"}}, {Claim: "department", Value: "audit", Role: "auditor"}}}.Filled()
}

func TestWhoSomebodyIs(t *testing.T) {
	ann := func(change ...func(claims)) claims {
		c := claims{"sub": "00u1", "email": "Ann@Example.com", "email_verified": true, "name": "Ann\tBerg", "groups": []any{"all", "berlin"}}
		for _, fn := range change {
			fn(c)
		}
		return c
	}
	set := func(name string, v any) func(claims) { return func(c claims) { c[name] = v } }
	without := func(name string) func(claims) { return func(c claims) { delete(c, name) } }
	desk := Person{Identity: "ann@example.com", Name: "Ann Berg", Subject: "00u1", Role: "servicedesk", Scope: []string{"label.site=berlin"}}
	admin := Person{Identity: "ann@example.com", Name: "Ann Berg", Subject: "00u1", Role: "admin"}
	for name, tc := range map[string]struct {
		change func(*Settings)
		claims claims
		want   Person
		result string
		says   string
	}{
		"by group":                 {claims: ann(), want: desk},
		"the first rule decides":   {claims: ann(set("groups", []any{"berlin", "it"})), want: admin},
		"one group as a text":      {claims: ann(set("groups", "it")), want: admin},
		"part of a group's name":   {claims: ann(set("groups", []any{"it-interns", "berlin2"})), result: NoRole, says: "claim groups"},
		"groups as an object":      {claims: ann(set("groups", map[string]any{"it": true})), result: NoRole},
		"another claim":            {claims: ann(set("groups", nil), set("department", "audit")), want: Person{Identity: "ann@example.com", Name: "Ann Berg", Subject: "00u1", Role: "auditor"}},
		"nested groups":            {change: func(s *Settings) { s.Groups = "realm_access.roles" }, claims: ann(set("realm_access", map[string]any{"roles": []any{"it"}})), want: admin},
		"a claim with dots":        {change: func(s *Settings) { s.Groups = "https://example.com/roles" }, claims: ann(set("https://example.com/roles", []any{"it"})), want: admin},
		"too many groups":          {claims: ann(without("groups"), set("_claim_names", map[string]any{"groups": "src1"})), result: NoRole, says: "so many groups"},
		"no groups at all":         {claims: ann(without("groups")), result: NoRole, says: "no role"},
		"everyone":                 {change: func(s *Settings) { s.Roles = append(s.Roles, Rule{Everyone: true, Role: "viewer"}) }, claims: ann(without("groups")), want: Person{Identity: "ann@example.com", Name: "Ann Berg", Subject: "00u1", Role: "viewer"}},
		"not verified":             {claims: ann(set("email_verified", false)), result: Unverified, says: "ann@example.com"},
		"verified is not said":     {claims: ann(without("email_verified")), result: Unverified},
		"verified as a text":       {claims: ann(set("email_verified", "true")), want: desk},
		"verified as false text":   {claims: ann(set("email_verified", "false")), result: Unverified},
		"unverified is allowed":    {change: func(s *Settings) { s.AllowUnverified = true }, claims: ann(without("email_verified")), want: desk},
		"another domain":           {claims: ann(set("email", "ann@example.com.evil.net")), result: Outside, says: "only addresses of example.com"},
		"a domain in the name":     {claims: ann(set("email", "ann@example.com@evil.net")), result: Outside},
		"a domain below":           {claims: ann(set("email", "ann@sub.example.com")), result: Outside},
		"no address":               {claims: ann(without("email")), result: Unknown, says: "email"},
		"an address as a list":     {claims: ann(set("email", []any{"ann@example.com"})), result: Unknown},
		"an address of two lines":  {claims: ann(set("email", "ann@example.com\ntoken:1")), result: Unknown},
		"an erased address":        {claims: ann(set("email", "[erased]@example.com")), result: Unknown},
		"an endless address":       {claims: ann(set("email", strings.Repeat("a", 300)+"@example.com")), result: Unknown},
		"an address of zero width": {claims: ann(set("email", "ann\u200b@example.com")), result: Unknown},
		"a claim that must be":     {change: func(s *Settings) { s.Require = map[string]string{"hd": "example.com"} }, claims: ann(), result: Outside, says: "hd"},
		"it is":                    {change: func(s *Settings) { s.Require = map[string]string{"hd": "example.com"} }, claims: ann(set("hd", "example.com")), want: desk},
		"by another identity":      {change: func(s *Settings) { s.Identity, s.Domains = "preferred_username", nil }, claims: ann(set("preferred_username", "aberg")), want: Person{Identity: "aberg", Name: "Ann Berg", Subject: "00u1", Role: "servicedesk", Scope: desk.Scope}},
	} {
		s := usual()
		if tc.change != nil {
			tc.change(&s)
		}
		got, err := s.person(tc.claims)
		if tc.result == "" {
			if err != nil || cmp.Diff(tc.want, got) != "" {
				t.Errorf("%s: %v %s", name, err, cmp.Diff(tc.want, got))
			}
			continue
		}
		var no *Refusal
		if !errors.As(err, &no) || no.Result != tc.result || !strings.Contains(no.Text, tc.says) || got.Role != "" {
			t.Errorf("%s: %+v, %v; want %s with %q", name, got, err, tc.result, tc.says)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	if err := usual().Check(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Settings){
		"issuer is missing":           func(s *Settings) { s.Issuer = "" },
		"want https":                  func(s *Settings) { s.Issuer = "http://login.example.com" },
		"without query":               func(s *Settings) { s.Issuer = "https://login.example.com?x=1" },
		"url is missing":              func(s *Settings) { s.URL = "" },
		"url \"http://rollcall":       func(s *Settings) { s.URL = "http://rollcall.example.com" },
		"/signin/callback":            func(s *Settings) { s.ClientID = "" },
		"lack openid":                 func(s *Settings) { s.Scopes = []string{"email"} },
		"session 1s":                  func(s *Settings) { s.Session = time.Second },
		"session 1000h":               func(s *Settings) { s.Session = 1000 * time.Hour },
		"domains: \"@example.com\"":   func(s *Settings) { s.Domains = []string{"@example.com"} },
		"domains: \"*.example.com\"":  func(s *Settings) { s.Domains = []string{"*.example.com"} },
		"require: \"hd\"":             func(s *Settings) { s.Require = map[string]string{"hd": ""} },
		"roles is empty":              func(s *Settings) { s.Roles = nil },
		"entry 1: role is \"god\"":    func(s *Settings) { s.Roles[0].Role = "god" },
		"entry 1: role is \"metrics":  func(s *Settings) { s.Roles[0].Role = "metrics" },
		"entry 2: invalid scope":      func(s *Settings) { s.Roles[1].Scope = []string{"name=x"} },
		"entry 1: give either":        func(s *Settings) { s.Roles[0].Value = "" },
		"entry 3: give either":        func(s *Settings) { s.Roles[2].Everyone = true },
		"entry 1 fits everyone":       func(s *Settings) { s.Roles[0].Value, s.Roles[0].Everyone = "", true },
		"entry 3: everyone looks at":  func(s *Settings) { s.Roles[2].Value, s.Roles[2].Everyone = "", true },
		"\"a b\" is empty, or holds ": func(s *Settings) { s.Groups = "a b" },
	} {
		s := usual()
		change(&s)
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

// What decides who may what ends sessions when it changes, and the rest does not.
func TestBasis(t *testing.T) {
	was := usual().basis()
	for name, change := range map[string]func(*Settings){
		"session": func(s *Settings) { s.Session = time.Hour }, "secret": func(s *Settings) { s.ClientSecret = "new" },
	} {
		if s := usual(); s.basis() != was {
			t.Error("it is not the same twice")
		} else if change(&s); s.basis() != was {
			t.Errorf("%s ends all sessions", name)
		}
	}
	for name, change := range map[string]func(*Settings){
		"issuer": func(s *Settings) { s.Issuer = "https://x.example.com" }, "role": func(s *Settings) { s.Roles[0].Role = "viewer" },
		"scope": func(s *Settings) { s.Roles[1].Scope = nil }, "domains": func(s *Settings) { s.Domains = nil }, "require": func(s *Settings) { s.Require = map[string]string{"a": "b"} },
		"verified": func(s *Settings) { s.AllowUnverified = true },
	} {
		if s := usual(); true {
			if change(&s); s.basis() == was {
				t.Errorf("%s changes and sessions stay", name)
			}
		}
	}
}

func TestTheSecretIsNotShown(t *testing.T) {
	s := usual()
	s.ClientSecret = "hunter2"
	if got := s.Shown().ClientSecret; got != "(set)" {
		t.Errorf("shown as %q", got)
	}
	s.ClientSecret = "file:/etc/rollcall/secret"
	if got := s.Shown().ClientSecret; got != s.ClientSecret {
		t.Errorf("shown as %q", got)
	}
}
