package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"

	"github.com/rollcall-itam/rollcall/agent/logfile"
	"github.com/rollcall-itam/rollcall/agent/service"
)

// Defaults and bounds of the log file: the size of one in MiB, and how many full
// ones are kept beside it.
const (
	defaultLogSize = 5
	maxLogSize     = 1024
	defaultLogKeep = 3
	maxLogKeep     = 100
	// noLogFile is the name that switches the file of a service off.
	noLogFile = "none"
)

// newLogger returns the logger of a program that people watch.
func newLogger(w io.Writer, s settings) *slog.Logger { return slog.New(textHandler(w, s)) }

// textHandler writes in the format that the settings ask for.
func textHandler(w io.Writer, s settings) slog.Handler {
	o := &slog.HandlerOptions{Level: s.level}
	if s.LogFormat == "json" {
		return slog.NewJSONHandler(w, o)
	}
	return slog.NewTextHandler(w, o)
}

// logger returns the logger of an agent that runs, and what closes it. A service
// writes to the log that the machine has for services, and on Windows and macOS
// to a file as well. A log that cannot be had is told in the others: an agent
// that cannot log is better than none.
func (s settings) logger(world outside, asService bool) (*slog.Logger, func()) {
	var handlers []slog.Handler
	var bad error
	if asService {
		h, err := service.LogHandler(world.stderr, world.getenv, s.level)
		bad = errors.Join(bad, err)
		if h != nil {
			handlers = append(handlers, h)
		}
	}
	name := s.LogFile
	if name == "" && asService {
		name = defaultLogFile(runtime.GOOS, s.StateDir)
	}
	closeLog := func() {}
	if name != "" && name != noLogFile {
		f, err := logfile.Open(name, int64(s.LogFileSize)<<20, s.LogFileKeep)
		bad = errors.Join(bad, err)
		if err == nil {
			handlers = append(handlers, textHandler(f, s))
			closeLog = func() { _ = f.Close() } // it ends with the process anyway
		}
	}
	if len(handlers) == 0 || !asService {
		handlers = append(handlers, textHandler(world.stderr, s))
	}
	log := slog.New(slog.NewMultiHandler(handlers...))
	if bad != nil {
		log.Warn("a log cannot be written", "error", bad)
	}
	return log, closeLog
}

// tellSystem tells the log of the system why a service ended where nobody sees
// its standard error, which is everywhere but on Linux.
func tellSystem(err error) {
	h, noLog := service.LogHandler(io.Discard, func(string) string { return "" }, slog.LevelError)
	if h != nil && noLog == nil {
		slog.New(h).Error("agent failed", "error", err)
	}
}

// defaultLogFile is the log file of a service, "" on systems whose own log holds
// all there is to say and is kept for long enough.
func defaultLogFile(goos, stateDir string) string {
	switch goos {
	case "windows":
		// Nobody but administrators may look into the state folder.
		return filepath.Join(stateDir, "agent.log")
	case "darwin":
		return "/Library/Logs/" + service.Name + ".log"
	}
	return ""
}

// checkLog checks what is set of the log file.
func (s *settings) checkLog() error {
	switch {
	case s.LogFileSize < 1 || s.LogFileSize > maxLogSize:
		return fmt.Errorf("log_file_mib %d: want 1 to %d", s.LogFileSize, maxLogSize)
	case s.LogFileKeep < 1 || s.LogFileKeep > maxLogKeep:
		return fmt.Errorf("log_file_keep %d: want 1 to %d", s.LogFileKeep, maxLogKeep)
	case s.LogFile != "" && s.LogFile != noLogFile && !filepath.IsAbs(s.LogFile):
		// A service runs in another folder than whoever wrote the setting.
		return fmt.Errorf("log_file %q: want an absolute path, or %s", s.LogFile, noLogFile)
	}
	return nil
}
