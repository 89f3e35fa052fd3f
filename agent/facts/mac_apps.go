package facts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	maxMacApps = 20_000
	// maxMacFolders is how many folders are looked into for applications.
	maxMacFolders = 5_000
	// maxMacDepth is how deep below a root applications are looked for: makers
	// put theirs into folders of their own, and those of suites into others.
	maxMacDepth  = 4
	maxInfoPlist = 8 << 20
	infoPlist    = "Contents/Info.plist"
)

// macAppRoots are where applications are; those of people are beside.
// The cryptex holds what Apple renews apart from the system, which is Safari.
var macAppRoots = []string{
	"Applications", "System/Applications", "System/Cryptexes/App/System/Applications", "System/Library/CoreServices/Applications",
}

// learnMacApps lists the applications: every bundle below the folders that
// macOS keeps them in, and those that Spotlight knows elsewhere, without the
// helpers that are inside of others. The
// product_id is the bundle's identifier, which stays the same in every language
// and under every name that a person may give to it.
func learnMacApps(ctx context.Context, h *host.Host, d *pb.Device) error {
	w := &macApps{h: h, linked: make(map[string]bool)}
	roots := slices.Clone(macAppRoots)
	for _, home := range userHomes(h, &w.bad) {
		roots = append(roots, path.Join(home, "Applications"))
	}
	for _, root := range roots {
		if err := w.walk(ctx, root, 0); err != nil {
			return err
		}
	}
	used, added := spotlightDates(ctx, h, macCommandUsed), spotlightDates(ctx, h, macCommandAdded)
	w.addElsewhere(slices.Sorted(maps.Keys(used)))
	if len(w.apps) == 0 {
		return absent(w.bad.err(), "no applications")
	}
	rows := make([]*pb.Software, 0, len(w.apps))
	for i := range w.apps {
		row := w.apps[i].row(w.apps)
		row.LastUsedAt = used[row.Location]
		row.InstalledAt = cmp.Or(row.InstalledAt, added[row.Location])
		rows = append(rows, row)
	}
	return errors.Join(w.bad.err(), addSoftware(d, rows))
}

// macApps looks for applications.
type macApps struct {
	h       *host.Host
	bad     faults
	folders int
	apps    []macApp
	// linked has where links in the folders lead, so that what is reached both
	// ways is listed once, under the name that people see.
	linked map[string]bool
}

