// Package vendors holds the manifests of the systems that Rollcall knows.
package vendors

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
)

//go:embed *.yaml
var files embed.FS

//go:embed new.yaml.tmpl
var scaffold string

// New returns the text of a manifest to begin with.
func New(name string) string { return strings.ReplaceAll(scaffold, "NAME", name) }

// Names returns the names of the known systems, sorted.
func Names() []string {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil // an embedded folder can be read
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	slices.Sort(names)
	return names
}

// Source returns the text of a known system's manifest.
func Source(name string) ([]byte, error) {
	if !slices.Contains(Names(), name) {
		return nil, fmt.Errorf("there is no system %.100q%s; known are %s", name, meant(name), strings.Join(Names(), ", "))
	}
	b, err := files.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("read the manifest of %s: %w", name, err)
	}
	return b, nil
}

// meant tells which system somebody may mean who names one that is not known:
// jamf, or snipeit.
func meant(name string) string {
	plain := func(s string) string {
		return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
	}
	best := manifest.Nearest(name, Names())
	for _, known := range Names() {
		if p := plain(name); best == "" && len(p) >= 3 && (strings.Contains(plain(known), p) || strings.Contains(p, plain(known))) {
			best = known
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", best)
}

// Load returns the manifest of a known system.
func Load(name string) (*manifest.Manifest, error) {
	b, err := Source(name)
	if err != nil {
		return nil, err
	}
	m, err := manifest.Parse(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("manifest of %s: %w", name, err)
	}
	return m, nil
}
