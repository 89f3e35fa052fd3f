package addon

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"sync"
)

// VSCode returns the extensions in the extensions.json of VS Code and what is
// made from it, in the order of the file.
func VSCode(data []byte) ([]Addon, error) {
	var file []json.RawMessage
	if err := decodeJSON(data, &file); err != nil {
		return nil, err
	}
	var out []Addon
	for _, raw := range file {
		var e struct {
			Identifier struct {
				ID text `json:"id"`
			} `json:"identifier"`
			Version  text `json:"version"`
			Relative text `json:"relativeLocation"`
			Metadata struct {
				Publisher text   `json:"publisherDisplayName"`
				Installed number `json:"installedTimestamp"`
			} `json:"metadata"`
		}
		if json.Unmarshal(raw, &e) != nil || e.Identifier.ID == "" {
			continue
		}
		id := string(e.Identifier.ID)
		out = append(out, Addon{
			ID: id, Name: id, Version: string(e.Version), Publisher: string(e.Metadata.Publisher),
			Installed: milliseconds(e.Metadata.Installed), Folder: string(e.Relative),
		})
	}
	return out, nil
}

// vscodeFolder is how folders of extensions are named: publisher.name-version,
// with the platform where there are several builds.
var vscodeFolder = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([0-9A-Za-z][0-9A-Za-z-]*\.[0-9A-Za-z][0-9A-Za-z._-]*?)-(\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)??)(?:-(?:linux|darwin|win32|alpine|web|universal)(?:-[0-9a-z]+)?)?$`)
})

// VSCodeFolder returns the extension that a folder holds by its name, false
// for folders of another name.
func VSCodeFolder(name string) (Addon, bool) {
	m := vscodeFolder().FindStringSubmatch(name)
	if m == nil {
		return Addon{}, false
	}
	return Addon{ID: m[1], Name: m[1], Version: m[2], Folder: name}, true
}

// VSCodeObsolete returns the folders that a file .obsolete names: what is in
// them was removed or replaced, and goes when nobody uses it.
func VSCodeObsolete(data []byte) (map[string]bool, error) {
	var file map[string]json.RawMessage
	if err := decodeJSON(data, &file); err != nil {
		return nil, err
	}
	out := make(map[string]bool, len(file))
	for name, raw := range file {
		out[name] = string(raw) == "true"
	}
	return out, nil
}

// JetBrains returns the plugin that a META-INF/plugin.xml describes. Only the
// few elements that stand directly in the root are asked for, so that this is
// no XML parser: it looks for the first of each.
func JetBrains(data []byte) (Addon, error) {
	data = withoutMarkup(data)
	if !bytes.Contains(data, []byte("<idea-plugin")) {
		return Addon{}, errors.New("not the description of a plugin")
	}
	a := Addon{ID: element(data, "id"), Name: element(data, "name"), Version: element(data, "version"), Publisher: element(data, "vendor")}
	if a.ID == "" {
		// The name stands for an id that is not there.
		a.ID = a.Name
	}
	if a.Name == "" {
		a.Name = a.ID
	}
	if a.ID == "" {
		return Addon{}, errors.New("the description of a plugin without id and name")
	}
	return a, nil
}

// withoutMarkup leaves out comments, and takes texts out of their CDATA.
func withoutMarkup(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for {
		begin := bytes.Index(data, []byte("<!"))
		if begin < 0 {
			return append(out, data...)
		}
		out = append(out, data[:begin]...)
		data = data[begin:]
		open, end, keep := "<!", ">", false
		switch {
		case bytes.HasPrefix(data, []byte("<!--")):
			open, end = "<!--", "-->"
		case bytes.HasPrefix(data, []byte("<![CDATA[")):
			open, end, keep = "<![CDATA[", "]]>", true
		}
		data = data[len(open):]
		length := bytes.Index(data, []byte(end))
		if length < 0 {
			return out
		}
		if keep {
			// Markup in it is text.
			out = append(out, bytes.ReplaceAll(data[:length], []byte("<"), []byte("&lt;"))...)
		}
		data = data[length+len(end):]
	}
}

// entities are those that every XML document has.
var entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&apos;", "'", "&amp;", "&")

// element returns the text of the first element of a name that has nothing but
// text in it.
func element(data []byte, name string) string {
	open, end := []byte("<"+name), []byte("</"+name+">")
	for {
		at := bytes.Index(data, open)
		if at < 0 {
			return ""
		}
		data = data[at+len(open):]
		tag, rest, ok := bytes.Cut(data, []byte(">"))
		if !ok {
			return ""
		}
		if len(tag) > 0 && (tag[0] != ' ' && tag[0] != '\t' && tag[0] != '\n' && tag[0] != '\r' || tag[len(tag)-1] == '/') {
			continue
		}
		body, _, ok := bytes.Cut(rest, end)
		if ok && !bytes.ContainsRune(body, '<') {
			return strings.TrimSpace(entities.Replace(string(body)))
		}
	}
}
