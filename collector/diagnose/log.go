package diagnose

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// Bounds of the lines that are kept, in number and in bytes together, and of
// one of them.
const (
	maxLines    = 2000
	maxLogBytes = 1 << 20
	maxLine     = 16 << 10
)

// withheld are the attributes whose values name people's devices, and records of
// them that may not have been taken.
var withheld = map[string]bool{"hostname": true, "peer": true, "address": true, "source_id": true, "record": true, "user": true,
	"actor": true, "email": true, "subject": true, "stack": true}

// Log is what a logger goes through: its level can be changed while it is used,
// and the last lines are remembered.
type Log struct {
	usual slog.Level
	level slog.LevelVar

	mu    sync.Mutex
	lines [][]byte
	size  int
	// back ends a level that was set for a time.
	back *time.Timer
}

// Keep returns a logger that writes where log does, from a level on that can be
// changed, and what remembers its lines.
func Keep(log *slog.Logger, level slog.Level) (*slog.Logger, *Log) {
	l := &Log{usual: level}
	l.level.Set(level)
	kept := slog.NewTextHandler(lineWriter{l}, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if withheld[a.Key] {
			a.Value = slog.StringValue("(withheld)")
		}
		return a
	}})
	return slog.New(handler{log: l, to: log.Handler(), kept: kept}), l
}

// Level returns from which level on is written, and the configured one.
func (l *Log) Level() (now, usual slog.Level) { return l.level.Level(), l.usual }

// SetLevel changes from which level on is written, for a time, or until it is
// changed again where that is 0.
func (l *Log) SetLevel(level slog.Level, last time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.back != nil {
		l.back.Stop()
		l.back = nil
	}
	l.level.Set(level)
	if last <= 0 {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(last, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		// One that ran off while the level was changed again has no say.
		if l.back == timer {
			l.level.Set(l.usual)
			l.back = nil
		}
	})
	l.back = timer
}

// Close ends a level that was set for a time.
func (l *Log) Close() { l.SetLevel(l.usual, 0) }

// WriteTo writes the lines that are kept.
func (l *Log) WriteTo(w io.Writer) (int64, error) {
	l.mu.Lock()
	all := bytes.Join(l.lines, nil)
	l.mu.Unlock()
	n, err := w.Write(all)
	if err != nil {
		err = fmt.Errorf("write the last lines of the log: %w", err)
	}
	return int64(n), err
}

// lineWriter keeps lines; slog writes each with one call.
type lineWriter struct{ log *Log }

// Write implements io.Writer.
func (w lineWriter) Write(line []byte) (int, error) {
	n, l := len(line), w.log
	if n > maxLine {
		line = append(bytes.Clone(line[:maxLine]), "...\n"...)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, bytes.Clone(line))
	l.size += len(line)
	for len(l.lines) > maxLines || l.size > maxLogBytes {
		l.size -= len(l.lines[0])
		l.lines[0] = nil
		l.lines = l.lines[1:]
	}
	return n, nil
}

type handler struct {
	log      *Log
	to, kept slog.Handler
}

// Enabled implements slog.Handler.
func (h handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.log.level.Level()
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	_ = h.kept.Handle(ctx, r) // into memory
	return h.to.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.to, h.kept = h.to.WithAttrs(attrs), h.kept.WithAttrs(attrs)
	return h
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	h.to, h.kept = h.to.WithGroup(name), h.kept.WithGroup(name)
	return h
}
