package facts

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/facts/addon"
)

// chromium adds the extensions of every profile of a browser.
func (r *addonRows) chromium(ctx context.Context, f homeFiles, root string) {
	profiles := []string{root}
	for _, name := range f.names(root, maxProfiles) {
		profiles = append(profiles, path.Join(root, name))
	}
	for _, dir := range profiles {
		if ctx.Err() == nil && (f.has(dir+"/Preferences") || f.has(dir+"/Secure Preferences")) {
			r.profile(f, dir)
		}
	}
}

// profile adds the extensions that the preferences of a profile know. What
// lies in its folder beside is what the browser has not yet cleared away;
// where no preferences can be read, it is all that can be told.
func (r *addonRows) profile(f homeFiles, dir string) {
	entries := make(map[string]addon.ChromiumEntry)
	for _, name := range []string{"Preferences", "Secure Preferences"} {
		data, ok := f.read(path.Join(dir, name), maxPreferences)
		if !ok {
			continue
		}
		settings, err := addon.ChromiumSettings(data)
		if err != nil {
			f.bad.add(fmt.Errorf("/%s/%s/%s: %w", f.home, dir, name, err))
		}
		for _, e := range settings {
			// One of the two files has the extension, the other at most a rest.
			if old, ok := entries[e.ID]; !ok || old.Path == "" {
				entries[e.ID] = e
			}
		}
	}
	if len(entries) == 0 {
		entries = r.unlisted(f, dir)
	}
	if len(entries) > maxAddons {
		f.bad.add(fmt.Errorf("/%s/%s: %d extensions, more than %d: the rest is left out", f.home, dir, len(entries), maxAddons))
	}
	for i, id := range slices.Sorted(maps.Keys(entries)) {
		e := entries[id]
		if i >= maxAddons {
			break
		}
		if e.Disabled || e.BuiltIn || e.Removed {
			continue
		}
		if a, ok := r.described(f, dir, e); ok {
			r.addon(f, dir, a)
		}
	}
}

// unlisted returns the newest version of each extension in the folder of a
// profile.
func (r *addonRows) unlisted(f homeFiles, dir string) map[string]addon.ChromiumEntry {
	out := make(map[string]addon.ChromiumEntry)
	for _, id := range f.names(dir+"/Extensions", maxAddons) {
		if len(id) != 32 {
			// Temp, and what people have put there.
			continue
		}
		versions := f.names(path.Join(dir, "Extensions", id), maxProfiles)
		if len(versions) > 0 {
			newest := slices.MaxFunc(versions, compareDotted)
			out[id] = addon.ChromiumEntry{ID: id, Path: id + "/" + newest}
		}
	}
	return out
}

// compareDotted compares versions of the form 1.22.3_0 by their numbers.
func compareDotted(a, b string) int {
	dots := func(r rune) bool { return r == '.' || r == '_' }
	x, y := strings.FieldsFunc(a, dots), strings.FieldsFunc(b, dots)
	for i := range min(len(x), len(y)) {
		m, _ := strconv.ParseUint(x[i], 10, 32)
		n, _ := strconv.ParseUint(y[i], 10, 32)
		if c := cmp.Or(cmp.Compare(m, n), strings.Compare(x[i], y[i])); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x), len(y))
}

// described returns what an extension says of itself: its manifest, or the
// copy of it in the preferences. Of one that says nothing there is only a
// memory.
func (r *addonRows) described(f homeFiles, dir string, e addon.ChromiumEntry) (addon.Addon, bool) {
	folder, inHome := e.Path, true
	if path.IsAbs(folder) || strings.Contains(folder, ":") {
		folder, inHome = strings.CutPrefix(folder, shown(r.h, f.home)+"/")
	} else {
		folder = path.Join(dir, "Extensions", folder)
	}
	manifest := e.Manifest
	if inHome && e.Path != "" {
		if data, ok := f.read(folder+"/manifest.json", maxManifest); ok {
			m, err := addon.DecodeManifest(data)
			if err == nil {
				manifest = &m
			} else {
				f.bad.add(fmt.Errorf("/%s/%s/manifest.json: %w", f.home, folder, err))
			}
		}
	}
	if manifest == nil {
		return addon.Addon{}, false
	}
	return addon.Addon{
		ID: e.ID, Name: r.title(f, folder, manifest), Version: manifest.Version, Publisher: manifest.Author, Installed: e.Installed,
	}, true
}

// title returns the name of an extension, looked up in the extension's first
// language where the manifest only refers to it.
func (r *addonRows) title(f homeFiles, folder string, m *addon.Manifest) string {
	key, refers := addon.MessageKey(m.Name)
	if !refers {
		return m.Name
	}
	for _, locale := range []string{m.DefaultLocale, "en", "en_US"} {
		if locale == "" || strings.ContainsAny(locale, `/\`) {
			continue
		}
		if data, ok := f.read(path.Join(folder, "_locales", locale, "messages.json"), maxManifest); ok {
			if text, err := addon.Message(data, key); err == nil {
				return text
			}
		}
	}
	if _, refers := addon.MessageKey(m.ShortName); !refers {
		return m.ShortName
	}
	return ""
}

// firefox adds the add-ons of every profile.
func (r *addonRows) firefox(ctx context.Context, f homeFiles, root string) {
	for _, name := range f.names(root, maxProfiles) {
		if ctx.Err() != nil {
			return
		}
		dir := path.Join(root, name)
		data, ok := f.read(dir+"/extensions.json", maxPreferences)
		if !ok {
			continue
		}
		addons, err := addon.Firefox(data)
		if err != nil {
			f.bad.add(fmt.Errorf("/%s/%s/extensions.json: %w", f.home, dir, err))
		}
		for _, a := range addons[:min(len(addons), maxAddons)] {
			r.addon(f, dir, a)
		}
		if len(addons) > maxAddons {
			f.bad.add(fmt.Errorf("/%s/%s: %d add-ons, more than %d: the rest is left out", f.home, dir, len(addons), maxAddons))
		}
	}
}
