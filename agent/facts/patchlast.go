package facts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// lastUpdateFiles are files that a package manager writes when it installs,
// upgrades or removes, and at no other time, as far as their time of change can
// be trusted: of each row, the first that is there and not empty counts. The
// entries of the logs themselves have the machine's local time without zone.
var lastUpdateFiles = [][]string{
	{"var/log/dpkg.log", "var/log/dpkg.log.1", "var/lib/dpkg/status"},
	{"var/lib/dnf/history.sqlite-wal", "var/lib/dnf/history.sqlite", "var/log/dnf.rpm.log"},
	{"usr/lib/sysimage/libdnf5/transaction_history.sqlite-wal", "usr/lib/sysimage/libdnf5/transaction_history.sqlite"},
	{"var/log/zypp/history"},
	{"lib/apk/db/installed", "usr/lib/apk/db/installed"},
	{"var/log/pacman.log", pacmanLocal},
}

// learnLastUpdate says when software was last installed, upgraded or removed
// through a package manager; on machines with rpm and without any history, it
// is when the newest package was installed.
func learnLastUpdate(_ context.Context, h *host.Host, d *pb.Device) error {
	var last time.Time
	for _, names := range lastUpdateFiles {
		for _, name := range names {
			if info, err := fs.Stat(h.FS, name); err == nil && info.Size() > 0 {
				last = latest(last, info.ModTime())
				break
			}
		}
	}
	var err error
	if last.IsZero() {
		last, err = newestRPM(h.FS)
	}
	if last.Unix() <= 0 {
		if err == nil {
			err = fmt.Errorf("no package manager keeps a record of updates: %w", errors.ErrUnsupported)
		}
		return err
	}
	patch(d).LastUpdated = timestamppb.New(last.Truncate(time.Second))
	return err
}

func newestRPM(fsys fs.FS) (time.Time, error) {
	packages, err := readRPM(fsys)
	var last int64
	for _, p := range packages {
		last = max(last, p.InstallTime)
	}
	return time.Unix(last, 0), err
}
