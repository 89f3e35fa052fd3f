package facts

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/facts/addon"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	// maxJars is how many archives of one plugin are searched for its
	// description, and maxJar how long one may be.
	maxJars = 64
	maxJar  = 256 << 20
	// maxJarEntries is how many entries an archive may have.
	maxJarEntries  = 100_000
	maxDescription = 4 << 20
)

// vscodeFolders are those of the extensions of VS Code and what is made from
// it. They are the same on every OS, apart from packages of Linux.
var vscodeFolders = []string{
	".vscode/extensions", ".vscode-insiders/extensions", ".vscode-oss/extensions", ".vscodium/extensions", ".cursor/extensions",
	".windsurf/extensions", ".trae/extensions", ".positron/extensions", ".antigravity/extensions", ".vscode-server/extensions",
	".vscode-server-insiders/extensions", ".vscodium-server/extensions", ".cursor-server/extensions", ".windsurf-server/extensions",
	".local/share/code-server/extensions", ".var/app/com.visualstudio.code/data/vscode/extensions",
	".var/app/com.vscodium.codium/data/codium/extensions",
}

// jetbrainsFolders are where JetBrains' environments and Android Studio keep a
// folder for each of their versions; the first has the plugins.
var jetbrainsFolders = addonFolders{
	"linux":   {".local/share/JetBrains", ".local/share/Google"},
	"darwin":  {"Library/Application Support/JetBrains", "Library/Application Support/Google"},
	"windows": {"AppData/Roaming/JetBrains", "AppData/Roaming/Google"},
}

// learnIDEExtensions lists what people have added to their development
// environments, by environment: the location is the folder that holds the
// extension's. Those of VS Code are named publisher.name, as their market does.
// Whether one is switched off is not known of VS Code, which keeps that with
// each window; plugins of JetBrains that are switched off are left out.
func learnIDEExtensions(ctx context.Context, h *host.Host, d *pb.Device) error {
	bad := new(faults)
	out := newAddonRows(h, "ide_extension")
	seen := false
	for _, home := range userHomes(h, bad) {
		f := homeFiles{h: h, home: home, bad: bad}
		for _, root := range vscodeFolders {
			if f.has(root) {
				seen = true
				out.vscode(f, root)
			}
		}
		for _, root := range jetbrainsFolders[h.OS] {
			for _, product := range f.names(root, maxProfiles) {
				seen = true
				out.jetbrains(ctx, f, root, product)
			}
		}
	}
	if !seen && bad.err() == nil {
		return fmt.Errorf("nobody has used a development environment: %w", errors.ErrUnsupported)
	}
	return errors.Join(bad.err(), out.file(ctx, d))
}

// vscode adds what the list of extensions has, in older versions what their
// folders are named.
func (r *addonRows) vscode(f homeFiles, root string) {
	obsolete := make(map[string]bool)
	if data, ok := f.read(root+"/.obsolete", maxPreferences); ok {
		var err error
		if obsolete, err = addon.VSCodeObsolete(data); err != nil {
			f.bad.add(fmt.Errorf("/%s/%s/.obsolete: %w", f.home, root, err))
		}
	}
	var list []addon.Addon
	data, ok := f.read(root+"/extensions.json", maxPreferences)
	if ok {
		var err error
		if list, err = addon.VSCode(data); err != nil {
			f.bad.add(fmt.Errorf("/%s/%s/extensions.json: %w", f.home, root, err))
			ok = false
		}
	}
	if !ok {
		for _, name := range f.names(root, maxAddons) {
			if a, ok := addon.VSCodeFolder(name); ok {
				list = append(list, a)
			}
		}
	}
	if len(list) > maxAddons {
		f.bad.add(fmt.Errorf("/%s/%s: %d extensions, more than %d: the rest is left out", f.home, root, len(list), maxAddons))
		list = list[:maxAddons]
	}
	for _, a := range list {
		if !obsolete[a.Folder] {
			r.addon(f, root, a)
		}
	}
}

