package facts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/rollcall-itam/rollcall/agent/facts/pages"
	"github.com/rollcall-itam/rollcall/agent/facts/rpmdb"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// rpmDatabases are the places and forms of the rpm database, newest first:
// a machine that was upgraded can have kept an older one.
var rpmDatabases = []string{
	"usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite",
	"usr/lib/sysimage/rpm/Packages.db", "var/lib/rpm/Packages.db",
	"usr/lib/sysimage/rpm/Packages", "var/lib/rpm/Packages",
}

// rpmWatch returns the files of which one changes when packages do.
func rpmWatch() []string {
	var out []string
	for _, name := range rpmDatabases {
		out = append(out, name, name+"-wal")
	}
	return out
}

// maxUnseekable bounds what is held in memory of a file system whose files can
// only be read from the start.
const maxUnseekable = 64 << 20

// learnRPM adds the packages of the rpm database, without the keys that rpm
// keeps there as gpg-pubkey. The version is epoch:version-release, without the
// epoch where it is 0; the publisher is the vendor.
func learnRPM(_ context.Context, h *host.Host, d *pb.Device) error {
	packages, err := readRPM(h.FS)
	if errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	out := newSoftwareRows("rpm")
	for _, p := range packages {
		row := out.add([]byte(p.Name), []byte(p.EVR()))
		row.Architecture, row.Publisher = out.share([]byte(p.Arch)), out.share([]byte(p.Vendor))
		if name, version := p.Source(); name != "" {
			if name != p.Name {
				row.SourcePackage = out.share([]byte(name))
			}
			if version != p.Version+"-"+p.Release {
				row.SourceVersion = out.share([]byte(version))
			}
		}
		row.InstalledAt = unixTime(p.InstallTime)
		if p.Size >= 0 {
			row.SizeBytes = &p.Size
		}
	}
	return errors.Join(err, addSoftware(d, out.rows))
}

// readRPM returns the packages of the first database there is. It takes no
// lock; a database that changed while it was read is read once more.
func readRPM(fsys fs.FS) ([]rpmdb.Package, error) {
	for _, name := range rpmDatabases {
		if info, err := fs.Stat(fsys, name); missing(err) || err == nil && info.Size() == 0 {
			continue
		}
		before := rpmState(fsys, name)
		packages, err := readRPMFile(fsys, name)
		if after := rpmState(fsys, name); after != before {
			before = after
			if packages, err = readRPMFile(fsys, name); rpmState(fsys, name) != before {
				err = errors.Join(err, fmt.Errorf("/%s changed while it was read: packages are being installed", name))
			}
		}
		if info, jerr := fs.Stat(fsys, name+"-journal"); jerr == nil && info.Size() > 0 {
			err = errors.Join(err, fmt.Errorf("/%s-journal holds an interrupted transaction: run any rpm command as root to undo it", name))
		}
		return packages, err
	}
	return nil, fmt.Errorf("no rpm database: %w", errors.ErrUnsupported)
}

// rpmFiles is what changes when a database is written.
type rpmFiles struct {
	size, logSize int64
	time, logTime time.Time
}

func rpmState(fsys fs.FS, name string) rpmFiles {
	var s rpmFiles
	if info, err := fs.Stat(fsys, name); err == nil {
		s.size, s.time = info.Size(), info.ModTime()
	}
	if info, err := fs.Stat(fsys, name+"-wal"); err == nil {
		s.logSize, s.logTime = info.Size(), info.ModTime()
	}
	return s
}

func readRPMFile(fsys fs.FS, name string) ([]rpmdb.Package, error) {
	db, closeDB, err := openReaderAt(fsys, name)
	if err != nil {
		return nil, err
	}
	defer closeDB()
	log, closeLog, err := openReaderAt(fsys, name+"-wal")
	if err != nil && !missing(err) {
		return nil, err
	}
	defer closeLog()
	packages, err := rpmdb.Packages(db, log)
	if err != nil {
		err = fmt.Errorf("/%s: %w", name, err)
	}
	return packages, err
}

// openReaderAt opens a file for reading at any offset; the function closes it.
func openReaderAt(fsys fs.FS, name string) (pages.File, func(), error) {
	nothing := func() {}
	f, err := fsys.Open(name)
	if err != nil {
		return pages.File{}, nothing, err
	}
	closeFile := func() { _ = f.Close() }
	if at, ok := f.(io.ReaderAt); ok {
		info, err := f.Stat()
		if err != nil {
			closeFile()
			return pages.File{}, nothing, err
		}
		return pages.File{ReaderAt: at, Size: info.Size()}, closeFile, nil
	}
	closeFile()
	b, err := readWhole(fsys, name, maxUnseekable)
	return pages.File{ReaderAt: bytes.NewReader(b), Size: int64(len(b))}, nothing, err
}
