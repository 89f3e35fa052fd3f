package addon

import (
	"encoding/json"
	"strings"
)

// Firefox returns the add-ons in a profile's extensions.json that were added
// to Firefox and are switched on: what is part of it is left out.
func Firefox(data []byte) ([]Addon, error) {
	var file struct {
		Addons []json.RawMessage `json:"addons"`
	}
	if err := decodeJSON(data, &file); err != nil {
		return nil, err
	}
	var out []Addon
	for _, raw := range file.Addons {
		var a struct {
			ID       text   `json:"id"`
			Version  text   `json:"version"`
			Location text   `json:"location"`
			Path     text   `json:"path"`
			Active   *bool  `json:"active"`
			Install  number `json:"installDate"`
			Locale   struct {
				Name    text `json:"name"`
				Creator text `json:"creator"`
			} `json:"defaultLocale"`
		}
		if json.Unmarshal(raw, &a) != nil || a.ID == "" || a.Active != nil && !*a.Active {
			continue
		}
		if strings.HasPrefix(string(a.Location), "app-builtin") || strings.HasPrefix(string(a.Location), "app-system") {
			continue
		}
		out = append(out, Addon{
			ID: string(a.ID), Name: string(a.Locale.Name), Version: string(a.Version), Publisher: string(a.Locale.Creator),
			Installed: milliseconds(a.Install), Folder: string(a.Path),
		})
	}
	return out, nil
}
