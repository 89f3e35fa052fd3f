package facts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const maxAPKInstalled = 64 << 20

// apkDatabases are the places of the database, the older first.
var apkDatabases = []string{"lib/apk/db/installed", "usr/lib/apk/db/installed"}

// apkPackage is a package of an apk database or index; its bytes are part of
// the file that it was read from.
type apkPackage struct {
	name, version, arch, maintainer, size []byte
	// origin is the name of the APKBUILD that the package was built from.
	origin []byte
}

// learnAPK adds the packages of Alpine's database. It does not say when they
// were installed; the publisher is the maintainer's name.
func learnAPK(_ context.Context, h *host.Host, d *pb.Device) error {
	out := newSoftwareRows("apk")
	err := readAPK(h.FS, func(p *apkPackage) {
		row := out.add(p.name, p.version)
		row.Architecture, row.Publisher = out.share(p.arch), out.share(personName(p.maintainer))
		out.builtFrom(row, p.origin)
		if size, err := strconv.ParseInt(string(p.size), 10, 63); err == nil && size >= 0 {
			row.SizeBytes = &size
		}
	})
	if errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return errors.Join(err, addSoftware(d, out.rows))
}

// readAPK calls fn with every installed package.
func readAPK(fsys fs.FS, fn func(*apkPackage)) error {
	for _, name := range apkDatabases {
		data, err := readWhole(fsys, name, maxAPKInstalled)
		if missing(err) {
			continue
		}
		bad := new(faults)
		bad.add(err)
		eachAPK("/"+name, data, bad, fn)
		return bad.err()
	}
	return fmt.Errorf("no apk database: %w", errors.ErrUnsupported)
}

// eachAPK calls fn with every paragraph of an apk database or index, whose
// lines begin with one letter and a colon.
func eachAPK(name string, data []byte, bad *faults, fn func(*apkPackage)) {
	var p apkPackage
	size, start, seen := len(data), 0, false
	flush := func(at int) {
		switch {
		case p.name != nil && p.version != nil:
			fn(&p)
		case seen:
			bad.add(fmt.Errorf("%s: package %.64q at byte %d has no name or version", name, p.name, start))
		}
		p, start, seen = apkPackage{}, at, false
	}
	for len(data) > 0 {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			bad.add(fmt.Errorf("%s ends within a line, at byte %d: it was not written whole", name, size))
			break
		}
		line := data[:end]
		data = data[end+1:]
		if len(line) == 0 {
			flush(size - len(data))
			continue
		}
		seen = true
		if len(line) < 3 || line[1] != ':' {
			continue
		}
		switch value := line[2:]; line[0] {
		case 'P':
			p.name = value
		case 'V':
			p.version = value
		case 'A':
			p.arch = value
		case 'm':
			p.maintainer = value
		case 'I':
			p.size = value
		case 'o':
			p.origin = value
		}
	}
	flush(size)
}
