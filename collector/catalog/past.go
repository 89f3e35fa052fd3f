package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/history"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// ErrNotYet is returned for an asset that was not known at the time in question.
var ErrNotYet = errors.New("the asset was not known at that time")

// maxUnions bounds a chain of assets that were united into one another.
const maxUnions = 100

// AsOf returns an asset as it was at a time, as far back as history is kept. The
// id may be that of an asset which was united into another, or withdrawn,
// since. When its sources said what it holds is given where that still shows.
// The error wraps ErrNotYet or store.ErrNotFound.
func (c *Catalog) AsOf(tx *store.Tx, id string, at time.Time) (*pb.Asset, error) {
	for range maxUnions {
		a, err := past(tx, id, at)
		if err != nil || a != nil {
			if a != nil {
				err = c.dateUntil(tx, a, at)
			}
			return a, err
		}
		// It had ended by then.
		if id, err = tx.Redirect(id); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("asset %s: more than %d redirects: run `rollcall-collector rebuild`", id, maxUnions)
}

// past returns the asset with this very id as it was; nil where it was no more.
func past(tx *store.Tx, id string, at time.Time) (*pb.Asset, error) {
	a, err := tx.Asset(id)
	gone := errors.Is(err, store.ErrNotFound)
	if err != nil && !gone {
		return nil, err
	}
	if gone {
		a = &pb.Asset{Id: id}
	}
	p := history.NewPast(a)
	events := 0
	err = tx.ScanEvents(id, at, func(_ time.Time, event []byte) error {
		if events++; events == 1 {
			e := new(storagepb.EventRecord)
			if err := proto.Unmarshal(event, e); err != nil {
				return fmt.Errorf("event of asset %s is damaged: %w", id, err)
			}
			if e.GetKind() == Created {
				return fmt.Errorf("asset %s: %w; it came to be at %s", id, ErrNotYet, e.GetAt().AsTime().Format(time.RFC3339))
			}
		}
		return p.Undo(event)
	})
	if err != nil {
		return nil, err
	}
	if gone && events == 0 {
		return nil, nil
	}
	return p.Asset(), nil
}

// dateUntil does what Date does where the sources said nothing since.
func (c *Catalog) dateUntil(tx *store.Tx, a *pb.Asset, at time.Time) error {
	sources := a.Sources
	a.Sources = slices.DeleteFunc(slices.Clone(sources), func(s *pb.AssetSource) bool {
		h, err := tx.Head(store.Ref{Source: s.GetSource(), ID: s.GetSourceId()})
		return err != nil || h.GetObservedAt().AsTime().After(at)
	})
	err := c.Date(tx, a)
	a.Sources = sources
	for _, s := range a.GetSources() {
		if s.GetLastSeen() != nil && s.GetLastSeen().AsTime().After(at) {
			s.LastSeen = nil
		}
	}
	if a.GetLastSeen() != nil && a.GetLastSeen().AsTime().After(at) {
		a.LastSeen = nil
	}
	if to := a.GetAttachedTo(); to.GetLastListedAt() != nil && to.GetLastListedAt().AsTime().After(at) {
		to.LastListedAt = nil
	}
	return err
}

// Event is one thing that happened to an asset.
type Event struct {
	// Key orders the events of an asset by time and names this one.
	Key string
	At  time.Time
	// Record is nil for a change of software, which is change number N of what
	// Ref states.
	Record *storagepb.EventRecord
	Ref    store.Ref
	N      int
}

// Query says which events are asked for.
type Query struct {
	// After and Until bound their times: after the one, not after the other; zero
	// for no bound.
	After, Until time.Time
	// Before is the Key that they come before; empty for no bound.
	Before string
	// Field is a path of a field, or of a group of fields, that they changed;
	// empty for all, "software" for software.
	Field string
	Limit int
}

// wants tells whether a change is asked for.
func (q Query) wants(field string) bool {
	if q.Field == "" {
		return !history.Bookkeeping(field)
	}
	return field == q.Field || strings.HasPrefix(field, q.Field+".")
}

// Events returns what happened to an asset with this very id, the latest first,
// and whether there is more.
func (c *Catalog) Events(tx *store.Tx, id string, q Query) (events []Event, more bool, err error) {
	all, err := recorded(tx.ScanEvents, id, q)
	if err != nil {
		return nil, false, err
	}
	if q.Field == "" || q.Field == Software {
		changed, err := softwareEvents(tx, id)
		if err != nil {
			return nil, false, err
		}
		all = append(all, changed...)
	}
	events, more = q.page(all)
	return events, more, nil
}

// page leaves of some events those of the times that are asked for, the latest
// first, and tells whether there are more than may be.
func (q Query) page(all []Event) (events []Event, more bool) {
	all = slices.DeleteFunc(all, func(e Event) bool {
		return !e.At.After(q.After) || (!q.Until.IsZero() && e.At.After(q.Until)) || (q.Before != "" && e.Key >= q.Before)
	})
	slices.SortFunc(all, func(a, b Event) int { return strings.Compare(b.Key, a.Key) })
	if len(all) > q.Limit {
		return all[:q.Limit], true
	}
	return all, false
}

// scanner reads the stored events of one thing.
type scanner func(id string, after time.Time, fn func(at time.Time, event []byte) error) error

// recorded returns the stored events with the changes that are asked for.
func recorded(scan scanner, id string, q Query) ([]Event, error) {
	var all []Event
	err := scan(id, q.After, func(at time.Time, event []byte) error {
		e := Event{At: at, Record: new(storagepb.EventRecord), N: len(all)}
		if err := proto.Unmarshal(event, e.Record); err != nil {
			return fmt.Errorf("event of %s is damaged: %w", id, err)
		}
		e.Key = eventKey(at, 1, len(all))
		had := len(e.Record.Changes) > 0
		e.Record.Changes = slices.DeleteFunc(e.Record.Changes, func(f *storagepb.FieldChange) bool { return !q.wants(f.GetField()) })
		if len(e.Record.Changes) == 0 && (q.Field != "" || had && e.Record.GetKind() == Changed) {
			return nil
		}
		all = append(all, e)
		return nil
	})
	return all, err
}

// softwareEvents returns the changes of the software that the sources of an
// asset state.
func softwareEvents(tx *store.Tx, id string) ([]Event, error) {
	a, err := tx.Asset(id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Event
	for _, s := range a.GetSources() {
		ref := store.Ref{Source: s.GetSource(), ID: s.GetSourceId()}
		first, times, err := tx.SoftwareTimes(ref)
		if err != nil {
			return nil, err
		}
		for i, at := range times {
			all = append(all, Event{Key: eventKey(at, 0, first+i) + ref.String(), At: at, Ref: ref, N: first + i})
		}
	}
	return all, nil
}

func eventKey(at time.Time, kind byte, n int) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(at.UnixNano()))
	return string(binary.BigEndian.AppendUint64(append(b, kind), uint64(n)))
}
