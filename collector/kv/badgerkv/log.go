package badgerkv

import (
	"fmt"
	"log/slog"
	"strings"
)

// badgerLog passes on what Badger says; its progress reports are for debugging.
type badgerLog struct{ logger *slog.Logger }

func (l badgerLog) Errorf(format string, args ...any) {
	l.logger.Error("badger reports an error", "text", text(format, args))
}

func (l badgerLog) Warningf(format string, args ...any) {
	l.logger.Warn("badger warns", "text", text(format, args))
}

func (l badgerLog) Infof(format string, args ...any) {
	l.logger.Debug("badger reports progress", "text", text(format, args))
}

// Debugf is called for each commit.
func (l badgerLog) Debugf(string, ...any) {}

func text(format string, args []any) string { return strings.TrimSpace(fmt.Sprintf(format, args...)) }
