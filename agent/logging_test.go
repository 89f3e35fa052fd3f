package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// logged has a service, or a program, log two lines and returns what standard
// error and the file got.
func logged(t *testing.T, s settings, asService bool, env map[string]string) (stderr, text string) {
	t.Helper()
	var errs bytes.Buffer
	log, closeLog := s.logger(outside{stderr: &errs, getenv: func(name string) string { return env[name] }}, asService)
	log.Info("agent started", "agent_id", "a1")
	log.Debug("hidden")
	closeLog()
	b, err := os.ReadFile(s.LogFile)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return errs.String(), string(b)
}

func TestWhereTheAgentLogs(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the log of a service is another elsewhere")
	}
	journal := map[string]string{"JOURNAL_STREAM": "8:1"}
	const plain, file, prefixed = `level=INFO msg="agent started" agent_id=a1`, `"msg":"agent started"`, `<6>msg="agent started" agent_id=a1`
	for name, tc := range map[string]struct {
		asService  bool
		env        map[string]string
		file       bool
		errs, text string
	}{
		"people":                     {errs: plain},
		"people, with a file":        {file: true, errs: `"msg":"agent started"`, text: file},
		"people below a service":     {env: journal, errs: plain},
		"a service":                  {asService: true, errs: plain},
		"a service, the journal":     {asService: true, env: journal, errs: prefixed},
		"a service with a file":      {asService: true, file: true, text: file},
		"the journal, and with file": {asService: true, env: journal, file: true, errs: prefixed, text: file},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings{LogFormat: "text", LogFileSize: 1, LogFileKeep: 1}
			if tc.file {
				s.LogFormat, s.LogFile = "json", filepath.Join(t.TempDir(), "agent.log")
			}
			errs, text := logged(t, s, tc.asService, tc.env)
			if !strings.Contains(errs, tc.errs) || (errs == "") != (tc.errs == "") || strings.Contains(errs, "hidden") {
				t.Errorf("standard error has %q, want %q", errs, tc.errs)
			}
			if !strings.Contains(text, tc.text) || (text == "") != (tc.text == "") {
				t.Errorf("the file has %q, want %q", text, tc.text)
			}
		})
	}
}

// An agent whose log file cannot be made says so, and goes on.
func TestALogFileThatCannotBeMadeIsTold(t *testing.T) {
	taken := file(t, "in the way")
	s := settings{LogFormat: "text", LogFile: filepath.Join(taken, "agent.log"), LogFileSize: 1, LogFileKeep: 1}
	var errs bytes.Buffer
	log, closeLog := s.logger(outside{stderr: &errs, getenv: os.Getenv}, false)
	defer closeLog()
	log.Info("agent started")
	if got := errs.String(); !strings.Contains(got, "a log cannot be written") || !strings.Contains(got, taken) || !strings.Contains(got, "agent started") {
		t.Errorf("standard error has %q", got)
	}
}

func TestLogFilesOfServices(t *testing.T) {
	for goos, want := range map[string]string{"linux": "", "darwin": "/Library/Logs/rollcall-agent.log", "windows": filepath.Join("state", "agent.log")} {
		if got := defaultLogFile(goos, "state"); got != want {
			t.Errorf("on %s it is %q, want %q", goos, got, want)
		}
	}
}
