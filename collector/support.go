package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/rollcall-itam/rollcall/collector/policy/eol"
)

// readSupport returns the end-of-life data of a file where it is newer than what
// comes along. A file that cannot be used does not keep the collector from
// starting: broken says so, and the log why.
func readSupport(name string, log *slog.Logger) (table *eol.Table, broken bool, err error) {
	builtin, err := eol.Builtin()
	if err != nil || name == "" {
		return builtin, false, err
	}
	table, err = supportFile(name)
	switch {
	case err != nil:
		log.Warn("eol_file cannot be used, what came along holds", "file", name, "error", err)
		return builtin, true, nil
	case table.Date().Before(builtin.Date()):
		log.Warn("eol_file is older than what came along, which holds", "file", name, "date", table.Date(), "builtin_date", builtin.Date())
		return builtin, false, nil
	}
	return table, false, nil
}

func supportFile(name string) (*eol.Table, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the end-of-life data: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, eol.MaxData+1))
	if err != nil {
		return nil, fmt.Errorf("read the end-of-life data: %w", err)
	}
	return eol.Parse(b)
}
