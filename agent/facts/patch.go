package facts

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// maxPending is the number of pending updates that a report lists; all are
// counted.
const maxPending = 5_000

// Severities of updates beside those that vendors give.
const (
	// severitySecurity is that of a security update whose vendor says no more.
	severitySecurity = "security"
	// severityNone is that of an update which is known to be none.
	severityNone = "none"
	// severityUnknown counts updates whose severity nobody states.
	severityUnknown = "unknown"
)

// patch returns the device's patch state, which several facts fill.
func patch(d *pb.Device) *pb.Patch {
	if d.Patch == nil {
		d.Patch = new(pb.Patch)
	}
	return d.Patch
}

// addPending adds updates that a package manager's own metadata shows, and
// when those were last refreshed: of several, the oldest counts, since it is
// what the whole answer is worth.
func addPending(d *pb.Device, updates []*pb.PendingUpdate, refreshed time.Time) error {
	p := patch(d)
	if p.PendingCount == nil {
		p.PendingCount = make(map[string]int32)
	}
	for _, u := range updates {
		p.PendingCount[cmp.Or(u.Severity, severityUnknown)]++
	}
	if !refreshed.IsZero() && (p.CheckedAt == nil || refreshed.Before(p.CheckedAt.AsTime())) {
		p.CheckedAt = timestamppb.New(refreshed.Truncate(time.Second))
	}
	all := append(p.Pending, updates...)
	slices.SortFunc(all, func(a, b *pb.PendingUpdate) int {
		return cmp.Or(strings.Compare(a.Id, b.Id), strings.Compare(a.Version, b.Version))
	})
	p.Pending = all
	if len(all) > maxPending {
		p.Pending = slices.Clip(all[:maxPending])
		return fmt.Errorf("%d pending updates, of which a report lists %d", len(all), maxPending)
	}
	return nil
}

// newest returns the latest time of change of those files that are there.
func newest(fsys fs.FS, names ...string) time.Time {
	var t time.Time
	for _, name := range names {
		if info, err := fs.Stat(fsys, name); err == nil {
			t = latest(t, info.ModTime())
		}
	}
	return t
}
