package facts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	portageDir = "var/db/pkg"
	// maxFolderPackages is how many packages are listed of those whose database
	// is a folder.
	maxFolderPackages = 20_000
)

// slackwareDirs are where Slackware keeps a file for each package: since 15.0,
// and before.
var slackwareDirs = []string{"var/lib/pkgtools/packages", "var/log/packages"}

// portageName is name-version, the version as the Package Manager Specification
// 8 has it in section 3.2.
var portageName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(.+?)-(\d+(?:\.\d+)*[a-z]?(?:_(?:alpha|beta|pre|rc|p)\d*)*(?:-r\d+)?)$`)
})

// learnPortage lists the packages of Gentoo, of which each has a folder
// category/name-version. The name is that with the category, the publisher the
// repository that it came from.
func learnPortage(ctx context.Context, h *host.Host, d *pb.Device) error {
	a := &attributes{h: h}
	bad := new(faults)
	categories, err := firstEntries(h.FS, portageDir, maxEntries)
	if err != nil && !missing(err) {
		bad.add(fmt.Errorf("list /%s: %w", portageDir, err))
	}
	if len(categories) == 0 {
		return absent(bad.err(), "no portage")
	}
	out := newSoftwareRows("portage")
	for _, c := range categories {
		packages, err := firstEntries(h.FS, path.Join(portageDir, c.Name()), maxFolderPackages)
		if err != nil && !missing(err) {
			bad.add(fmt.Errorf("list /%s/%s: %w", portageDir, c.Name(), err))
		}
		for _, p := range packages {
			// A folder of another name is of a package that is being installed.
			m := portageName().FindStringSubmatch(p.Name())
			if m == nil || strings.HasPrefix(p.Name(), "-MERGING-") || len(out.rows) >= maxFolderPackages || ctx.Err() != nil {
				continue
			}
			dir := path.Join(portageDir, c.Name(), p.Name())
			row := out.add([]byte(c.Name()+"/"+m[1]), []byte(m[2]))
			row.Publisher = out.share([]byte(a.text(dir, "repository")))
			row.InstalledAt = modTime(h.FS, dir+"/COUNTER")
			if size, ok := a.number(dir, "SIZE"); ok {
				row.SizeBytes = &size
			}
		}
	}
	return errors.Join(bad.err(), a.bad.err(), out.cut(ctx), addSoftware(d, out.rows))
}

// cut tells when not all packages were listed.
func (s *softwareRows) cut(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("not all packages were read: %w", err)
	}
	if len(s.rows) >= maxFolderPackages {
		return fmt.Errorf("more than %d packages of kind %s: the rest is left out", maxFolderPackages, s.kind)
	}
	return nil
}

// learnSlackware lists the packages of Slackware, of which each has a file
// name-version-architecture-build.
func learnSlackware(ctx context.Context, h *host.Host, d *pb.Device) error {
	bad := new(faults)
	out := newSoftwareRows("slackware")
	for _, dir := range slackwareDirs {
		files, err := firstEntries(h.FS, dir, maxFolderPackages)
		if err != nil && !missing(err) {
			bad.add(fmt.Errorf("list /%s: %w", dir, err))
		}
		for _, f := range files {
			parts := strings.Split(f.Name(), "-")
			if len(parts) < 4 || len(out.rows) >= maxFolderPackages || ctx.Err() != nil {
				continue
			}
			last := parts[len(parts)-3:]
			row := out.add([]byte(strings.Join(parts[:len(parts)-3], "-")), []byte(last[0]+"-"+last[2]))
			row.Architecture, row.InstalledAt = out.share([]byte(last[1])), modTime(h.FS, path.Join(dir, f.Name()))
			row.SizeBytes = slackwareSize(h.FS, path.Join(dir, f.Name()))
		}
		if len(out.rows) > 0 {
			break
		}
	}
	if len(out.rows) == 0 {
		return absent(bad.err(), "no packages of Slackware")
	}
	return errors.Join(bad.err(), out.cut(ctx), addSoftware(d, out.rows))
}

// slackwareSize returns the size that the head of a package's file states:
// UNCOMPRESSED PACKAGE SIZE: 1.4M. Nil is for none.
func slackwareSize(fsys fs.FS, name string) *int64 {
	// The list of files, which follows, is of no interest and can be long.
	head, err := readWhole(fsys, name, 4<<10)
	if err != nil && len(head) == 0 {
		return nil
	}
	for line := range strings.Lines(string(head)) {
		value, ok := strings.CutPrefix(line, "UNCOMPRESSED PACKAGE SIZE:")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		unit := strings.TrimLeft(value, "0123456789.")
		shift, known := map[string]uint{"": 0, "B": 0, "K": 10, "KB": 10, "M": 20, "MB": 20, "G": 30, "GB": 30}[strings.TrimSpace(unit)]
		n, err := strconv.ParseFloat(strings.TrimSuffix(value, unit), 64)
		if err != nil || !known || n > 1<<20 {
			return nil
		}
		size := int64(n * float64(int64(1)<<shift))
		return &size
	}
	return nil
}
