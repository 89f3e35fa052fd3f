package facts

import (
	"context"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/agent/host"
)

// spotlightDates returns what a listed search of Spotlight finds, with the dates
// that it gives, nil for none. Many machines have no index, which is no fault:
// nothing is known then.
func spotlightDates(ctx context.Context, h *host.Host, command string) map[string]*timestamppb.Timestamp {
	out, err := h.Run(ctx, command)
	if err != nil {
		return nil
	}
	return decodeSpotlight(out)
}

// decodeSpotlight reads lines of mdfind -attr: a path, blanks, the attribute's
// name, " = " and a date as in "2024-03-01 10:00:00 +0000" or "(null)".
func decodeSpotlight(out []byte) map[string]*timestamppb.Timestamp {
	dates := make(map[string]*timestamppb.Timestamp)
	for line := range strings.Lines(string(out)) {
		at := strings.LastIndex(line, " = ")
		if at < 0 {
			continue
		}
		name := strings.LastIndexByte(line[:at], ' ')
		value := strings.TrimSpace(line[at+3:])
		if name < 0 {
			continue
		}
		file := softwareText([]byte(line[:name]))
		if date, err := time.Parse("2006-01-02 15:04:05 -0700", value); err == nil {
			dates[file] = unixTime(date.Unix())
		} else if value == "(null)" {
			dates[file] = nil
		}
	}
	return dates
}

// notInstalled are folders in which applications lie that nobody installed:
// copies, what was thrown away, what is being built, and parts of the system.
// Those of other volumes belong to other systems or go with them.
var notInstalled = []string{"Volumes", "private", "var", "tmp", "cores", "dev", "Network", "System", "Library/Developer", "Library/Caches", "Library/Updates"}

// passing are names of folders, wherever they are, for which the same holds.
var passing = []string{".Trash", "DerivedData", "Backups.backupdb", "node_modules", "Caches", "CoreSimulator", "Build", "build"}

// elsewhere tells whether Spotlight has found an application of its own outside
// of the folders for them: services' helpers in /Library, and what people start
// from where they saved it.
func elsewhere(file string) bool {
	name := strings.TrimPrefix(file, "/")
	if path.Ext(name) != ".app" || !fs.ValidPath(name) || strings.HasPrefix(path.Base(name), ".") {
		return false
	}
	if strings.HasPrefix(name, "System/Library/CoreServices/") {
		return !strings.Contains(path.Dir(name), ".app")
	}
	for _, dir := range notInstalled {
		if strings.HasPrefix(name, dir+"/") {
			return false
		}
	}
	for _, dir := range strings.Split(path.Dir(name), "/") {
		if ofGuest(dir) || isBundle(dir) || slices.Contains(passing, dir) {
			return false
		}
	}
	return true
}
