package facts

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	appxStore = windowsKey + `Appx\AppxAllUserStore`
	// ownPackages is below the classes of each person.
	ownPackages     = `Local Settings\Software\Microsoft\Windows\CurrentVersion\AppModel\Repository\Packages`
	kindAppX        = "appx"
	maxAppxManifest = 1 << 20
)

// appx is a package of an app, AppX or MSIX, as its full name tells.
type appx struct {
	full, name, version, architecture, resource, publisherID string
	// manifest is the path of its manifest, "" where the registry has none.
	manifest    string
	installedAt *timestamppb.Timestamp
}

// family is the name of all versions of a package.
func (a appx) family() string { return a.name + "_" + a.publisherID }

// parseAppX takes a full name apart: name, version, architecture, resource and
// a hash of the publisher.
func parseAppX(full string) (appx, bool) {
	parts := strings.Split(full, "_")
	if len(parts) != 5 || parts[0] == "" || parts[1] == "" || parts[4] == "" {
		return appx{}, false
	}
	return appx{full: full, name: parts[0], version: parts[1], architecture: parts[2], resource: parts[3], publisherID: parts[4]}, true
}

// bundle is the resource of a package that only holds others.
const bundle = "~"

// learnAppX lists the apps that come in packages: those of Windows itself,
// those for all users and those of each user, logged on or not.
func learnAppX(_ context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	defer r.close()
	store := r.key(appxStore)
	packages := make(map[string]appx)
	for _, list := range store.subkeys() {
		if list == "Applications" || list == "InboxApplications" || list == localSystem || isPerson(list) {
			r.addPackages(packages, appxStore+`\`+list)
		}
	}
	for _, p := range r.people() {
		addOwnPackages(packages, p)
	}
	families := make(map[string]bool)
	for _, p := range packages {
		families[p.family()] = families[p.family()] || p.resource != bundle
	}
	rows, uses := newSoftwareRows(kindAppX), r.lastUses()
	for _, full := range slices.Sorted(maps.Keys(packages)) {
		p := packages[full]
		// What holds a package is listed only where that itself is not, and parts
		// with languages and pictures are not programs.
		if p.resource == bundle && families[p.family()] || strings.HasPrefix(p.resource, "split.") {
			continue
		}
		r.fillAppX(rows, p, uses)
	}
	r.bad.add(addSoftware(d, rows.rows))
	return r.err(store.found() || len(packages) > 0, "no packages of apps")
}

// addPackages adds the packages that one list has.
func (r *winreg) addPackages(packages map[string]appx, list string) {
	for _, full := range r.key(list).subkeys() {
		p, ok := parseAppX(full)
		if !ok {
			continue
		}
		k := r.key(list, `\`, full)
		p.manifest, p.installedAt = k.text("Path"), k.written()
		if old, known := packages[full]; known {
			p.manifest = cmp.Or(old.manifest, p.manifest)
			if old.installedAt != nil && (p.installedAt == nil || old.installedAt.Seconds < p.installedAt.Seconds) {
				p.installedAt = old.installedAt
			}
		}
		packages[full] = p
	}
}

// addOwnPackages adds the packages that a person has, those among them that were
// never offered to the whole machine: what people install without being asked
// for an administrator's name.
func addOwnPackages(packages map[string]appx, who person) {
	for _, full := range who.classes(ownPackages).subkeys() {
		p, ok := parseAppX(full)
		if _, known := packages[full]; !ok || known {
			continue
		}
		packages[full] = p
	}
}

// fillAppX makes the row of a package. Its manifest has the names that people
// know, unless they are translated, which only a program of Windows can look up.
func (r *winreg) fillAppX(rows *softwareRows, p appx, uses lastUses) {
	folder, ok := strings.CutSuffix(p.manifest, `\AppxManifest.xml`)
	if !ok {
		folder = driveOf(r.systemRoot()) + `\Program Files\WindowsApps\` + p.full
	}
	var manifest []byte
	if name := r.file(folder); name != "" {
		// A package that was never used by anyone is not unpacked.
		manifest, _ = r.h.ReadFile(name+"/AppxManifest.xml", maxAppxManifest)
	}
	title, publisher := appxNames(manifest)
	row := rows.add([]byte(cmp.Or(title, p.name)), []byte(p.version))
	row.Publisher, row.ProductId = rows.share([]byte(publisher)), softwareText([]byte(p.family()))
	row.Architecture = rows.share([]byte(appxArchitecture(p.architecture)))
	if ok || len(manifest) > 0 {
		row.Location = softwareText([]byte(folder))
	}
	row.InstalledAt, row.LastUsedAt = p.installedAt, stamp(uses.under(p.family()))
}

func appxArchitecture(name string) string {
	switch name := strings.ToLower(name); name {
	case "x64":
		return "x86_64"
	case "neutral":
		return ""
	default:
		return name
	}
}

// appxNames returns the title and the publisher that a manifest states; the
// publisher's certificate names it where it does not.
func appxNames(manifest []byte) (title, publisher string) {
	manifest = bytes.Map(func(c rune) rune {
		if c == '\t' || c == '\r' || c == '\n' {
			return ' '
		}
		return c
	}, manifest)
	properties := manifest
	if at := bytes.Index(manifest, []byte("<Properties")); at >= 0 {
		properties = manifest[at:]
	}
	title, publisher = literal(xmlText(properties, "DisplayName")), literal(xmlText(properties, "PublisherDisplayName"))
	if publisher == "" {
		eachElement(manifest, "Identity", func(tag []byte) {
			names := distinguished(xmlAttribute(tag, "Publisher"))
			publisher = cmp.Or(names["O"], names["CN"])
		})
	}
	return title, publisher
}

// literal returns a text that is not the name of a translated one.
func literal(text string) string {
	if strings.HasPrefix(text, "ms-resource:") || strings.HasPrefix(text, "@{") {
		return ""
	}
	return text
}

// distinguished takes a distinguished name apart: CN=..., O=..., where a value
// can stand in quotes.
func distinguished(text string) map[string]string {
	out := make(map[string]string)
	for text != "" {
		key, rest, ok := strings.Cut(text, "=")
		if !ok {
			break
		}
		value := ""
		if quoted, is := strings.CutPrefix(rest, `"`); is {
			value, rest, _ = strings.Cut(quoted, `"`)
			_, rest, _ = strings.Cut(rest, ",")
		} else {
			value, rest, _ = strings.Cut(rest, ",")
		}
		if key = strings.TrimSpace(key); !slices.Contains([]string{"CN", "O"}, key) || out[key] != "" {
			key = ""
		}
		if key != "" {
			out[key] = strings.TrimSpace(value)
		}
		text = rest
	}
	return out
}
