package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/kv"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

func ignoreNotFound(err error) error {
	if errors.Is(err, kv.ErrNotFound) || errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// read returns the record under key as a new message.
func read[M any, P interface {
	*M
	proto.Message
}](t *Tx, key []byte) (P, error) {
	m := P(new(M))
	if err := t.get(key, m); err != nil {
		return nil, err
	}
	return m, nil
}

// scan calls fn with each record under prefix from start on. fn may return
// kv.ErrStop.
func scan[M any, P interface {
	*M
	proto.Message
}](t *Tx, prefix string, start []byte, fn func(key []byte, m P) error) error {
	return t.kv.Scan([]byte(prefix), start, func(k, stored []byte) error {
		v, err := t.unpack(k, stored)
		if err != nil {
			return err
		}
		m := P(new(M))
		if err := proto.Unmarshal(v, m); err != nil {
			return fmt.Errorf("record %q is damaged, run `rollcall-collector rebuild` or restore a backup: %w", k, err)
		}
		return fn(k, m)
	})
}

// Stop, returned by the function given to a Scan method, ends the scan early
// without an error.
var Stop = kv.ErrStop

// Observation returns what ref's source last said, without software rows.
func (t *Tx) Observation(ref Ref) (*pb.Observation, error) {
	o, _, err := t.Stated(ref)
	return o, err
}

// ObservationUnder returns what Observation does, where its head is at hand.
func (t *Tx) ObservationUnder(ref Ref, h *storagepb.HeadRecord) (*pb.Observation, error) {
	o, err := read[pb.Observation](t, join(prefixObservation, ref.Source, ref.ID))
	if err != nil {
		return nil, err
	}
	o.ObservedAt, o.Problems, o.Sections = h.GetObservedAt(), h.GetProblems(), h.GetSections()
	return o, nil
}

// Stated returns what ref's source last said, without software rows, and its head.
func (t *Tx) Stated(ref Ref) (*pb.Observation, *storagepb.HeadRecord, error) {
	o, err := read[pb.Observation](t, join(prefixObservation, ref.Source, ref.ID))
	if err != nil {
		return nil, nil, err
	}
	h, err := t.complete(o)
	return o, h, err
}

// complete joins an observation's content to its head, and returns that.
func (t *Tx) complete(o *pb.Observation) (*storagepb.HeadRecord, error) {
	h, err := t.Head(Ref{Source: o.GetSource(), ID: o.GetSourceId()})
	if err != nil {
		return nil, fmt.Errorf("head of observation %s/%s: %w", o.GetSource(), o.GetSourceId(), err)
	}
	o.ObservedAt, o.Problems, o.Sections = h.GetObservedAt(), h.GetProblems(), h.GetSections()
	return h, nil
}

// Head returns when and how completely ref's source last stated something.
func (t *Tx) Head(ref Ref) (*storagepb.HeadRecord, error) {
	return read[storagepb.HeadRecord](t, join(prefixHead, ref.Source, ref.ID))
}

// PutHead stores the head of an observation whose content stays as it is.
func (t *Tx) PutHead(ref Ref, h *storagepb.HeadRecord) error {
	return t.put(join(prefixHead, ref.Source, ref.ID), h)
}

// PutContent stores what o says, which has no software rows; when and how
// completely it was said is PutHead's.
func (t *Tx) PutContent(o *pb.Observation) error {
	return t.put(join(prefixObservation, o.GetSource(), o.GetSourceId()), &pb.Observation{Source: o.GetSource(), SourceId: o.GetSourceId(),
		Identifiers: o.GetIdentifiers(), Gone: o.GetGone(), Subject: o.GetSubject()})
}

// ScanHeads calls fn with the head of each observation of a source.
func (t *Tx) ScanHeads(source string, fn func(Ref, *storagepb.HeadRecord) error) error {
	return scan(t, string(within(prefixHead, source)), nil, func(k []byte, h *storagepb.HeadRecord) error {
		ref, err := refAt(k, prefixHead, 0)
		if err != nil {
			return err
		}
		return fn(ref, h)
	})
}

// DeleteObservation removes an observation with its head and its software.
func (t *Tx) DeleteObservation(ref Ref) error {
	return errors.Join(t.remove(join(prefixObservation, ref.Source, ref.ID)),
		t.remove(join(prefixHead, ref.Source, ref.ID)), t.DeleteSoftware(ref))
}

// ScanObservations calls fn with each observation.
func (t *Tx) ScanObservations(fn func(*pb.Observation) error) error {
	return scan(t, prefixObservation, nil, func(_ []byte, o *pb.Observation) error {
		if _, err := t.complete(o); err != nil {
			return err
		}
		return fn(o)
	})
}

// Member returns the record that ties an observation to its asset.
func (t *Tx) Member(ref Ref) (*storagepb.MemberRecord, error) {
	return read[storagepb.MemberRecord](t, join(prefixMember, ref.Source, ref.ID))
}

// PutMember ties an observation to an asset.
func (t *Tx) PutMember(ref Ref, m *storagepb.MemberRecord) error {
	return t.put(join(prefixMember, ref.Source, ref.ID), m)
}

// DeleteMember unties an observation from its asset.
func (t *Tx) DeleteMember(ref Ref) error {
	return t.remove(join(prefixMember, ref.Source, ref.ID))
}

// ScanMembers calls fn with each observation's member record.
func (t *Tx) ScanMembers(fn func(Ref, *storagepb.MemberRecord) error) error {
	return scan(t, prefixMember, nil, func(k []byte, m *storagepb.MemberRecord) error {
		ref, err := refAt(k, prefixMember, 0)
		if err != nil {
			return err
		}
		return fn(ref, m)
	})
}

// Asset returns the merged record with this very id; see ResolveAsset for ids
// that were redirected.
func (t *Tx) Asset(id string) (*pb.Asset, error) {
	return read[pb.Asset](t, join(prefixAsset, id))
}

// lookedAt is a merged record as it is held.
type lookedAt struct {
	id     string
	stored []byte
	asset  *pb.Asset
}

// LookAtAsset is Asset for who only looks: the record is shared with PutAsset and
// must not be modified.
func (t *Tx) LookAtAsset(id string) (*pb.Asset, error) {
	if t.looked != nil && t.looked.id == id {
		return t.looked.asset, nil
	}
	stored, err := t.value(join(prefixAsset, id))
	if err != nil {
		return nil, err
	}
	a := new(pb.Asset)
	if err := proto.Unmarshal(stored, a); err != nil {
		return nil, fmt.Errorf("asset %s is damaged, run `rollcall-collector rebuild` or restore a backup: %w", id, err)
	}
	t.looked = &lookedAt{id, stored, a}
	return a, nil
}

// PutAsset stores a merged record; see catalog.Date for the times in it. It
// returns the record before, nil where there was none, and whether it differs;
// one that does not is not written.
func (t *Tx) PutAsset(a *pb.Asset) (before *pb.Asset, changed bool, err error) {
	key := join(prefixAsset, a.GetId())
	var held []byte
	if t.looked != nil && t.looked.id == a.GetId() {
		held, before = t.looked.stored, t.looked.asset
	} else if held, err = t.value(key); ignoreNotFound(err) != nil {
		return nil, false, err
	}
	now, err := proto.MarshalOptions{Deterministic: true}.Marshal(a)
	if err != nil {
		return nil, false, fmt.Errorf("encode asset %s: %w", a.GetId(), err)
	}
	if held != nil && bytes.Equal(held, now) {
		return nil, false, nil
	}
	if held != nil && before == nil {
		before = new(pb.Asset)
		if err := proto.Unmarshal(held, before); err != nil {
			return nil, false, fmt.Errorf("asset %s is damaged, run `rollcall-collector rebuild` or restore a backup: %w", a.GetId(), err)
		}
	}
	t.looked = nil
	return before, true, t.setValue(key, now)
}

// DeleteAsset removes a merged record.
func (t *Tx) DeleteAsset(id string) error {
	t.looked = nil
	return t.remove(join(prefixAsset, id))
}

// ScanAssets calls fn with each asset whose id is greater than after, in the
// order of their ids.
func (t *Tx) ScanAssets(after string, fn func(*pb.Asset) error) error {
	var start []byte
	if after != "" {
		start = within(prefixAsset, after)
	}
	return scan(t, prefixAsset, start, func(_ []byte, a *pb.Asset) error { return fn(a) })
}

// Redirect returns the asset that a former asset became part of.
func (t *Tx) Redirect(id string) (string, error) {
	v, err := t.value(join(prefixRedirect, id))
	return string(v), err
}

// PutRedirect lets the former id answer with another asset.
func (t *Tx) PutRedirect(from, to string) error {
	return t.setValue(join(prefixRedirect, from), []byte(to))
}

// DeleteRedirect removes a redirect.
func (t *Tx) DeleteRedirect(id string) error { return t.remove(join(prefixRedirect, id)) }

// ScanRedirects calls fn with each redirect.
func (t *Tx) ScanRedirects(fn func(from, to string) error) error {
	return t.kv.Scan([]byte(prefixRedirect), nil, func(k, stored []byte) error {
		v, err := t.unpack(k, stored)
		if err != nil {
			return err
		}
		return fn(string(k[len(prefixRedirect):]), string(v))
	})
}

// maxRedirects bounds a chain of redirects.
const maxRedirects = 100

// ResolveAsset returns the asset with this id, or the one that it became.
func (t *Tx) ResolveAsset(id string) (*pb.Asset, error) {
	for range maxRedirects {
		a, err := t.Asset(id)
		if !errors.Is(err, ErrNotFound) {
			return a, err
		}
		if id, err = t.Redirect(id); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("asset %s: more than %d redirects: run `rollcall-collector rebuild`", id, maxRedirects)
}

// Source returns the declaration of a source.
func (t *Tx) Source(id string) (*storagepb.SourceRecord, error) {
	return read[storagepb.SourceRecord](t, join(prefixSource, id))
}

// PutSource declares a source.
func (t *Tx) PutSource(s *storagepb.SourceRecord) error {
	return t.put(join(prefixSource, s.GetId()), s)
}

// ScanSources calls fn with each declared source.
func (t *Tx) ScanSources(fn func(*storagepb.SourceRecord) error) error {
	return scan(t, prefixSource, nil, func(_ []byte, s *storagepb.SourceRecord) error { return fn(s) })
}

// LastSeen returns when the source last confirmed an observation, to the
// second.
func (t *Tx) LastSeen(ref Ref) (time.Time, error) {
	v, err := t.value(join(prefixLastSeen, ref.Source, ref.ID))
	if err != nil {
		return time.Time{}, err
	}
	if len(v) != 8 {
		return time.Time{}, fmt.Errorf("last-seen record of %s has %d bytes, want 8", ref, len(v))
	}
	return time.Unix(int64(binary.BigEndian.Uint64(v)), 0), nil
}

// PutLastSeen stores when the source last confirmed an observation.
func (t *Tx) PutLastSeen(ref Ref, at time.Time) error {
	return t.setValue(join(prefixLastSeen, ref.Source, ref.ID), binary.BigEndian.AppendUint64(nil, uint64(at.Unix())))
}

// DeleteLastSeen removes that note.
func (t *Tx) DeleteLastSeen(ref Ref) error {
	return t.remove(join(prefixLastSeen, ref.Source, ref.ID))
}

// ScanLastSeen calls fn with each stored note of when a source last confirmed
// an observation.
func (t *Tx) ScanLastSeen(fn func(Ref, time.Time) error) error {
	return t.kv.Scan([]byte(prefixLastSeen), nil, func(k, stored []byte) error {
		ref, err := refAt(k, prefixLastSeen, 0)
		if err != nil {
			return err
		}
		v, err := t.unpack(k, stored)
		if err != nil || len(v) != 8 {
			return errors.Join(err, fmt.Errorf("last-seen record of %s has %d bytes, want 8", ref, len(v)))
		}
		return fn(ref, time.Unix(int64(binary.BigEndian.Uint64(v)), 0))
	})
}
