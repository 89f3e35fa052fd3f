package facts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	dpkgDir = "var/lib/dpkg"
	// maxDpkgStatus is forty times what 1,000 packages take.
	maxDpkgStatus = 40 << 20
	maxDpkgFiles  = 20_000
)

// dpkgWatch are the files and folders of which one changes when packages do.
var dpkgWatch = []string{dpkgDir, dpkgDir + "/status", dpkgDir + "/updates", dpkgDir + "/status.d", dpkgDir + "/info"}

// debPackage is an installed package; its bytes are part of the file that it
// was read from.
type debPackage struct {
	name, version, arch, maintainer, size []byte
	// source is the name of the source package, with its version in parentheses
	// where that is another; nil where both are the package's own.
	source []byte
	// same tells that packages of several architectures can be installed
	// beside one another.
	same bool
	// listed tells that dpkg keeps a list of the package's files.
	listed bool
}

// learn adds the packages that dpkg holds to be installed, whatever is wanted of
// them (so also held ones), also those that only wait for a trigger, as many do
// for a moment while others are installed, and none that are unpacked,
// half-installed, half-configured or removed but for their configuration. The publisher is the maintainer's name; the time of
// installation is that of the package's file list, which dpkg writes last.
func (r *dpkgReading) learn(_ context.Context, h *host.Host, d *pb.Device) error {
	packages, err := r.packages(h)
	if errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	out := newSoftwareRows("deb")
	out.rows = make([]*pb.Software, 0, len(packages))
	for i := range packages {
		p := &packages[i]
		row := out.add(p.name, p.version)
		row.Publisher, row.Architecture = out.share(personName(p.maintainer)), out.share(p.arch)
		out.builtFrom(row, p.source)
		if kib, err := strconv.ParseInt(string(p.size), 10, 52); err == nil && kib >= 0 {
			size := kib << 10
			row.SizeBytes = &size
		}
		if p.listed {
			row.InstalledAt = dpkgInstalled(h.FS, p)
		}
	}
	return errors.Join(err, addSoftware(d, out.rows))
}

// builtFrom sets the source package of a row from "name" or "name (version)".
func (s *softwareRows) builtFrom(row *pb.Software, source []byte) {
	name, version, _ := bytes.Cut(source, []byte{' '})
	version = bytes.TrimSuffix(bytes.TrimPrefix(bytes.TrimSpace(version), []byte{'('}), []byte{')'})
	if text := s.share(name); text != row.Name {
		row.SourcePackage = text
	}
	if text := s.share(version); text != row.Version {
		row.SourceVersion = text
	}
}

// dpkgInstalled returns when a package was last installed or upgraded.
func dpkgInstalled(fsys fs.FS, p *debPackage) *timestamppb.Timestamp {
	base := dpkgDir + "/info/" + string(p.name)
	plain, qualified := base+".list", base+":"+string(p.arch)+".list"
	if p.same {
		plain, qualified = qualified, plain
	}
	if t := modTime(fsys, plain); t != nil {
		return t
	}
	return modTime(fsys, qualified)
}

// readDpkg returns the installed packages of the status file, of the updates
// to it that a running dpkg has not merged yet, and of status.d, where images
// without a package manager keep one file a package.
func readDpkg(fsys fs.FS) ([]debPackage, error) {
	bad := new(faults)
	var packages []debPackage
	data, err := readWhole(fsys, dpkgDir+"/status", maxDpkgStatus)
	found := !missing(err)
	if found {
		bad.add(err)
		packages = make([]debPackage, 0, len(data)/900)
		eachStanza(dpkgDir+"/status", data, bad, func(s *controlStanza) {
			if s.installed() {
				packages = append(packages, s.debPackage)
			}
		})
		packages = dpkgUpdates(fsys, packages, bad)
	}
	entries, err := fs.ReadDir(fsys, dpkgDir+"/status.d")
	if err != nil && !missing(err) {
		bad.add(fmt.Errorf("list /%s/status.d: %w", dpkgDir, err))
	}
	for i, e := range entries {
		if i >= maxDpkgFiles {
			bad.add(fmt.Errorf("/%s/status.d has more than %d files: the rest is not read", dpkgDir, maxDpkgFiles))
			break
		}
		if e.IsDir() || strings.HasSuffix(e.Name(), ".md5sums") {
			continue
		}
		found = true
		name := path.Join(dpkgDir, "status.d", e.Name())
		data, err := readWhole(fsys, name, 1<<20)
		bad.add(err)
		eachStanza(name, data, bad, func(s *controlStanza) {
			// These files mostly have no state: that they are there says it.
			if s.status == nil || s.installed() {
				s.listed = false
				packages = append(packages, s.debPackage)
			}
		})
	}
	if !found {
		return nil, fmt.Errorf("no dpkg database: %w", errors.ErrUnsupported)
	}
	return packages, bad.err()
}

