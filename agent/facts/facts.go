// Package facts turns what a host shows into what a device is: one file a
// fact, each a pure decoder behind a small reader, so that all of them compile
// and are tested on every OS.
package facts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Fact is one thing that is learnt from a host.
type Fact struct {
	// Name identifies the fact in problems and settings: smbios, dpkg, ...
	Name string
	// Section is the report section that it fills, as in pkg/section.
	Section string
	// OS lists the GOOS values on which it can be learnt; elsewhere it is not
	// tried. Empty means all.
	OS []string
	// Every is how long what was found may be kept where collections come more
	// often, of a fact that is dear to learn; it is put off while the battery is
	// low or the processors are busy. 0 means that it is not dear: it is learnt each time, or when a watched
	// path changed.
	Every time.Duration
	// Watch lists paths, as in fs.FS, whose size, time of change or identity
	// change when there is something new to learn, and keys of the registry, as
	// in keysWritten. A fact is kept until one of
	// them changes, for a day at most and no longer than Every; it is learnt each
	// time while one of them cannot be looked at.
	Watch []string
	// WatchQuietly lists more of what Watch does, whose changes are heeded when the
	// machine is read and do not bring that about: they are too many.
	WatchQuietly []string
	// Learn adds what it finds to d, which holds what earlier facts found in
	// the same section and nothing else. It touches only the fields that are its
	// own; what it found before it failed stays. An error that wraps
	// errors.ErrUnsupported means that this machine has no such thing, which is
	// no problem; any other makes its section partial, or failed when the
	// section stays empty.
	Learn func(ctx context.Context, h *host.Host, d *pb.Device) error

	// busy is set while the fact runs, also after it was given up on.
	busy *mark
}

// absent returns what was bad where a fact has found nothing, or that there is
// nothing of that kind. Both in one would pass for a machine that has none, and
// what is bad would be told nobody.
func absent(bad error, what string) error {
	if bad != nil {
		return bad
	}
	return fmt.Errorf("%s: %w", what, errors.ErrUnsupported)
}
