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

const (
	pacmanLocal   = "var/lib/pacman/local"
	maxPacmanDesc = 1 << 20
)

// pacmanPackage is a package of pacman's local or sync database; its bytes are
// part of the file that it was read from.
type pacmanPackage struct {
	name, version, arch, packager, size, installed []byte
}

// learnPacman adds the packages of pacman's local database; the publisher is
// the packager's name.
func learnPacman(_ context.Context, h *host.Host, d *pb.Device) error {
	out := newSoftwareRows("pacman")
	err := readPacman(h.FS, func(p *pacmanPackage) {
		row := out.add(p.name, p.version)
		row.Architecture, row.Publisher = out.share(p.arch), out.share(personName(p.packager))
		if size, err := strconv.ParseInt(string(p.size), 10, 63); err == nil && size >= 0 {
			row.SizeBytes = &size
		}
		if sec, err := strconv.ParseInt(string(p.installed), 10, 63); err == nil {
			row.InstalledAt = unixTime(sec)
		}
	})
	if errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return errors.Join(err, addSoftware(d, out.rows))
}

// readPacman calls fn with every package of the local database, one folder
// each; one that is damaged is left out and said in the error.
func readPacman(fsys fs.FS, fn func(*pacmanPackage)) error {
	entries, err := fs.ReadDir(fsys, pacmanLocal)
	if missing(err) {
		return fmt.Errorf("no pacman database: %w", errors.ErrUnsupported)
	}
	bad := new(faults)
	bad.add(err)
	for i, e := range entries {
		if i > maxSoftware {
			bad.add(fmt.Errorf("/%s has more than %d entries: the rest is not read", pacmanLocal, maxSoftware))
			break
		}
		if !e.IsDir() {
			continue
		}
		name := pacmanLocal + "/" + e.Name() + "/desc"
		data, err := readWhole(fsys, name, maxPacmanDesc)
		if err != nil {
			bad.add(err)
			continue
		}
		p := parsePacman(data)
		if p.name == nil || p.version == nil {
			bad.add(fmt.Errorf("/%s has no %%NAME%% or %%VERSION%%: the package is left out; reinstall it to repair its entry", name))
			continue
		}
		fn(&p)
	}
	return bad.err()
}

// parsePacman reads a desc file: a key between percent signs on a line of its
// own, then its value on the next.
func parsePacman(data []byte) pacmanPackage {
	var p pacmanPackage
	var field *[]byte
	for len(data) > 0 {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte{'\n'})
		switch {
		case len(line) == 0:
			field = nil
		case field != nil:
			*field, field = line, nil
		case line[0] == '%':
			field = p.field(string(line))
		}
	}
	return p
}

func (p *pacmanPackage) field(key string) *[]byte {
	switch key {
	case "%NAME%":
		return &p.name
	case "%VERSION%":
		return &p.version
	case "%ARCH%":
		return &p.arch
	case "%PACKAGER%":
		return &p.packager
	case "%SIZE%", "%ISIZE%":
		return &p.size
	case "%INSTALLDATE%":
		return &p.installed
	}
	return nil
}
