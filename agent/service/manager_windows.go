package service

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/kardianos/service"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"
)

const (
	// stopTime is how long Windows is asked to wait for the end of a collection.
	stopTime = 30 * time.Second
	// failureReset is after how much time without a failure, in seconds, the
	// delays begin anew.
	failureReset = 24 * 60 * 60
)

// runManaged runs the work as a service of Windows. The library decides by the
// parent of the process whether there is a manager, and is wrong where another
// than services.exe starts it; the agent is told.
func runManaged(_ service.Service, p *program) error {
	h := &handler{program: p}
	if err := svc.Run(Name, h); err != nil {
		return fmt.Errorf("speak to the service manager (start it with \"rollcall-agent start\", or run without --service): %w", err)
	}
	return h.err
}

// refuse answers the service manager with a failed start.
func refuse(p *program) error {
	if err := svc.Run(Name, &handler{program: p}); err != nil {
		return fmt.Errorf("speak to the service manager: %w", err)
	}
	return nil
}

// handler obeys the service manager.
type handler struct {
	program *program
	err     error
}

// Execute runs the work until the manager says stop, or it ends by itself:
// then the service fails, so that Windows starts it again.
func (h *handler) Execute(_ []string, requests <-chan svc.ChangeRequest, state chan<- svc.Status) (own bool, code uint32) {
	const failed = 1
	state <- svc.Status{State: svc.StartPending}
	if h.err = h.program.Start(nil); h.err != nil {
		return true, failed
	}
	running := svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
	state <- running
	for {
		select {
		case <-h.program.ended:
			if h.err = h.program.err; h.err == nil {
				h.err = errors.New("the work ended by itself")
			}
			return true, failed
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				state <- running
			case svc.Stop, svc.Shutdown:
				state <- svc.Status{State: svc.StopPending, WaitHint: uint32(stopTime.Milliseconds())}
				if h.err = h.program.Stop(nil); h.err != nil {
					return true, failed
				}
				return false, 0
			}
		}
	}
}

// install makes the service: it starts some time after the machine, is started
// again whenever it ends with an error, and has an identity of its own that
// rights can be given to.
func install(_ service.Service, c *service.Config) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the own program: %w", err)
	}
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("reach the service manager: %w", err)
	}
	defer m.Disconnect() //nolint:errcheck // it ends with the process anyway
	if s, err := m.OpenService(Name); err == nil {
		s.Close()
		return errors.New("it is installed already: uninstall it first")
	}
	s, err := m.CreateService(Name, program, mgr.Config{
		DisplayName: c.DisplayName, Description: c.Description, StartType: mgr.StartAutomatic, ErrorControl: mgr.ErrorNormal,
	}, c.Arguments...)
	if err != nil {
		return fmt.Errorf("create it: %w", err)
	}
	defer s.Close()
	err = errors.Join(refine(s, c), logSource())
	if err != nil {
		return errors.Join(err, s.Delete())
	}
	return nil
}

// refine sets what is not part of creating a service.
func refine(s *mgr.Service, c *service.Config) error {
	// What is empty stays as it was created.
	config := mgr.Config{
		ServiceType: windows.SERVICE_NO_CHANGE, StartType: windows.SERVICE_NO_CHANGE, ErrorControl: windows.SERVICE_NO_CHANGE,
		Description: c.Description, DelayedAutoStart: true, SidType: windows.SERVICE_SID_TYPE_UNRESTRICTED,
	}
	restarts := []mgr.RecoveryAction{
		{Type: mgr.ServiceRestart, Delay: 5 * time.Second}, {Type: mgr.ServiceRestart, Delay: 30 * time.Second},
		{Type: mgr.ServiceRestart, Delay: time.Minute},
	}
	for _, step := range []struct {
		what string
		err  error
	}{
		{"delay its start", s.UpdateConfig(config)},
		{"have it restarted", s.SetRecoveryActions(restarts, failureReset)},
		{"have it restarted after errors too", s.SetRecoveryActionsOnNonCrashFailures(true)},
	} {
		// A service manager that does not know one of these is not Microsoft's.
		if step.err != nil && !errors.Is(step.err, windows.ERROR_INVALID_LEVEL) {
			return fmt.Errorf("%s: %w", step.what, step.err)
		}
	}
	return nil
}

// logSource lets the service write to the event log.
func logSource() error {
	err := eventlog.InstallAsEventCreate(Name, eventlog.Error|eventlog.Warning|eventlog.Info)
	if err != nil && !strings.Contains(err.Error(), "exists") {
		return fmt.Errorf("make it a source of the event log: %w", err)
	}
	return nil
}
