package addon

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Values of "state" and "location" in Chromium's preferences, as in
// extensions/common/extension.h and mojom/manifest.mojom.
const (
	stateDisabled             = 0
	stateEnabled              = 1
	stateUninstalled          = 2
	locationComponent         = 5
	locationExternalComponent = 10
)

// ChromiumEntry is what a profile's preferences say of one extension.
type ChromiumEntry struct {
	ID string
	// Path is the folder of the extension: below the profile's folder
	// Extensions, or absolute where a developer loaded it from elsewhere.
	Path      string
	Installed time.Time
	// Disabled is set for extensions that are there and do not run, BuiltIn
	// for those that are part of the browser, Removed for those of which there
	// is only the memory that they are not wanted.
	Disabled, BuiltIn, Removed bool
	// Manifest is a copy of the extension's, where the preferences have one.
	Manifest *Manifest
}

type chromiumSetting struct {
	State    *number `json:"state"`
	Location number  `json:"location"`
	Path     text    `json:"path"`
	// Reasons is a set of bits, since 2025 a list of numbers.
	Reasons        json.RawMessage `json:"disable_reasons"`
	FirstInstalled number          `json:"first_install_time"`
	Installed      number          `json:"install_time"`
	Manifest       json.RawMessage `json:"manifest"`
}

// ChromiumSettings returns the extensions that a file Preferences or Secure
// Preferences of a profile knows, by their ids; none where it knows none.
func ChromiumSettings(data []byte) ([]ChromiumEntry, error) {
	var file struct {
		Extensions struct {
			Settings map[string]json.RawMessage `json:"settings"`
		} `json:"extensions"`
	}
	if err := decodeJSON(data, &file); err != nil {
		return nil, err
	}
	var out []ChromiumEntry
	for _, id := range slices.Sorted(maps.Keys(file.Extensions.Settings)) {
		var s chromiumSetting
		// An entry that is no object says nothing.
		if json.Unmarshal(file.Extensions.Settings[id], &s) != nil {
			continue
		}
		e := ChromiumEntry{ID: id, Path: strings.ReplaceAll(string(s.Path), `\`, "/"), Installed: webkitTime(s.FirstInstalled)}
		if e.Installed.IsZero() {
			e.Installed = webkitTime(s.Installed)
		}
		e.BuiltIn = s.Location == locationComponent || s.Location == locationExternalComponent
		e.Disabled, e.Removed = s.off()
		if len(s.Manifest) > 0 {
			if m, err := DecodeManifest(s.Manifest); err == nil {
				e.Manifest = &m
			}
		}
		out = append(out, e)
	}
	return out, nil
}

// off tells whether the extension does not run, and whether it is removed. A
// state that is not there means what the reasons for disabling mean.
func (s chromiumSetting) off() (disabled, removed bool) {
	if s.State != nil {
		switch *s.State {
		case stateEnabled:
			return false, false
		case stateDisabled:
			return true, false
		case stateUninstalled:
			return true, true
		}
	}
	var bits number
	var list []json.RawMessage
	if json.Unmarshal(s.Reasons, &list) == nil {
		return len(list) > 0, false
	}
	if len(s.Reasons) > 0 {
		_ = bits.UnmarshalJSON(s.Reasons) // never fails
	}
	return bits != 0, false
}

// webkitTime returns a time in microseconds since 1601.
func webkitTime(n number) time.Time {
	const epoch = 11_644_473_600_000_000
	if n <= epoch {
		return time.Time{}
	}
	return time.UnixMicro(int64(n) - epoch).UTC()
}

// Manifest is what an extension of Chromium says of itself in manifest.json.
type Manifest struct {
	// Name can be a reference of the form __MSG_key__ to a text in the folder
	// of a language.
	Name, ShortName string
	Version         string
	Author          string
	DefaultLocale   string
}

// DecodeManifest decodes a manifest.json, which must have a version.
func DecodeManifest(data []byte) (Manifest, error) {
	var m struct {
		Name      text            `json:"name"`
		ShortName text            `json:"short_name"`
		Version   text            `json:"version"`
		Locale    text            `json:"default_locale"`
		Author    json.RawMessage `json:"author"`
		Developer json.RawMessage `json:"developer"`
	}
	if err := decodeJSON(data, &m); err != nil {
		return Manifest{}, err
	}
	if m.Version == "" {
		return Manifest{}, errors.New("a manifest without a version")
	}
	out := Manifest{Name: string(m.Name), ShortName: string(m.ShortName), Version: string(m.Version), DefaultLocale: string(m.Locale)}
	var author text
	var developer struct {
		Name text `json:"name"`
	}
	// Since version 3 the author is an object with an address, which is no name.
	_ = author.UnmarshalJSON(m.Author)
	if author == "" && json.Unmarshal(m.Developer, &developer) == nil {
		author = developer.Name
	}
	out.Author = string(author)
	return out, nil
}

// MessageKey returns the key of a reference __MSG_key__ to a text.
func MessageKey(name string) (key string, ok bool) {
	key, ok = strings.CutPrefix(name, "__MSG_")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(key, "__")
}

// Message returns a text of a messages.json; keys are compared without regard
// to case.
func Message(data []byte, key string) (string, error) {
	var all map[string]json.RawMessage
	if err := decodeJSON(data, &all); err != nil {
		return "", err
	}
	for k, raw := range all {
		var m struct {
			Message text `json:"message"`
		}
		if strings.EqualFold(k, key) && json.Unmarshal(raw, &m) == nil && m.Message != "" {
			return string(m.Message), nil
		}
	}
	return "", fmt.Errorf("there is no message %.64q", key)
}
