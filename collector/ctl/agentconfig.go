package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// agentConfig makes a token and writes all that an agent needs to enrol into one
// file. The file is made first: a token that nobody got would be good for
// whoever finds it.
func (cmd tokenCreateCommand) agentConfig(s *session, c *client) error {
	if host, port, err := net.SplitHostPort(cmd.Collector); err != nil || host == "" || port == "" || strings.ContainsAny(cmd.Collector, " \t\"'#\\") {
		return fail(exitUsage, "--collector %q: want HOST:PORT, such as rollcall.example.com:8471", cmd.Collector)
	}
	raw, err := c.call(s.ctx, http.MethodGet, "/v1/server", nil)
	if err != nil {
		return err
	}
	info := new(adminpb.GetServerInfoResponse)
	if err := decode(raw, info); err != nil {
		return err
	}
	if info.GetCaPin() == "" {
		return errors.New("the collector does not tell its pin: it is older than this program")
	}
	f, err := os.OpenFile(cmd.AgentConfig, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make the configuration for agents: %w", err)
	}
	token, err := cmd.writeAgentConfig(s, c, f, info.GetCaPin())
	if closed := f.Close(); err == nil && closed != nil {
		err = fmt.Errorf("write the configuration for agents: %w", closed)
	}
	if err != nil {
		_ = os.Remove(cmd.AgentConfig) // what went wrong is told already
		return err
	}
	s.note("%s enrols %d device(s) until %s; it holds the token %s: keep it where others cannot read it",
		cmd.AgentConfig, token.GetMaxUses(), token.GetExpiresAt().AsTime().Format("2006-01-02 15:04 MST"), token.GetId())
	return nil
}

func (cmd tokenCreateCommand) writeAgentConfig(s *session, c *client, f *os.File, pin string) (*adminpb.CreateTokenResponse, error) {
	raw, err := cmd.create(s, c)
	if err != nil {
		return nil, err
	}
	token := new(adminpb.CreateTokenResponse)
	if err := decode(raw, token); err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(f, "# Settings of the Rollcall agent, made with `rollcall token create`. docs/operate.md\n# has all keys. The token is of no use once the agent enrolled.\ncollector: %q\nca_pin: %q\ntoken: %q\n",
		cmd.Collector, pin, token.GetToken())
	if err != nil {
		return nil, fmt.Errorf("write the configuration for agents: %w", err)
	}
	return token, nil
}
