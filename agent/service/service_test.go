package service

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/kardianos/service"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("ROLLCALL_TEST_LOCK"); dir != "" {
		holdLock(dir)
		return
	}
	// os/signal keeps one goroutine for the life of the process.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("os/signal.loop"))
}

var arguments = []string{"run", "--service", "--config", "/etc/roll call/agent.yaml"}

// unit is the systemd unit as the library installs it, for a user whose
// systemctl does nothing.
func unit(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the library renders a systemd unit only on Linux")
	}
	bin, home := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "systemctl"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("HOME", home)
	p := newProgram(nil)
	config := p.config(arguments)
	config.Option["UserService"] = true
	config.Executable = "/opt/roll call/rollcall-agent"
	for _, system := range service.AvailableSystems() {
		if system.String() != "linux-systemd" {
			continue
		}
		s, err := system.New(p, config)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Install(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(filepath.Join(home, ".config/systemd/user", Name+".service"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSystemdUnitHoldsWhatIsPromised(t *testing.T) {
	text := unit(t)
	has := map[string]bool{}
	for line := range strings.Lines(text) {
		has[strings.TrimSpace(line)] = true
	}
	for _, want := range []string{
		"Description=Reports what this machine is and runs to the Rollcall collector",
		`ExecStart=/opt/roll\x20call/rollcall-agent "run" "--service" "--config" "/etc/roll call/agent.yaml"`,
		"Type=exec", "Restart=always", "WantedBy=multi-user.target",
		"StateDirectory=rollcall-agent", "StateDirectoryMode=0700", "UMask=0077",
		"MemoryMax=160M", "TasksMax=64", "CPUQuota=50%", "Nice=10", "IOSchedulingClass=idle", "OOMScoreAdjust=500",
		"CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_SYS_PTRACE",
		"NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=read-only", "PrivateTmp=yes", "ProtectKernelTunables=yes",
		"ProtectKernelModules=yes", "ProtectKernelLogs=yes", "ProtectControlGroups=yes", "ProtectClock=yes", "RestrictNamespaces=yes",
		"RestrictRealtime=yes", "RestrictSUIDSGID=yes", "LockPersonality=yes", "MemoryDenyWriteExecute=yes",
		"RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK", "SystemCallArchitectures=native",
		"SystemCallFilter=@system-service", "SystemCallFilter=~@privileged @resources", "DevicePolicy=closed",
	} {
		if !has[want] {
			t.Errorf("the unit lacks %q", want)
		}
	}
	if strings.Contains(text, "{{") {
		t.Error("the unit holds a placeholder")
	}
	if strings.Contains(strings.ToLower(text), "token") || strings.Contains(strings.ToLower(text), "password") {
		t.Error("the unit, which everybody may read, holds a secret")
	}
	if t.Failed() {
		t.Log(text)
	}
}

// The library expands the plist only on macOS; elsewhere the same places are
// filled here, so that what surrounds them is checked.
func TestLaunchdPlistHoldsWhatIsPromised(t *testing.T) {
	before, rest, ok := strings.Cut(launchdPlist, "{{range Arguments}}")
	each, after, ok2 := strings.Cut(rest, "{{end}}")
	if !ok || !ok2 {
		t.Fatal("the plist does not take the arguments")
	}
	var args strings.Builder
	for _, a := range arguments {
		args.WriteString(strings.ReplaceAll(each, "{{. | html}}", a))
	}
	text := strings.NewReplacer("{{Name | html}}", Name, "{{Path | html}}", "/usr/local/bin/rollcall-agent").Replace(before + args.String() + after)
	if strings.Contains(text, "{{") || strings.Contains(strings.ToLower(text), "token") {
		t.Errorf("the plist holds a placeholder or a secret:\n%s", text)
	}
	got := strings.Join(words(t, text), " ")
	for _, want := range []string{
		"Label rollcall-agent", "ProgramArguments /usr/local/bin/rollcall-agent run --service --config /etc/roll call/agent.yaml RunAtLoad",
		"RunAtLoad <true> KeepAlive <true>", "ThrottleInterval 15", "ProcessType Background", "LowPriorityIO <true>", "Nice 10", "Umask 63",
		// What is logged is in a file that is rotated; this has crashes only.
		"StandardErrorPath /Library/Logs/rollcall-agent.crash.log",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the plist lacks %q: %s", want, got)
		}
	}
}

// words are the texts of an XML document and its elements without any.
func words(t *testing.T, text string) []string {
	t.Helper()
	var all []string
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.CharData:
			if s := strings.TrimSpace(string(token)); s != "" {
				all = append(all, s)
			}
		case xml.StartElement:
			if token.Name.Local == "true" || token.Name.Local == "false" {
				all = append(all, "<"+token.Name.Local+">")
			}
		}
	}
}

func TestStopEndsTheWorkAndWaitsForIt(t *testing.T) {
	ended := false
	p := newProgram(func(ctx context.Context) error { <-ctx.Done(); ended = true; return nil })
	if err := p.Start(nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(nil); err != nil || !ended {
		t.Errorf("stop gives %v, ended is %v", err, ended)
	}
}

// A service whose work failed must not look as if it ran.
func TestServiceEndsWithItsWork(t *testing.T) {
	broken := errors.New("state folder on a broken disk")
	p := newProgram(func(context.Context) error { return broken })
	if err := p.Start(nil); err != nil {
		t.Fatal(err)
	}
	p.wait()
	if err := p.Stop(nil); !errors.Is(err, broken) {
		t.Errorf("the service ends with %v", err)
	}
}

func TestServiceThatIsRefusedSaysWhy(t *testing.T) {
	why := errors.New("no collector given")
	p := newProgram(func(context.Context) error { t.Error("it works"); return nil })
	p.refused = why
	if err := p.Start(nil); !errors.Is(err, why) {
		t.Errorf("it starts with %v", err)
	}
}

func TestServiceWithoutWorkDoesNotStart(t *testing.T) {
	if err := newProgram(nil).Start(nil); err == nil {
		t.Error("it starts")
	}
}