// dpkgUpdates applies the files of var/lib/dpkg/updates, each the newer state
// of one package, in the order of their numbers.
func dpkgUpdates(fsys fs.FS, packages []debPackage, bad *faults) []debPackage {
	entries, err := fs.ReadDir(fsys, dpkgDir+"/updates")
	if err != nil && !missing(err) {
		bad.add(fmt.Errorf("list /%s/updates: %w", dpkgDir, err))
	}
	for i, e := range entries {
		if _, err := strconv.ParseUint(e.Name(), 10, 32); err != nil || i >= maxDpkgFiles {
			continue
		}
		name := path.Join(dpkgDir, "updates", e.Name())
		data, err := readWhole(fsys, name, 1<<20)
		if missing(err) {
			continue
		}
		bad.add(err)
		eachStanza(name, data, bad, func(s *controlStanza) {
			kept := packages[:0]
			for _, p := range packages {
				if !bytes.Equal(p.name, s.name) || !bytes.Equal(p.arch, s.arch) {
					kept = append(kept, p)
				}
			}
			if packages = kept; s.installed() {
				packages = append(packages, s.debPackage)
			}
		})
	}
	return packages
}

// controlStanza is one paragraph of a status file.
type controlStanza struct {
	debPackage
	status []byte
}

// installed tells whether the third word of the state, after what is wanted
// and what went wrong, is that of a package which is wholly there: "installed",
// or configured with what a trigger of it or of another does still to be done.
func (s *controlStanza) installed() bool {
	i := bytes.LastIndexByte(s.status, ' ')
	switch string(s.status[i+1:]) {
	case "installed", "triggers-pending", "triggers-awaited":
		return true
	}
	return false
}

// eachStanza calls fn with each paragraph of a status file. A paragraph without
// name, or one of an installed package without version, is left out; so is a
// last line without end, which was not written whole.
func eachStanza(name string, data []byte, bad *faults, fn func(*controlStanza)) {
	var s controlStanza
	size, start := len(data), 0
	flush := func(at int) {
		switch {
		case s.name == nil && s.version == nil && s.status == nil:
		case s.name == nil:
			bad.add(fmt.Errorf("/%s: paragraph at byte %d has no package name", name, start))
		case s.version == nil && (s.status == nil || s.installed()):
			bad.add(fmt.Errorf("/%s: package %.64q at byte %d has no version", name, s.name, start))
		default:
			s.listed = true
			fn(&s)
		}
		s, start = controlStanza{}, at
	}
	for len(data) > 0 {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			bad.add(fmt.Errorf("/%s ends within a line, at byte %d: it was not written whole", name, size))
			break
		}
		line := data[:end]
		data = data[end+1:]
		if len(line) == 0 {
			flush(size - len(data))
			continue
		}
		s.take(line)
	}
	flush(size)
}

// take sets the field that a line is about.
func (s *controlStanza) take(line []byte) {
	// Continued lines and most fields fall out at their first letter.
	switch line[0] {
	case 'P', 'S', 'V', 'A', 'M', 'I':
	default:
		return
	}
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return
	}
	value := bytes.TrimSpace(line[colon+1:])
	if len(value) == 0 {
		return
	}
	switch string(line[:colon]) {
	case "Package":
		s.name = value
	case "Status":
		s.status = value
	case "Source":
		s.source = value
	case "Version":
		s.version = value
	case "Architecture":
		s.arch = value
	case "Maintainer":
		s.maintainer = value
	case "Installed-Size":
		s.size = value
	case "Multi-Arch":
		s.same = string(value) == "same"
	}
}
