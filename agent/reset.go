package main

import (
	"errors"
	"fmt"

	"github.com/rollcall-itam/rollcall/agent/report"
	"github.com/rollcall-itam/rollcall/agent/service"
)

type resetCommand struct {
	Config   string `env:"ROLLCALL_AGENT_CONFIG" placeholder:"FILE" help:"Configuration file."`
	StateDir string `env:"ROLLCALL_AGENT_STATE_DIR" placeholder:"DIR" help:"The agent's state folder, if not the configured one."`
}

// Run forgets the identity. The settings stay, since the devices that are made
// from the image need them.
func (c resetCommand) Run(world outside) error {
	dir := c.StateDir
	if dir == "" {
		s, err := configFlags{Config: c.Config}.settings()
		if err != nil {
			return err
		}
		dir = s.StateDir
	}
	unlock, err := service.Lock(dir)
	if errors.Is(err, service.ErrInUse) {
		return fmt.Errorf("the agent runs: stop it first (rollcall-agent stop): %w", err)
	}
	if err != nil {
		return err
	}
	defer unlock()
	folder, err := report.OpenFolder(dir)
	if err != nil {
		return err
	}
	if err := folder.Forget(); err != nil {
		return fmt.Errorf("forget who this device is: %w", err)
	}
	fmt.Fprintf(world.stdout, "%s holds no identity any more. The next start enrols this device as a new one.\n", dir)
	return nil
}
