package service

import (
	"errors"
	"testing"

	"github.com/kardianos/service"
)

func TestStatusInWords(t *testing.T) {
	exit := errors.New("exit status 1")
	for name, tc := range map[string]struct {
		f    finding
		want string
	}{
		"running":                      {finding{status: service.StatusRunning, platform: "linux-systemd", first: "systemd"}, "running"},
		"stopped":                      {finding{status: service.StatusStopped, platform: "darwin-launchd"}, "stopped"},
		"systemd does not know it":     {finding{err: service.ErrNotInstalled, platform: "linux-systemd", first: "systemd"}, "not installed"},
		"launchd does not know it":     {finding{err: service.ErrNotInstalled, platform: "darwin-launchd"}, "not installed"},
		"a container":                  {finding{err: exit, platform: systemV, first: "sleep"}, "no service manager (process 1 is sleep)"},
		"a container, another service": {finding{err: service.ErrNotInstalled, platform: systemV, first: "bash"}, "no service manager (process 1 is bash)"},
		"scripts, none for the agent":  {finding{err: exit, platform: systemV, first: "init"}, "not installed"},
		"no /proc":                     {finding{err: exit, platform: systemV}, "not installed"},
		"a script that fails":          {finding{err: exit, platform: systemV, first: "init", installed: true}, "installed, but its manager does not say whether it runs: exit status 1"},
		"a script that runs":           {finding{status: service.StatusRunning, platform: systemV, first: "init", installed: true}, "running"},
		"failed under systemd":         {finding{err: errors.New("service in failed state"), platform: "linux-systemd"}, "stopped, after it failed"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.f.words(); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
