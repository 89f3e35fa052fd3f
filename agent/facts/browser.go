package facts

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/agent/facts/addon"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	// maxPreferences: a profile with hundreds of extensions has some megabytes.
	maxPreferences = 32 << 20
	maxManifest    = 4 << 20
	// maxProfiles is how many folders of one browser are looked at, and
	// maxAddons how many extensions of one profile.
	maxProfiles = 256
	maxAddons   = 4_000
	// maxAddonRows is how many rows one fact gives.
	maxAddonRows = 20_000
)

// addonFolders are where programs keep what people add to them, in a home by
// GOOS.
type addonFolders map[string][]string

// chromiumFolders are the folders of browsers made from Chromium; each profile
// is a folder in one of them, or the folder itself.
var chromiumFolders = addonFolders{
	"linux": {
		".config/google-chrome", ".config/google-chrome-beta", ".config/google-chrome-unstable", ".config/chromium",
		".config/microsoft-edge", ".config/microsoft-edge-beta", ".config/microsoft-edge-dev",
		".config/BraveSoftware/Brave-Browser", ".config/BraveSoftware/Brave-Browser-Beta", ".config/BraveSoftware/Brave-Browser-Nightly",
		".config/vivaldi", ".config/vivaldi-snapshot", ".config/opera", ".config/opera-beta", ".config/yandex-browser",
		"snap/chromium/common/chromium", "snap/brave/current/.config/BraveSoftware/Brave-Browser", "snap/opera/current/.config/opera",
		".var/app/com.google.Chrome/config/google-chrome", ".var/app/org.chromium.Chromium/config/chromium",
		".var/app/io.github.ungoogled_software.ungoogled_chromium/config/chromium", ".var/app/com.microsoft.Edge/config/microsoft-edge",
		".var/app/com.brave.Browser/config/BraveSoftware/Brave-Browser", ".var/app/com.vivaldi.Vivaldi/config/vivaldi",
		".var/app/com.opera.Opera/config/opera",
	},
	"darwin": inFolder("Library/Application Support", "Google/Chrome", "Google/Chrome Beta", "Google/Chrome Dev", "Google/Chrome Canary",
		"Chromium", "Microsoft Edge", "Microsoft Edge Beta", "Microsoft Edge Dev", "BraveSoftware/Brave-Browser",
		"BraveSoftware/Brave-Browser-Beta", "BraveSoftware/Brave-Browser-Nightly", "Vivaldi", "com.operasoftware.Opera", "com.operasoftware.OperaGX",
		"Arc/User Data", "Yandex/YandexBrowser"),
	"windows": append(inFolder("AppData/Local", "Google/Chrome/User Data", "Google/Chrome Beta/User Data", "Google/Chrome Dev/User Data",
		"Google/Chrome SxS/User Data", "Chromium/User Data", "Microsoft/Edge/User Data", "Microsoft/Edge Beta/User Data", "Microsoft/Edge Dev/User Data",
		"BraveSoftware/Brave-Browser/User Data", "BraveSoftware/Brave-Browser-Beta/User Data", "BraveSoftware/Brave-Browser-Nightly/User Data",
		"Vivaldi/User Data", "Yandex/YandexBrowser/User Data"),
		inFolder("AppData/Roaming/Opera Software", "Opera Stable", "Opera GX Stable", "Opera Beta")...),
}

// firefoxFolders are those of the profiles of Firefox and what is made from it.
var firefoxFolders = addonFolders{
	"linux": {
		".mozilla/firefox", ".config/mozilla/firefox", "snap/firefox/common/.mozilla/firefox", ".var/app/org.mozilla.firefox/.mozilla/firefox",
		".var/app/org.mozilla.firefox/config/mozilla/firefox", ".librewolf", ".var/app/io.gitlab.librewolf-community/.librewolf", ".waterfox", ".floorp", ".zen",
	},
	"darwin":  inFolder("Library/Application Support", "Firefox/Profiles", "librewolf/Profiles", "Waterfox/Profiles", "Floorp/Profiles", "zen/Profiles"),
	"windows": inFolder("AppData/Roaming", "Mozilla/Firefox/Profiles", "librewolf/Profiles", "Waterfox/Profiles", "Floorp/Profiles", "zen/Profiles"),
}

// inFolder puts a folder before names.
func inFolder(dir string, names ...string) []string {
	for i := range names {
		names[i] = dir + "/" + names[i]
	}
	return names
}

// learnBrowserExtensions lists what people have added to their browsers, by
// profile: the location of a row is the profile's folder, and the product_id
// the extension's own. What is switched off or a part of the browser is left
// out, as are texts in other languages than the extension's first.
func learnBrowserExtensions(ctx context.Context, h *host.Host, d *pb.Device) error {
	bad := new(faults)
	out := newAddonRows(h, "browser_extension")
	seen := false
	for _, home := range userHomes(h, bad) {
		f := homeFiles{h: h, home: home, bad: bad}
		for _, root := range chromiumFolders[h.OS] {
			if f.has(root) {
				seen = true
				out.chromium(ctx, f, root)
			}
		}
		for _, root := range firefoxFolders[h.OS] {
			if f.has(root) {
				seen = true
				out.firefox(ctx, f, root)
			}
		}
		if h.OS == "darwin" && out.safari(f) {
			seen = true
		}
	}
	if !seen && bad.err() == nil {
		return fmt.Errorf("nobody has used a browser: %w", errors.ErrUnsupported)
	}
	return errors.Join(bad.err(), out.file(ctx, d))
}

// addonRows makes rows of extensions.
type addonRows struct {
	*softwareRows
	h    *host.Host
	full bool
	// bundles are the extensions of Safari that applications bring, where those
	// of one person lie in the folder bundlesOf.
	bundles   map[string]addon.Addon
	bundlesOf string
}

func newAddonRows(h *host.Host, kind string) *addonRows {
	return &addonRows{softwareRows: newSoftwareRows(kind), h: h}
}

// addon adds a row for an extension in a folder of a home.
func (r *addonRows) addon(f homeFiles, dir string, a addon.Addon) {
	if len(r.rows) >= maxAddonRows {
		r.full = true
		return
	}
	name := a.Name
	if strings.TrimSpace(name) == "" {
		name = a.ID
	}
	row := r.add([]byte(name), []byte(a.Version))
	row.ProductId, row.Publisher = softwareText([]byte(a.ID)), r.share([]byte(a.Publisher))
	row.Location = r.share([]byte(shown(r.h, path.Join(f.home, dir))))
	if at := unixTime(a.Installed.Unix()); at != nil && !a.Installed.IsZero() {
		row.InstalledAt = &timestamppb.Timestamp{Seconds: at.Seconds}
	}
}

// file hands the rows in.
func (r *addonRows) file(ctx context.Context, d *pb.Device) error {
	var full error
	if r.full {
		full = fmt.Errorf("more than %d extensions: the rest is left out", maxAddonRows)
	}
	if err := ctx.Err(); err != nil {
		full = errors.Join(full, fmt.Errorf("not all homes were looked into: %w", err))
	}
	return errors.Join(full, addSoftware(d, r.rows))
}
