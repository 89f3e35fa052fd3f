package facts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	flatpakSystem  = "var/lib/flatpak"
	flatpakUser    = ".local/share/flatpak"
	maxFlatpakRefs = 5_000
)

// learnFlatpak adds applications and runtimes of the system and of the local
// users' homes. The name is that of the application where its deployment says
// one, and product_id its id; runtimes have their branch as version. The
// publisher is the remote that it came from.
func learnFlatpak(_ context.Context, h *host.Host, d *pb.Device) error {
	_, system := fs.Stat(h.FS, flatpakSystem)
	_, program := fs.Stat(h.FS, "usr/bin/flatpak")
	if missing(system) && missing(program) {
		return fmt.Errorf("no flatpak: %w", errors.ErrUnsupported)
	}
	bad := new(faults)
	out := newSoftwareRows("flatpak")
	flatpakRefs(h.FS, flatpakSystem, out, bad)
	for _, home := range localHomes(h.FS, bad) {
		flatpakRefs(h.FS, path.Join(home, flatpakUser), out, bad)
	}
	return errors.Join(bad.err(), addSoftware(d, out.rows))
}

// flatpakRefs adds what is deployed in one installation, as
// {app,runtime}/<id>/<architecture>/<branch>/active.
func flatpakRefs(fsys fs.FS, root string, out *softwareRows, bad *faults) {
	for _, kind := range []string{"app", "runtime"} {
		ids := flatpakList(fsys, path.Join(root, kind), bad)
		for _, id := range ids {
			for _, arch := range flatpakList(fsys, path.Join(root, kind, id), bad) {
				for _, branch := range flatpakList(fsys, path.Join(root, kind, id, arch), bad) {
					if len(out.rows) >= maxFlatpakRefs {
						continue
					}
					flatpakRef(fsys, path.Join(root, kind, id, arch, branch, "active"), out, bad)
				}
			}
		}
	}
	if len(out.rows) >= maxFlatpakRefs {
		bad.add(fmt.Errorf("/%s: more than %d refs: the rest is left out", root, maxFlatpakRefs))
	}
}

// flatpakList returns the folders of a folder; none where there is none.
func flatpakList(fsys fs.FS, name string, bad *faults) []string {
	entries, err := fs.ReadDir(fsys, name)
	if err != nil && !missing(err) {
		bad.add(fmt.Errorf("list /%s: %w", name, err))
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() && len(out) < maxFlatpakRefs {
			out = append(out, e.Name())
		}
	}
	return out
}

// flatpakRef adds the deployment in a folder .../kind/id/arch/branch/active.
func flatpakRef(fsys fs.FS, active string, out *softwareRows, bad *faults) {
	if _, err := fs.Stat(fsys, active); err != nil {
		if !missing(err) {
			bad.add(fmt.Errorf("flatpak: %w", err))
		}
		return
	}
	parts := strings.Split(active, "/")
	id, arch, branch := parts[len(parts)-4], parts[len(parts)-3], parts[len(parts)-2]
	name, version := []byte(id), []byte(branch)
	var deploy flatpakDeploy
	data, err := readWhole(fsys, active+"/deploy", 1<<20)
	if err == nil {
		deploy, err = parseFlatpakDeploy(data)
	}
	if err != nil {
		bad.add(fmt.Errorf("/%s/deploy: %w", active, err))
	}
	if len(deploy.name) > 0 {
		name = deploy.name
	}
	if len(deploy.version) > 0 {
		version = deploy.version
	}
	row := out.add(name, version)
	row.ProductId, row.Architecture = softwareText([]byte(id)), out.share([]byte(arch))
	row.Publisher, row.Location = out.share(deploy.origin), out.share([]byte("/"+strings.Join(parts[:len(parts)-5], "/")))
	row.InstalledAt = modTime(fsys, active+"/deploy")
	if deploy.size > 0 {
		row.SizeBytes = &deploy.size
	}
}

// flatpakDeploy is what the file beside a deployment says of it.
type flatpakDeploy struct {
	origin, name, version []byte
	size                  int64
}

// parseFlatpakDeploy decodes the GVariant (ssasta{sv}): origin, commit,
// subpaths, installed size in big-endian, and a dictionary. The strings of the
// dictionary are found by their key; each is a variant, so that it begins at a
// multiple of eight and ends with a NUL, another NUL and the type "s".
func parseFlatpakDeploy(b []byte) (flatpakDeploy, error) {
	var d flatpakDeploy
	offsetSize := 1
	switch {
	case len(b) > 0xffff:
		offsetSize = 4
	case len(b) > 0xff:
		offsetSize = 2
	}
	// The ends of the first three members stand at the end, last to first.
	if len(b) < 3*offsetSize {
		return d, errors.New("cut short")
	}
	end := func(i int) int {
		n := 0
		for k := range offsetSize {
			n |= int(b[len(b)-(i+1)*offsetSize+k]) << (8 * k)
		}
		return n
	}
	size := (end(2) + 7) &^ 7
	if end(0) < 1 || end(0) > end(1) || end(1) > end(2) || size+8 > len(b) || b[end(0)-1] != 0 {
		return d, errors.New("not a flatpak deployment")
	}
	d.origin = b[:end(0)-1]
	for _, c := range b[size : size+8] {
		d.size = d.size<<8 | int64(c)
	}
	d.name = variantString(b, size+8, "appdata-name")
	d.version = variantString(b, size+8, "appdata-version")
	return d, nil
}

// variantString returns the string under a key of a dictionary a{sv} that
// begins at from, nil if there is none.
func variantString(b []byte, from int, key string) []byte {
	for i := from; ; {
		found := bytes.Index(b[i:], append([]byte(key), 0))
		if found < 0 {
			return nil
		}
		i += found + len(key) + 1
		// The dictionary is aligned, so positions in the file are too.
		start := (i + 7) &^ 7
		if start > len(b) {
			return nil
		}
		value := b[start:]
		if end := bytes.IndexByte(value, 0); end >= 0 && bytes.HasPrefix(value[end:], []byte("\x00\x00s")) {
			return value[:end]
		}
	}
}
