package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a token; its secret is shown once."`
	List   tokenListCmd   `cmd:"" help:"List tokens, without their secrets."`
	Revoke tokenRevokeCmd `cmd:"" help:"Refuse a token from now on."`
}

type tokenCreateCmd struct {
	Kind    string            `required:"" enum:"enroll,api" help:"enroll for agents, api for people and programs."`
	Name    string            `help:"What it is for."`
	Role    string            `help:"For kind api: viewer, operator, admin, metrics or servicedesk."`
	Uses    int32             `help:"For kind enroll: how many devices may enrol with it (1)."`
	Expires time.Duration     `help:"How long it works, as 24h (24 hours for enroll, a year for api)."`
	Label   map[string]string `help:"For kind enroll: put on the assets that enrol with it, as site=berlin."`
}

// Run makes a token.
func (c tokenCreateCmd) Run(a *app) error {
	req := &pb.CreateTokenRequest{Kind: c.Kind, Name: c.Name, Role: c.Role, MaxUses: c.Uses, Labels: c.Label}
	if c.Expires != 0 {
		req.ExpiresIn = durationpb.New(c.Expires)
	}
	resp := new(pb.CreateTokenResponse)
	if err := a.client.call(a.ctx, http.MethodPost, "/v1/tokens", req, resp); err != nil {
		return err
	}
	return a.print(resp, func() error {
		_, err := fmt.Fprintf(a.out, "%s\n\nThis is shown once. Id %s, expires %s.\n", resp.GetToken(), resp.GetId(), a.ago(resp.GetExpiresAt()))
		return err
	})
}

type tokenListCmd struct{}

// Run lists all tokens.
func (tokenListCmd) Run(a *app) error {
	all := new(pb.ListTokensResponse)
	for token := ""; ; {
		page := new(pb.ListTokensResponse)
		if err := a.client.get(a.ctx, "/v1/tokens", map[string]string{"page_size": "1000", "page_token": token}, page); err != nil {
			return err
		}
		all.Tokens = append(all.Tokens, page.GetTokens()...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	return a.print(all, func() error {
		var rows [][]string
		for _, t := range all.GetTokens() {
			state := "valid"
			switch {
			case t.GetRevokedAt() != nil:
				state = "revoked"
			case t.GetExpiresAt() != nil && t.GetExpiresAt().AsTime().Before(a.now):
				state = "expired"
			case t.GetMaxUses() > 0 && t.GetUses() >= t.GetMaxUses():
				state = "used up"
			}
			uses := ""
			if t.GetMaxUses() > 0 {
				uses = fmt.Sprintf("%d of %d", t.GetUses(), t.GetMaxUses())
			}
			rows = append(rows, []string{t.GetName(), t.GetKind(), t.GetRole(), state, uses, a.ago(t.GetExpiresAt()), t.GetId()})
		}
		return a.table([]string{"NAME", "KIND", "ROLE", "STATE", "USES", "EXPIRES", "ID"}, rows)
	})
}

type tokenRevokeCmd struct {
	ID string `arg:"" help:"The token's id, as the list has it."`
}

// Run refuses a token.
func (c tokenRevokeCmd) Run(a *app) error {
	if err := a.client.call(a.ctx, http.MethodDelete, "/v1/tokens/"+url.PathEscape(c.ID), nil, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "Token %s is revoked.\n", plain(c.ID))
	return err
}

type agentsCmd struct {
	List   agentsListCmd   `cmd:"" help:"List enrolled agents."`
	Revoke agentsRevokeCmd `cmd:"" help:"Refuse an agent from its next call on; what it said is kept."`
}

type agentsListCmd struct{}

// Run lists all agents.
func (agentsListCmd) Run(a *app) error {
	all := new(pb.ListAgentsResponse)
	for token := ""; ; {
		page := new(pb.ListAgentsResponse)
		if err := a.client.get(a.ctx, "/v1/agents", map[string]string{"page_size": "1000", "page_token": token}, page); err != nil {
			return err
		}
		all.Agents = append(all.Agents, page.GetAgents()...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	return a.print(all, func() error {
		var rows [][]string
		for _, g := range all.GetAgents() {
			state := "enrolled"
			switch {
			case g.GetRevokedAt() != nil:
				state = "revoked"
			case g.GetConflicted():
				state = "copied"
			}
			rows = append(rows, []string{g.GetHostname(), g.GetPlatform(), g.GetAgentVersion(), state, a.ago(g.GetLastSeen()), a.ago(g.GetCertificateExpiresAt()),
				strconv.FormatInt(g.GetRenewalSequence(), 10), g.GetId()})
		}
		return a.table([]string{"HOST NAME", "PLATFORM", "VERSION", "STATE", "LAST SEEN", "CERTIFICATE ENDS", "RENEWALS", "ID"}, rows)
	})
}

type agentsRevokeCmd struct {
	ID     string `arg:"" help:"The agent's id, as the list has it."`
	Reason string `help:"Why; it is kept in the audit log."`
}

// Run refuses an agent.
func (c agentsRevokeCmd) Run(a *app) error {
	req := &pb.RevokeAgentRequest{Id: c.ID, Reason: c.Reason}
	if err := a.client.call(a.ctx, http.MethodPost, "/v1/agents/"+url.PathEscape(c.ID)+":revoke", req, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "Agent %s is revoked.\n", plain(c.ID))
	return err
}
