package facts

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/facts/addon"
	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
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
				r.addon(f, dir, a)
			}
		}
	}
	return seen
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
