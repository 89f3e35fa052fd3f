// Package buildinfo tells which version of Rollcall a program is.
package buildinfo

import "runtime/debug"

// version is set by the linker: -X .../pkg/buildinfo.version=1.2.3.
var version string

// Version returns the version that was built, or the revision that it was
// built from, or "devel".
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}
