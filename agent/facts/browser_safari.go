package facts

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/facts/addon"
	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	"github.com/rollcall-itam/rollcall/agent/host"
)

const (
	// safariPoint begins what an extension of Safari says that it extends.
	safariPoint = "com.apple.Safari."
	// maxSafariFolders is how many folders are looked into for applications that
	// bring extensions, and maxSafariBundles how many of their parts are read.
	maxSafariFolders = 2_000
	maxSafariBundles = 4_000
)

// safariLists are the lists of extensions that Safari keeps, which say no more
// than the identifiers of those it has met and whether they are switched on.
var safariLists = []string{"AppExtensions/Extensions.plist", "WebExtensions/Extensions.plist"}

// safari adds the extensions of a person's Safari, and tells whether there is
// a list of them. Other programs may read it only with full access to the disk.
func (r *addonRows) safari(f homeFiles) bool {
	seen := false
	for _, dir := range []string{"Library/Containers/com.apple.Safari/Data/Library/Safari", "Library/Safari"} {
		for _, name := range safariLists {
			data, ok := f.read(path.Join(dir, name), maxPreferences)
			if !ok {
				continue
			}
			seen = true
			list, err := proplist.DecodeDict(data)
			if err != nil {
				f.bad.add(fmt.Errorf("/%s/%s/%s: %w", f.home, dir, name, err))
			}
			for _, a := range safariAddons(list) {
				if known, ok := r.safariBundles(f)[a.ID]; ok {
					a.Name, a.Version = cmp.Or(known.Name, a.Name), known.Version
				}
				r.addon(f, dir, a)
			}
		}
	}
	return seen
}

// safariBundles returns the extensions that applications bring, by identifier:
// those of the machine and of this home. The list of Safari names them, and
// their own description has the name and the version.
func (r *addonRows) safariBundles(f homeFiles) map[string]addon.Addon {
	own := path.Join(f.home, "Applications")
	if r.bundlesOf == own {
		return r.bundles
	}
	s := &safariSearch{h: r.h, found: make(map[string]addon.Addon)}
	for _, root := range []string{"Applications", own} {
		s.look(root, 1)
	}
	r.bundlesOf, r.bundles = own, s.found
	return s.found
}

// safariSearch looks for extensions of Safari within applications. What it may
// not read keeps its identifier for a name.
type safariSearch struct {
	h             *host.Host
	folders, read int
	found         map[string]addon.Addon
}

// look searches a folder of applications, and those in it down to a depth:
// makers put theirs into folders of their own.
func (s *safariSearch) look(dir string, depth int) {
	if s.folders++; s.folders > maxSafariFolders {
		return
	}
	entries, err := firstEntries(s.h.FS, dir, maxSafariFolders)
	if err != nil {
		return
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case !e.IsDir() || strings.HasPrefix(e.Name(), "."):
		case path.Ext(e.Name()) == ".app":
			s.application(name)
		case depth > 0 && !isBundle(e.Name()) && !ofGuest(e.Name()):
			s.look(name, depth-1)
		}
	}
}

// application adds the extensions that one application brings.
func (s *safariSearch) application(app string) {
	plugins := path.Join(app, "Contents/PlugIns")
	entries, err := firstEntries(s.h.FS, plugins, maxSafariFolders)
	if err != nil {
		return
	}
	for _, e := range entries {
		if path.Ext(e.Name()) != ".appex" {
			continue
		}
		if s.read++; s.read > maxSafariBundles {
			return
		}
		info, err := readPlist(s.h, path.Join(plugins, e.Name(), infoPlist))
		id := info.Text("CFBundleIdentifier")
		if err != nil || id == "" || !strings.HasPrefix(info.Dict("NSExtension").Text("NSExtensionPointIdentifier"), safariPoint) {
			continue
		}
		s.found[id] = addon.Addon{
			Name:    info.Text("CFBundleDisplayName", "CFBundleName"),
			Version: info.Text("CFBundleShortVersionString", "CFBundleVersion"),
		}
	}
}

// safariAddons returns the extensions that are switched on in an
// Extensions.plist: a dictionary by the bundle's identifier and, in brackets,
// the identifier of the team that signed it.
func safariAddons(list proplist.Dict) []addon.Addon {
	var out []addon.Addon
	for _, key := range slices.Sorted(maps.Keys(list)) {
		if on, _ := list.Dict(key).Bool("Enabled"); !on {
			continue
		}
		id, team, _ := strings.Cut(key, " (")
		a := addon.Addon{ID: id, Name: id, Publisher: strings.TrimSuffix(team, ")")}
		if team == "UNSIGNED)" {
			a.Publisher = ""
		}
		if a.ID != "" {
			out = append(out, a)
		}
	}
	return out
}
