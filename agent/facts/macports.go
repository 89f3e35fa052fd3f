package facts

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"sync"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// portsDir is where MacPorts keeps the archive of each port that is installed,
// in a folder of the port's name, since version 2.0.
const portsDir = "opt/local/var/macports/software"

// portArchive is version_revision+variants.os_release.architecture: of a port
// that depends on neither, the last are noarch or any.
var portArchive = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(.+)_(\d+)((?:\+[A-Za-z0-9_.+-]+?)?)\.([a-z]+_[A-Za-z0-9]+)\.([A-Za-z0-9_-]+)\.(?:tbz2|tgz|txz|tlz|tbz|tar|zip|cpgz|cpbz2|xar|aar)$`)
})

// learnMacPorts lists the ports of MacPorts, each version that is still there.
func learnMacPorts(ctx context.Context, h *host.Host, d *pb.Device) error {
	ports, err := firstEntries(h.FS, portsDir, maxFolderPackages)
	if missing(err) {
		return fmt.Errorf("no MacPorts: %w", errors.ErrUnsupported)
	}
	bad := new(faults)
	if err != nil {
		bad.add(fmt.Errorf("list /%s: %w", portsDir, err))
	}
	rows := newSoftwareRows("macports")
	for _, p := range ports {
		if !p.IsDir() || ctx.Err() != nil {
			continue
		}
		dir := path.Join(portsDir, p.Name())
		archives, err := firstEntries(h.FS, dir, maxEntries)
		if err != nil {
			bad.add(fmt.Errorf("list /%s: %w", dir, err))
		}
		for _, a := range archives {
			version, arch, ok := portVersion(p.Name(), a.Name())
			if !ok || len(rows.rows) >= maxFolderPackages {
				continue
			}
			row := rows.add([]byte(p.Name()), []byte(version))
			row.Architecture, row.InstalledAt = rows.share([]byte(arch)), modTime(h.FS, path.Join(dir, a.Name()))
		}
	}
	return errors.Join(bad.err(), rows.cut(ctx), addSoftware(d, rows.rows))
}

// portVersion takes the name of a port's archive apart. The revision counts
// where there is one.
func portVersion(port, archive string) (version, architecture string, ok bool) {
	rest, ok := strings.CutPrefix(archive, port+"-")
	m := portArchive().FindStringSubmatch(rest)
	if !ok || m == nil {
		return "", "", false
	}
	if version = m[1]; m[2] != "0" {
		version += "_" + m[2]
	}
	return version, m[5], true
}
