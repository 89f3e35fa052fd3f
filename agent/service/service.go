// Package service makes the agent a service of the operating system (systemd,
// launchd, Windows), one at a time on one state folder.
package service

import (
	"context"
	_ "embed" // the unit files
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/kardianos/service"
)

// Name is the service's, as systemctl, launchctl and sc know it.
const Name = "rollcall-agent"

//go:embed systemd.service
var systemdUnit string

//go:embed launchd.plist
var launchdPlist string

// Service is the agent as the operating system sees it.
type Service struct {
	s      service.Service
	p      *program
	config *service.Config
}

// New returns the service that runs the current executable with args. run is
// what the service does until its context ends; it may be nil for a service
// that is only controlled.
func New(args []string, run func(context.Context) error) (*Service, error) {
	p := newProgram(run)
	c := p.config(args)
	s, err := service.New(p, c)
	if err != nil {
		return nil, fmt.Errorf("this system's service manager is not supported, run the agent under your own: %w", err)
	}
	return &Service{s: s, p: p, config: c}, nil
}

func (p *program) config(args []string) *service.Config {
	return &service.Config{
		Name: Name, DisplayName: "Rollcall agent", Arguments: args,
		Description: "Reports what this machine is and runs to the Rollcall collector",
		Option: service.KeyValue{
			"SystemdScript": systemdUnit, "LaunchdConfig": launchdPlist,
			"RunWait": p.wait,
		},
	}
}

// Run runs the service under its manager until that stops it.
func (s *Service) Run() error {
	if err := runManaged(s.s, s.p); err != nil {
		return fmt.Errorf("run as a service: %w", err)
	}
	return nil
}

// Refuse tells the service manager that the work cannot begin. That of Windows
// waits for the answer of what it started, and otherwise says that there came
// none in time (1053), whatever the reason was; others see the program end.
func Refuse(why error) error {
	p := newProgram(nil)
	p.refused = why
	return refuse(p)
}

// Control installs, uninstalls, starts or stops the service.
func (s *Service) Control(action string) error {
	control := func() error { return service.Control(s.s, action) }
	if action == "install" {
		control = func() error { return install(s.s, s.config) }
	}
	if err := control(); err != nil {
		return fmt.Errorf("%s the service %s (administrator rights are needed): %w", action, Name, err)
	}
	return nil
}

// program is what the service manager starts and stops.
type program struct {
	run    func(context.Context) error
	cancel context.CancelFunc
	// refused is why the work cannot begin, nil where it can.
	refused error
	// ended is closed when the work ended with err.
	ended chan struct{}
	err   error
}

func newProgram(run func(context.Context) error) *program {
	return &program{run: run, ended: make(chan struct{})}
}

// wait returns when the service has to stop: because its manager says so, or
// because the work ended by itself. A service that went on without would look
// well and report nothing. On Windows, handler does this.
func (p *program) wait() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	select {
	case <-ctx.Done():
	case <-p.ended:
	}
}

// Start begins the work and returns at once.
func (p *program) Start(service.Service) error {
	if p.refused != nil {
		return p.refused
	}
	if p.run == nil {
		return errors.New("there is nothing to run")
	}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(context.Background())
	go func() {
		p.err = p.run(ctx)
		close(p.ended)
	}()
	return nil
}

// Stop ends the work and waits for it.
func (p *program) Stop(service.Service) error {
	p.cancel()
	<-p.ended
	return p.err
}