// walk adds the applications in a folder and in those below that are no
// bundles themselves.
func (w *macApps) walk(ctx context.Context, dir string, depth int) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("look for applications: %w", err)
	}
	if w.folders++; w.folders > maxMacFolders {
		return fmt.Errorf("more than %d folders of applications: the rest is left out", maxMacFolders)
	}
	entries, err := fs.ReadDir(w.h.FS, dir)
	if err != nil && !missing(err) {
		w.bad.add(fmt.Errorf("list /%s: %w", dir, err))
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		link := e.Type()&fs.ModeSymlink != 0
		switch {
		case strings.HasPrefix(e.Name(), "."), !e.IsDir() && !link, w.linked[name]:
		case path.Ext(e.Name()) == ".app":
			if len(w.apps) >= maxMacApps {
				return fmt.Errorf("more than %d applications: the rest is left out", maxMacApps)
			}
			if link {
				w.follow(name)
			}
			w.add(name)
		case link || depth >= maxMacDepth || isBundle(e.Name()) || ofGuest(e.Name()):
		default:
			if err := w.walk(ctx, name, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// addElsewhere adds applications that Spotlight has found and that are in none
// of the folders which were looked into. What may not be read of them is in a
// folder that people keep to themselves.
func (w *macApps) addElsewhere(found []string) {
	seen := make(map[string]bool, len(w.apps))
	for i := range w.apps {
		seen[w.apps[i].dir] = true
	}
	for _, file := range found {
		name := strings.TrimPrefix(file, "/")
		if seen[name] || w.linked[name] || !elsewhere(file) || len(w.apps) >= maxMacApps {
			continue
		}
		if _, err := fs.Stat(w.h.FS, path.Join(name, infoPlist)); err == nil {
			w.add(name)
		}
	}
}

// follow remembers where a link to an application leads.
func (w *macApps) follow(name string) {
	target, err := fs.ReadLink(w.h.FS, name)
	if err != nil {
		w.bad.add(fmt.Errorf("follow /%s: %w", name, err))
		return
	}
	if path.IsAbs(target) {
		w.linked[strings.TrimPrefix(path.Clean(target), "/")] = true
	} else {
		w.linked[path.Join(path.Dir(name), target)] = true
	}
}

// bundles are the endings of folders that are one thing for people: what is
// inside belongs to it.
var bundles = []string{
	".app", ".appex", ".bundle", ".component", ".driver", ".dsym", ".framework", ".kext", ".mdimporter", ".mpkg", ".photoslibrary", ".pkg", ".playground",
	".plugin", ".prefpane", ".qlgenerator", ".saver", ".systemextension", ".vst", ".vst3", ".wdgt", ".workflow", ".xcarchive", ".xpc",
}

func isBundle(name string) bool { return slices.Contains(bundles, strings.ToLower(path.Ext(name))) }

// ofGuest tells whether a folder, named as "{<UUID>} Applications.localized",
// is one in which Parallels Desktop shows the programs of a virtual machine.
// They are installed there and not here.
func ofGuest(folder string) bool {
	return strings.HasPrefix(folder, "{") && strings.HasSuffix(folder, "} Applications.localized")
}

// macApp is an application.
type macApp struct {
	// dir is the bundle.
	dir         string
	id, version string
	// display and builtName are the names that the bundle itself has, for what
	// the system shows of it and for menus.
	display, builtName string
	publisher          string
	// copyright is the notice of it, in people's words.
	copyright    string
	architecture string
	// store tells that it is from Apple's App Store, where it was installed at
	// storeInstalled, nil if that is not known.
	store          bool
	storeInstalled *timestamppb.Timestamp
}

// add describes the bundle in a folder. One without a description is what a
// removed application left behind, or a link that leads nowhere.
func (w *macApps) add(dir string) {
	base := dir
	data, err := w.h.ReadFile(path.Join(dir, infoPlist), maxInfoPlist)
	if missing(err) {
		// Applications made for the iPhone are wrapped in a folder that is
		// shaped like those of the Mac.
		base = path.Join(dir, "WrappedBundle")
		data, err = w.h.ReadFile(path.Join(base, "Info.plist"), maxInfoPlist)
	}
	if missing(err) {
		return
	}
	app := macApp{dir: dir}
	info, derr := proplist.Dict(nil), err
	if err == nil {
		info, derr = proplist.DecodeDict(data)
	}
	if derr != nil {
		// It is an application all the same, of which the folder tells the name.
		w.bad.add(fmt.Errorf("/%s: %w", dir, derr))
	}
	app.describe(info)
	w.sign(&app, base, info.Text("CFBundleExecutable"))
	app.storeInstalled = modTime(w.h.FS, path.Join(dir, "Contents/_MASReceipt/receipt"))
	app.store = app.storeInstalled != nil || base != dir
	app.publisher = app.maker()
	w.apps = append(w.apps, app)
}

// describe takes over what Info.plist says; see Apple's "Information Property
// List" for the keys.
func (a *macApp) describe(info proplist.Dict) {
	a.id = info.Text("CFBundleIdentifier")
	a.version = info.Text("CFBundleShortVersionString", "CFBundleVersion")
	a.display, a.builtName = info.Text("CFBundleDisplayName"), info.Text("CFBundleName")
	a.copyright = info.Text("NSHumanReadableCopyright", "CFBundleGetInfoString")
}

// row returns the application as a row of software; all are the applications
// among which it may be a copy.
func (a *macApp) row(all []macApp) *pb.Software {
	row := &pb.Software{
		Kind: "app", Name: softwareText([]byte(a.name(all))), Version: softwareText([]byte(a.version)), Publisher: softwareText([]byte(a.publisher)),
		Architecture: a.architecture, Location: softwareText([]byte("/" + a.dir)), ProductId: softwareText([]byte(a.id)), InstalledAt: a.storeInstalled,
	}
	if a.store {
		row.Kind = "app_store"
	}
	return row
}

// name returns what people call the application, which is what its folder is
// called: names inside of bundles are meant for menus ("Code" for Visual Studio
// Code). The Finder numbers copies ("Firefox 2.app", "Firefox copy.app"), which
// would look like another version or product: a copy is called as its original
// is, told from a product with a number in its name by what else is known of it.
func (a *macApp) name(all []macApp) string {
	folder := strings.TrimSuffix(path.Base(a.dir), ".app")
	original, number := uncopied(folder)
	if original == folder {
		return folder
	}
	for i := range all {
		if o := &all[i]; o.id == a.id && a.id != "" && path.Dir(o.dir) == path.Dir(a.dir) && path.Base(o.dir) == original+".app" {
			return original
		}
	}
	major, _, _ := strings.Cut(a.version, ".")
	if (a.display == original || a.builtName == original) && number != major {
		return original
	}
	return folder
}

// uncopied returns the name without what the Finder adds to that of a copy, and
// the number that it added.
func uncopied(name string) (original, number string) {
	original = name
	if at := strings.LastIndexByte(name, ' '); at > 0 && len(name)-at < 4 && strings.Trim(name[at+1:], "0123456789") == "" {
		original, number = name[:at], name[at+1:]
	}
	original = strings.TrimSuffix(original, " copy")
	if original == "" {
		return name, ""
	}
	return original, number
}
