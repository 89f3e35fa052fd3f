package compliance

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

const (
	// volumeDays is how far back the free space of system volumes is kept.
	volumeDays = 30
	// trendPoints and trendDays are the least days with a value, and from the first
	// to the last of them, that a trend is seen in.
	trendPoints = 5
	trendDays   = 7
	day         = 24 * time.Hour
)

// volumeToday returns what is to be kept of an asset's free space, nil where
// today's value is kept already or none is stated.
func volumeToday(held *storagepb.VolumeRecord, a *pb.Asset, now time.Time) *storagepb.VolumeRecord {
	today := int32(now.Unix() / int64(day/time.Second))
	s := a.GetStorage()
	if s == nil || s.SystemFreeBytes == nil || slices.Contains(held.GetDays(), today) {
		return nil
	}
	next := &storagepb.VolumeRecord{AssetId: a.GetId()}
	for i, d := range held.GetDays() {
		if d > today-volumeDays && d < today && i < len(held.GetFreeBytes()) {
			next.Days, next.FreeBytes = append(next.Days, d), append(next.FreeBytes, held.GetFreeBytes()[i])
		}
	}
	next.Days, next.FreeBytes = append(next.Days, today), append(next.FreeBytes, s.GetSystemFreeBytes())
	return next
}

// fullAt returns when a volume is full if it goes on as in the days that are
// kept: the line of least squares through them, carried on. It is expr.Never
// where the volume does not fill up, and the zero time where there are too few
// days to tell.
func fullAt(r *storagepb.VolumeRecord) time.Time {
	n := len(r.GetDays())
	if n < trendPoints || n != len(r.GetFreeBytes()) || r.GetDays()[n-1]-r.GetDays()[0] < trendDays {
		return time.Time{}
	}
	first := r.GetDays()[0]
	var sx, sy, sxx, sxy float64
	for i, d := range r.GetDays() {
		x, y := float64(d-first), float64(r.GetFreeBytes()[i])
		sx, sy, sxx, sxy = sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	m := float64(n)
	slope := (m*sxy - sx*sy) / (m*sxx - sx*sx)
	if slope >= 0 {
		return expr.Never
	}
	// From the last value on, not from the line: a clean-up yesterday counts.
	last := float64(r.GetFreeBytes()[n-1])
	end := time.Unix(int64(r.GetDays()[n-1])*int64(day/time.Second), 0).UTC()
	if left := last / -slope; left < 36_500 {
		return end.Add(time.Duration(left * float64(day)))
	}
	return expr.Never
}

// volume reads the trend of an asset's system volume, and returns what is to be
// kept of it from now on, nil for nothing new.
func (e *Engine) volume(tx *store.Tx, a *pb.Asset) (full time.Time, keep *storagepb.VolumeRecord, err error) {
	held, err := tx.Volume(a.GetId())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return full, nil, fmt.Errorf("read the free space of asset %s: %w", a.GetId(), err)
	}
	keep = volumeToday(held, a, e.Now())
	if keep != nil {
		held = proto.CloneOf(keep)
	}
	return fullAt(held), keep, nil
}
