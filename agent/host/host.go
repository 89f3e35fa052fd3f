// Package host is the only code that touches the machine: it hands out files,
// kernel tables and listed commands as bytes for agent/facts to decode.
package host

import (
	"io/fs"
	"os"
	"runtime"
	"time"
)

// Host is a machine, live or captured into a folder.
type Host struct {
	// FS is the machine's file system from its root; names as in fs.FS, so
	// "etc/os-release".
	FS fs.FS
	// Root is the folder FS is rooted at, for libraries that open files by
	// path: "/" on the live machine.
	Root string
	// OS is the GOOS of the machine described, which for a capture need not be
	// that of this one.
	OS string
	// Now is the clock.
	Now func() time.Time
}

// Live returns the machine that this program runs on.
func Live() *Host {
	return &Host{FS: os.DirFS("/"), Root: "/", OS: runtime.GOOS, Now: time.Now}
}
