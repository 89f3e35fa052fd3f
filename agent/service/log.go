package service

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
)

// LogHandler returns what writes to the log that the machine has for services:
// the event log of Windows, the unified log of macOS, the journal of systemd,
// which takes standard error. It is nil where there is none; then standard error
// is whoever's that started the service. Time and level are left out: those
// logs note them themselves.
func LogHandler(stderr io.Writer, getenv func(string) string, level slog.Leveler) (slog.Handler, error) {
	switch runtime.GOOS {
	case "windows", "darwin":
		s, err := New(nil, nil)
		if err != nil {
			return nil, err
		}
		to, err := s.s.SystemLogger(nil)
		if err != nil {
			return nil, fmt.Errorf("reach the log of the system: %w", err)
		}
		return newHandler(to, level), nil
	}
	// Set by systemd where standard error leads to the journal: systemd.exec(5).
	if getenv("JOURNAL_STREAM") == "" {
		return nil, nil
	}
	return newHandler(journal{stderr}, level), nil
}

// levelled is a log that takes entries of three levels, as the library's.
type levelled interface {
	Error(v ...any) error
	Warning(v ...any) error
	Info(v ...any) error
}

// journal writes entries with the priorities that systemd reads from the begin
// of each line: sd-daemon(3).
type journal struct{ w io.Writer }

func (j journal) Error(v ...any) error   { return j.line("<3>", v) }
func (j journal) Warning(v ...any) error { return j.line("<4>", v) }
func (j journal) Info(v ...any) error    { return j.line("<6>", v) }

func (j journal) line(priority string, v []any) error {
	_, err := io.WriteString(j.w, priority+fmt.Sprint(v...)+"\n")
	return err
}

// systemLog formats entries as slog does and hands them to a log with levels.
type systemLog struct {
	text slog.Handler
	out  *output
}

// output is what handlers of the same log share.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
	to  levelled
}

func newHandler(to levelled, level slog.Leveler) slog.Handler {
	out := &output{to: to}
	text := slog.NewTextHandler(&out.buf, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}})
	return &systemLog{text: text, out: out}
}

func (h *systemLog) Enabled(ctx context.Context, level slog.Level) bool {
	return h.text.Enabled(ctx, level)
}

func (h *systemLog) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.buf.Reset()
	if err := h.text.Handle(ctx, r); err != nil {
		return err
	}
	entry := string(bytes.TrimSuffix(h.out.buf.Bytes(), []byte("\n")))
	switch {
	case r.Level >= slog.LevelError:
		return h.out.to.Error(entry)
	case r.Level >= slog.LevelWarn:
		return h.out.to.Warning(entry)
	}
	return h.out.to.Info(entry)
}

func (h *systemLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &systemLog{text: h.text.WithAttrs(attrs), out: h.out}
}

func (h *systemLog) WithGroup(name string) slog.Handler {
	return &systemLog{text: h.text.WithGroup(name), out: h.out}
}
