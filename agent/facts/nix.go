package facts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	nixStore       = "nix/store"
	nixProfiles    = "nix/var/nix/profiles"
	nixOwnProfiles = "etc/profiles/per-user"
	// maxNixManifest bounds the list of a profile; one of 1,000 packages has some
	// 2 MiB.
	maxNixManifest = 16 << 20
	// maxNixLinks is how many links a profile may lead through.
	maxNixLinks = 8
	// nixHash is the length of what a name in the store begins with.
	nixHash = 32
)

// nixOutPath is where a profile of nix-env has a package, in its manifest.
var nixOutPath = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`outPath = "/nix/store/([^"/]{34,300})"`) })

// learnNix lists the packages of Nix that somebody put into a profile: of the
// machine, which on NixOS is the system's, and of each user. What these need in
// turn is not listed, and what lies in the store for nobody is not installed.
func learnNix(ctx context.Context, h *host.Host, d *pb.Device) error {
	if _, err := fs.Stat(h.FS, nixStore); err != nil {
		if missing(err) {
			return fmt.Errorf("no Nix: %w", errors.ErrUnsupported)
		}
		return fmt.Errorf("look for Nix: %w", err)
	}
	n := &nix{h: h, rows: newSoftwareRows("nix"), seen: make(map[string]bool)}
	n.environment(nixProfiles+"/default", "/"+nixProfiles+"/default")
	n.environment("run/current-system/sw", "/run/current-system/sw")
	homes := userHomes(h, &n.bad)
	for _, dir := range []string{nixProfiles + "/per-user", nixOwnProfiles} {
		users, err := firstEntries(h.FS, dir, maxHomes)
		if err != nil && !missing(err) {
			n.bad.add(fmt.Errorf("list /%s: %w", dir, err))
		}
		for _, u := range users {
			profile := path.Join(dir, u.Name())
			if dir != nixOwnProfiles {
				profile += "/profile"
			}
			n.environment(profile, nixHome(homes, u.Name()))
		}
	}
	for _, home := range homes {
		if ctx.Err() != nil {
			break
		}
		for _, profile := range []string{".nix-profile", ".local/state/nix/profiles/profile", ".local/state/nix/profiles/home-manager"} {
			n.environment(path.Join(home, profile), "/"+home+"/.nix-profile")
		}
	}
	return errors.Join(n.bad.err(), n.rows.cut(ctx), addSoftware(d, n.rows.rows))
}

// nixHome is where a user's profile shows: what is his is known by lying in his
// home.
func nixHome(homes []string, user string) string {
	if i := slices.IndexFunc(homes, func(home string) bool { return path.Base(home) == user }); i >= 0 {
		return "/" + homes[i] + "/.nix-profile"
	}
	return "/home/" + user + "/.nix-profile"
}

// nix lists what profiles have.
type nix struct {
	h    *host.Host
	bad  faults
	rows *softwareRows
	// seen has the environments that were read, and the packages by where they
	// show.
	seen map[string]bool
}

// environment lists the packages of a profile, if there is one. Links are
// followed by hand, and only to the store and to other profiles, because those
// in homes may lead anywhere.
func (n *nix) environment(profile, location string) {
	env := n.follow(profile)
	if env == "" || n.seen[env+location] {
		return
	}
	n.seen[env+location] = true
	if inner := n.follow(env + "/home-path"); inner != "" {
		env = inner
	}
	data, err := n.h.ReadFile(env+"/manifest.json", maxNixManifest)
	if missing(err) {
		if data, err = n.h.ReadFile(env+"/manifest.nix", maxNixManifest); err == nil {
			for _, m := range nixOutPath().FindAllSubmatch(data, -1) {
				n.add(string(m[1]), location, true)
			}
			return
		}
		if missing(err) {
			n.links(env, location)
			return
		}
	}
	if err == nil {
		var paths []string
		if paths, err = nixManifest(data); err == nil {
			for _, p := range paths {
				n.add(strings.TrimPrefix(p, "/"+nixStore+"/"), location, true)
			}
			return
		}
	}
	n.bad.add(fmt.Errorf("profile /%s: %w", profile, err))
}

