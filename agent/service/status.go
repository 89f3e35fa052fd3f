package service

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/kardianos/service"
)

const (
	notInstalled = "not installed"
	// systemV is what the library takes where it finds no manager that it knows:
	// the scripts in /etc/init.d, whether or not anything runs them.
	systemV = "unix-systemv"
	script  = "/etc/init.d/" + Name
)

// firsts are the programs that start services and run as process 1.
var firsts = []string{"systemd", "init", "launchd", "openrc-init", "runit", "s6-svscan", "dinit", "procd"}

// Status says in a few words what the service manager knows.
func Status() string {
	s, err := New(nil, nil)
	if err != nil {
		return "no service manager: run the agent under your own"
	}
	status, err := s.s.Status()
	return finding{status: status, err: err, platform: s.s.Platform(), first: firstProcess(), installed: exists(script)}.words()
}

// finding is what is known of the service.
type finding struct {
	status   service.Status
	err      error
	platform string
	// first is the program that runs as process 1, empty where that is unknown.
	first string
	// installed tells whether there is a script in /etc/init.d.
	installed bool
}

func (f finding) words() string {
	switch {
	case f.err == nil && f.status == service.StatusRunning:
		return "running"
	case f.err == nil && f.status == service.StatusStopped:
		return "stopped"
	case errors.Is(f.err, service.ErrNotInstalled) && f.platform != systemV:
		return notInstalled
	case f.platform == systemV && !f.installed && f.first != "" && !manages(f.first):
		return fmt.Sprintf("no service manager (process 1 is %s)", f.first)
	case f.platform == systemV && !f.installed:
		return notInstalled
	case f.err != nil && strings.Contains(f.err.Error(), "failed state"):
		return "stopped, after it failed"
	case f.err != nil:
		return "installed, but its manager does not say whether it runs: " + f.err.Error()
	}
	return "installed, but its manager does not say whether it runs"
}

func manages(program string) bool {
	return slices.Contains(firsts, program)
}

// firstProcess returns the name of process 1 where the system tells it.
func firstProcess() string {
	if runtime.GOOS != "linux" {
		return ""
	}
	b, err := os.ReadFile("/proc/1/comm")
	if err != nil {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(b))
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
