package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

type tokenCommands struct {
	Create tokenCreateCommand `cmd:"" help:"Make a token; its secret is shown once."`
	List   tokenListCommand   `cmd:"" default:"withargs" help:"List all tokens, without their secrets."`
	Revoke tokenRevokeCommand `cmd:"" help:"Refuse a token, or all sessions of a person, from now on."`
}

// lifetime is a duration that may also be told in days, as in 90d.
type lifetime time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *lifetime) UnmarshalText(text []byte) error {
	if days, ok := strings.CutSuffix(string(text), "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err == nil && n > 0 {
			*l = lifetime(n) * lifetime(24*time.Hour)
			return nil
		}
	} else if d, err := time.ParseDuration(string(text)); err == nil && d > 0 {
		*l = lifetime(d)
		return nil
	}
	return fmt.Errorf("%q is no time: write it like 12h or 90d", text)
}

type tokenCreateCommand struct {
	Kind        string            `required:"" enum:"enroll,api" help:"enroll, for agents, or api, for people and scripts."`
	Name        string            `help:"What the token is for."`
	Role        string            `placeholder:"ROLE" values:"viewer,helpdesk,servicedesk,auditor,operator,admin,metrics" help:"For kind api: viewer, helpdesk (servicedesk), auditor, operator, admin or metrics."`
	Scope       []string          `sep:"none" placeholder:"FIELD=VALUE" help:"For kind api: the part of the fleet that it may see and change, as in label.site=berlin; may be repeated."`
	Uses        int32             `help:"For kind enroll: how many devices may enrol with it (1)."`
	Expires     lifetime          `placeholder:"90d" help:"How long it is good for, as in 12h or 90d (24h for enroll, 365d for api)."`
	AgentConfig string            `placeholder:"FILE" complete:"file" help:"For kind enroll: write the token, with --collector and the collector's pin, as the configuration of agents."`
	Collector   string            `placeholder:"HOST:8471" help:"For --agent-config: where agents reach the collector."`
	Label       map[string]string `mapsep:"none" placeholder:"KEY=VALUE" help:"For kind enroll: put on the assets that enrol with it; may be repeated."`
}

// tokenRequest is the body of POST /v1/tokens.
type tokenRequest struct {
	Kind      string            `json:"kind"`
	Name      string            `json:"name,omitempty"`
	Role      string            `json:"role,omitempty"`
	ExpiresIn string            `json:"expires_in,omitempty"`
	MaxUses   int32             `json:"max_uses,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Scope     []string          `json:"scope,omitempty"`
}

// Run makes a token.
func (cmd tokenCreateCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	if (cmd.AgentConfig == "") != (cmd.Collector == "") || cmd.AgentConfig != "" && cmd.Kind != "enroll" {
		return fail(exitUsage, "--agent-config and --collector go together, with --kind enroll")
	}
	if cmd.AgentConfig != "" {
		return cmd.agentConfig(s, c)
	}
	raw, err := cmd.create(s, c)
	if err != nil {
		return err
	}
	return printAnswer(s, raw, s.newToken)
}

func (s *session) newToken(r *adminpb.CreateTokenResponse) {
	sh := new(sheet)
	sh.row("Token", r.GetToken())
	sh.row("ID", r.GetId())
	sh.row("Kind", r.GetKind())
	sh.row("Name", r.GetName())
	sh.row("Role", r.GetRole())
	sh.row("Scope", strings.Join(r.GetScope(), " "))
	if r.GetMaxUses() > 0 {
		sh.row("Uses", strconv.Itoa(int(r.GetMaxUses())))
	}
	sh.row("Expires", s.ago(r.GetExpiresAt()))
	sh.row("Labels", pairs(r.GetLabels()))
	s.sheet(sh)
	s.note("the token itself is shown this once only: keep it where others cannot read it")
}

// create makes the token and returns the answer.
func (cmd tokenCreateCommand) create(s *session, c *client) ([]byte, error) {
	req := tokenRequest{Kind: cmd.Kind, Name: cmd.Name, Role: cmd.Role, MaxUses: cmd.Uses, Labels: cmd.Label, Scope: cmd.Scope}
	if cmd.Expires > 0 {
		req.ExpiresIn = strconv.FormatFloat(time.Duration(cmd.Expires).Seconds(), 'f', -1, 64) + "s"
	}
	return c.call(s.ctx, http.MethodPost, "/v1/tokens", req)
}

type tokenListCommand struct{}

// Run lists all tokens.
func (tokenListCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	return printList(s, c.pages(s.ctx, "/v1/tokens", "tokens", pageSize(listPage)), listing[*adminpb.Token]{key: "tokens",
		columns: []column{
			{"ID", 0, 0}, {"KIND", 0, 1}, {"NAME", 8, 0}, {"ROLE", 0, 3}, {"USES", 0, 4}, {"STATE", 0, 0}, {"EXPIRES", 0, 2}, {"LAST USED", 0, 5}, {"SCOPE", 8, 0}, {"LABELS", 8, 6},
		},
		row: func(t *table, k *adminpb.Token) {
			uses := ""
			if k.GetMaxUses() > 0 {
				uses = fmt.Sprintf("%d/%d", k.GetUses(), k.GetMaxUses())
			}
			t.add(k.GetId(), k.GetKind(), or(k.GetPerson(), k.GetName()), k.GetRole(), uses, s.tokenState(k), s.ago(k.GetExpiresAt()), s.ago(k.GetLastUsedAt()), strings.Join(k.GetScope(), " "), pairs(k.GetLabels()))
		}})
}

func (s *session) tokenState(k *adminpb.Token) string {
	switch {
	case k.GetRevokedAt() != nil:
		return "revoked"
	case k.GetExpiresAt() != nil && !s.world.now().Before(k.GetExpiresAt().AsTime()):
		return "expired"
	case k.GetMaxUses() > 0 && k.GetUses() >= k.GetMaxUses():
		return "used up"
	}
	return "valid"
}

type tokenRevokeCommand struct {
	ID     string `arg:"" optional:"" complete:"token" help:"Id of the token or session (not the token itself)."`
	Person string `placeholder:"ADDRESS" complete:"person" help:"End all sessions of this person instead, as rollcall token list names them."`
}

// Run revokes a token, or ends the sessions of a person.
func (cmd tokenRevokeCommand) Run(s *session) error {
	if (cmd.ID == "") == (cmd.Person == "") {
		return fail(exitUsage, "name the id of a token or session, or --person, but not both")
	}
	if cmd.Person == "" {
		return s.change(http.MethodDelete, "/v1/tokens/"+url.PathEscape(cmd.ID), nil, "revoked token "+cmd.ID)
	}
	return send(s, http.MethodPost, "/v1/sessions:revoke", map[string]string{"person": cmd.Person}, func(r *adminpb.RevokeSessionsResponse) {
		fmt.Fprintf(s.out, "ended %d sessions of %s\n", r.GetRevoked(), clean(cmd.Person))
		s.note("who may still sign in at the provider can do so again: disable the account there as well")
	})
}

type whoamiCommand struct{}

// Run tells whom the collector takes the caller for.
func (whoamiCommand) Run(s *session) error {
	return fetch(s, "/v1/caller", nil, func(r *adminpb.Caller) {
		sh := new(sheet)
		sh.row("Caller", r.GetActor())
		sh.row("Kind", r.GetKind())
		sh.row("Name", r.GetName())
		sh.row("Role", r.GetRole())
		sh.row("Scope", strings.Join(r.GetScope(), " "))
		sh.row("Expires", s.ago(r.GetExpiresAt()))
		s.sheet(sh)
	})
}
