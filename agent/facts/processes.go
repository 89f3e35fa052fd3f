package facts

import (
	"bytes"
	"io/fs"
	"strings"
)

// maxProcesses is how many processes are looked at.
const maxProcesses = 32_768

// processes returns the names of what runs, as the kernel of Linux keeps them:
// cut to 15 bytes. It is empty on other systems.
func (a *attributes) processes() map[string]bool {
	entries, err := firstEntries(a.h.FS, "proc", maxProcesses)
	if err != nil && !missing(err) {
		a.bad.add(err)
	}
	out := make(map[string]bool)
	for _, e := range entries {
		if strings.Trim(e.Name(), "0123456789") != "" {
			continue
		}
		// One that has ended meanwhile is not there any more.
		if name, err := fs.ReadFile(a.h.FS, "proc/"+e.Name()+"/comm"); err == nil {
			out[string(bytes.TrimSpace(name))] = true
		}
	}
	return out
}