// jetbrains adds the plugins of one version of one environment. On Linux they
// stand directly in its folder, elsewhere in one below.
func (r *addonRows) jetbrains(ctx context.Context, f homeFiles, root, product string) {
	dir, settings := path.Join(root, product, "plugins"), path.Join(root, product)
	if r.h.OS == "linux" {
		dir, settings = path.Join(root, product), path.Join(strings.Replace(root, ".local/share", ".config", 1), product)
	}
	off := make(map[string]bool)
	if data, ok := f.read(settings+"/disabled_plugins.txt", maxManifest); ok {
		for line := range strings.Lines(string(data)) {
			off[strings.TrimSpace(line)] = true
		}
	}
	for _, name := range f.names(dir, maxAddons) {
		if ctx.Err() != nil {
			return
		}
		if a, ok := r.plugin(f, path.Join(dir, name)); ok && !off[a.ID] {
			r.addon(f, dir, a)
		}
	}
}

// plugin describes what is in a folder or an archive; neither need be a plugin.
func (r *addonRows) plugin(f homeFiles, name string) (addon.Addon, bool) {
	archives := []string{name}
	if path.Ext(name) != ".jar" {
		archives = nil
		lib := name + "/lib"
		if !f.has(lib) {
			return addon.Addon{}, false
		}
		for _, jar := range f.names(lib, maxAddons) {
			if path.Ext(jar) == ".jar" {
				archives = append(archives, path.Join(lib, jar))
			}
		}
		// Most describe themselves in the archive of their own name.
		own := strings.ToLower(path.Base(name))
		slices.SortStableFunc(archives, func(a, b string) int {
			return unlike(a, own) - unlike(b, own)
		})
	}
	for _, jar := range archives[:min(len(archives), maxJars)] {
		data, err := r.describe(f, jar)
		if err != nil {
			if !missing(err) {
				f.bad.add(err)
			}
			continue
		}
		a, err := addon.JetBrains(data)
		if err != nil {
			f.bad.add(fmt.Errorf("/%s/%s: %w", f.home, jar, err))
			continue
		}
		return a, true
	}
	return addon.Addon{}, false
}

// unlike is 0 for archives that begin with a name.
func unlike(jar, name string) int {
	if strings.HasPrefix(strings.ToLower(path.Base(jar)), name) {
		return 0
	}
	return 1
}

// describe returns the description in an archive; the error wraps
// fs.ErrNotExist where it has none.
func (r *addonRows) describe(f homeFiles, jar string) ([]byte, error) {
	real, err := f.real(jar)
	if err != nil {
		return nil, err
	}
	info, err := fs.Stat(r.h.FS, real)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxJar {
		return nil, errors.Join(err, fs.ErrNotExist)
	}
	file, err := r.h.FS.Open(real)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	from, ok := file.(io.ReaderAt)
	if !ok {
		all, err := r.h.ReadFile(real, maxUnseekable)
		if err != nil {
			return nil, err
		}
		from = bytes.NewReader(all)
	}
	data, err := zipped(from, info.Size(), "META-INF/plugin.xml")
	if err != nil {
		return nil, fmt.Errorf("/%s: %w", real, err)
	}
	return data, nil
}

// zipped returns one file of a zip archive.
func zipped(from io.ReaderAt, size int64, name string) ([]byte, error) {
	archive, err := zip.NewReader(from, size)
	if err != nil {
		return nil, fmt.Errorf("not an archive as expected: %w", err)
	}
	for _, entry := range archive.File[:min(len(archive.File), maxJarEntries)] {
		if entry.Name != name {
			continue
		}
		content, err := entry.Open()
		if err != nil {
			return nil, fmt.Errorf("open %s in it: %w", name, err)
		}
		defer content.Close()
		data, err := io.ReadAll(io.LimitReader(content, maxDescription))
		if err != nil {
			return nil, fmt.Errorf("read %s in it: %w", name, err)
		}
		return data, nil
	}
	return nil, fs.ErrNotExist
}
