package main

import (
	"net/http"
	"net/url"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

type agentsCommands struct {
	List   agentsListCommand   `cmd:"" default:"withargs" help:"List the enrolled agents."`
	Revoke agentsRevokeCommand `cmd:"" help:"Refuse an agent from its next call on; what it said is kept."`
}

type agentsListCommand struct{}

// Run lists the enrolled agents.
func (agentsListCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	return printList(s, c.pages(s.ctx, "/v1/agents", "agents", pageSize(listPage)), listing[*adminpb.Agent]{key: "agents",
		columns: []column{
			{"HOSTNAME", 12, 0}, {"PLATFORM", 8, 4}, {"VERSION", 8, 3}, {"STATE", 0, 0}, {"LAST SEEN", 0, 1}, {"CERTIFICATE EXPIRES", 0, 5}, {"ASSET", 0, 6}, {"ID", 0, 0},
		},
		row: func(t *table, a *adminpb.Agent) {
			t.add(a.GetHostname(), a.GetPlatform(), a.GetAgentVersion(), s.agentState(a), s.ago(a.GetLastSeen()),
				s.ago(a.GetCertificateExpiresAt()), a.GetAssetId(), a.GetId())
		},
		none: s.nothing("no agent is enrolled: `rollcall token create --kind enroll` makes a token for it")})
}

func (s *session) agentState(a *adminpb.Agent) string {
	switch {
	case a.GetRevokedAt() != nil:
		return "revoked"
	case a.GetConflicted():
		return "conflict"
	case a.GetCertificateExpiresAt() != nil && !s.world.now().Before(a.GetCertificateExpiresAt().AsTime()):
		return "expired"
	}
	return "enrolled"
}

type agentsRevokeCommand struct {
	ID     string `arg:"" complete:"agent" help:"Id of the agent."`
	Reason string `help:"Why, for the audit log."`
}

// Run revokes an agent.
func (cmd agentsRevokeCommand) Run(s *session) error {
	body := map[string]string{}
	if cmd.Reason != "" {
		body["reason"] = cmd.Reason
	}
	return s.change(http.MethodPost, "/v1/agents/"+url.PathEscape(cmd.ID)+":revoke", body, "revoked agent "+cmd.ID)
}