// follow returns the path in the store that a profile leads to, "" where it
// leads elsewhere or is not there.
func (n *nix) follow(name string) string {
	for range maxNixLinks {
		if strings.HasPrefix(name, nixStore+"/") && strings.Count(name, "/") == 2 {
			return name
		}
		// run/current-system is a link too, and sw stands below it.
		if dir, last := path.Split(name); last == "sw" {
			if parent := n.follow(path.Clean(dir)); parent != "" {
				name = parent + "/sw"
			}
		}
		target, err := fs.ReadLink(n.h.FS, name)
		if err != nil {
			return ""
		}
		if strings.HasPrefix(target, "/") {
			name = strings.TrimPrefix(path.Clean(target), "/")
			inStore := strings.HasPrefix(name, nixStore+"/")
			if !inStore && !strings.HasPrefix(name, nixProfiles+"/") && !strings.Contains(name, "/.local/state/nix/profiles/") {
				return ""
			}
			continue
		}
		// The links of a profile's generations stand beside it.
		if strings.Contains(target, "/") {
			return ""
		}
		name = path.Join(path.Dir(name), target)
	}
	return ""
}

// links lists the packages whose programs an environment links to: NixOS keeps
// no list in its own.
func (n *nix) links(env, location string) {
	for _, dir := range []string{"bin", "sbin", "share/applications"} {
		entries, err := firstEntries(n.h.FS, path.Join(env, dir), maxFolderPackages)
		if err != nil && !missing(err) {
			n.bad.add(fmt.Errorf("list /%s/%s: %w", env, dir, err))
		}
		for _, e := range entries {
			target, err := fs.ReadLink(n.h.FS, path.Join(env, dir, e.Name()))
			if err != nil {
				continue
			}
			name, ok := strings.CutPrefix(target, "/"+nixStore+"/")
			if name, _, _ = strings.Cut(name, "/"); ok {
				n.add(name, location, false)
			}
		}
	}
}

// add adds a package by its name in the store. Those without a version are
// scripts that NixOS makes, unless somebody installed them.
func (n *nix) add(stored, location string, installed bool) {
	name, version, ok := nixName(stored)
	if !ok || version == "" && !installed || n.seen[location+"\x00"+stored] || len(n.rows.rows) >= maxFolderPackages {
		return
	}
	n.seen[location+"\x00"+stored] = true
	key := location + "\x00" + name + "\x00" + version
	if n.seen[key] {
		return
	}
	n.seen[key] = true
	n.rows.add([]byte(name), []byte(version)).Location = n.rows.share([]byte(location))
}

// nixOutputs are the parts that packages are split into.
var nixOutputs = []string{"-bin", "-out", "-lib", "-dev", "-man", "-doc", "-info", "-data", "-debug", "-static"}

// nixName takes a name in the store apart: a hash, the name, and the version,
// which begins at the first dash that no letter follows.
func nixName(stored string) (name, version string, ok bool) {
	if len(stored) < nixHash+2 || stored[nixHash] != '-' || strings.ContainsAny(stored[:nixHash], "-./") {
		return "", "", false
	}
	name = stored[nixHash+1:]
	for _, output := range nixOutputs {
		name = strings.TrimSuffix(name, output)
	}
	for i := 1; i < len(name)-1; i++ {
		if next := name[i+1] | 0x20; name[i] == '-' && (next < 'a' || next > 'z') {
			return name[:i], name[i+1:], true
		}
	}
	return name, "", name != ""
}

// nixManifest returns the paths of the packages that nix profile installed: a
// list until version 2 of the file, and by name since.
func nixManifest(data []byte) ([]string, error) {
	type element struct {
		Active *bool    `json:"active"`
		Paths  []string `json:"storePaths"`
	}
	var file struct {
		Elements json.RawMessage `json:"elements"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	var list []element
	if err := json.Unmarshal(file.Elements, &list); err != nil {
		named := make(map[string]element)
		if err := json.Unmarshal(file.Elements, &named); err != nil {
			return nil, fmt.Errorf("read the manifest's elements: %w", err)
		}
		for _, e := range named {
			list = append(list, e)
		}
	}
	var paths []string
	for _, e := range list {
		if e.Active == nil || *e.Active {
			paths = append(paths, e.Paths...)
		}
	}
	slices.Sort(paths)
	return paths, nil
}
