package catalog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/peripheral"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Parts is the source of what machines list that has a record of its own: a
// display, a dock. There is one record for each machine and thing, kept from the
// first time that the machine listed it until the machine's own is withdrawn.
const Parts = "parts"

// maxHeldParts bounds how many things a machine lists or has listed.
const maxHeldParts = 2 * peripheral.Max

func partRef(id string) store.Ref { return store.Ref{Source: Parts, ID: id} }

// partID names the record of a thing that a machine lists.
func partID(host store.Ref, t peripheral.Thing) string {
	sum := sha256.Sum256([]byte(host.Source + "\x00" + host.ID + "\x00" + t.Key()))
	return hex.EncodeToString(sum[:16])
}

// listing is an observation whose list of things is filed.
type listing struct {
	// before is the head of what was held, nil for none; head that of what is held
	// now.
	before, head *storagepb.HeadRecord
	said         *Statement
	// now is what is held now, nil where it says what was held before.
	now *pb.Observation
}

// fileParts brings the records of what a machine lists up to date. What they say
// is a function of the statements of the machine and not of their order: when it
// first and last listed each thing, and whether its latest statement does.
func (f *filing) fileParts(l listing) error {
	if f.ref.Source == Operator {
		return nil // an operator's word is of the asset, and no machine
	}
	h := heldParts{f: f, list: l.head.GetParts(), at: l.head.GetObservedAt().AsTime(), done: make(map[string]bool)}
	var err error
	switch {
	case l.said.Late != nil:
		err = h.late(l.said)
	case !l.said.SameContent:
		err = h.replace(peripheral.Of(l.now.GetDevice()), f.lastListed(l.before))
	}
	if err == nil && len(h.list) > 0 {
		err = h.remergeShared()
	}
	if err != nil {
		return fmt.Errorf("what is attached to %s: %w", f.ref, err)
	}
	if !h.changed {
		return nil
	}
	l.head.Parts = h.list
	following := followingOf(f.ref, l.head)
	following.sequence = f.catalog.sequence.Add(1)
	f.follows = append(f.follows, following)
	return f.tx.PutHead(f.ref, l.head)
}

// lastListed is when a machine last confirmed what it listed before.
func (f *filing) lastListed(before *storagepb.HeadRecord) time.Time {
	last := before.GetObservedAt().AsTime()
	if at, ok := f.catalog.LastSeen(f.ref); ok && at.After(last) {
		return at
	}
	return last
}

// heldParts are the things that a machine lists or listed, while a statement of
// some time changes them.
type heldParts struct {
	f       *filing
	list    []*storagepb.HeldPart
	at      time.Time
	changed bool
	// done are the records whose assets were made anew.
	done map[string]bool
}

// replace makes things all that the machine lists; what it lists no longer was
// listed until a time.
func (h *heldParts) replace(things []peripheral.Thing, until time.Time) error {
	listed := make(map[string]bool, len(things))
	for _, t := range things {
		id := partID(h.f.ref, t)
		listed[id] = true
		held := h.find(id)
		digest, err := digestOf(t)
		if err != nil {
			return err
		}
		if held != nil && held.GetListed() && bytes.Equal(held.GetDigest(), digest) {
			continue
		}
		if err := h.put(held, &storagepb.HeldPart{Id: id, Listed: true, Digest: digest}, t, nil); err != nil {
			return err
		}
	}
	for _, held := range slices.Clone(h.list) {
		if !held.GetListed() || listed[held.GetId()] {
			continue
		}
		if err := h.unlist(held, until); err != nil {
			return err
		}
	}
	return nil
}

// late takes in what the machine listed at a time before its latest statement.
func (h *heldParts) late(s *Statement) error {
	o, err := h.f.catalog.screen(s.Late)
	if err != nil {
		return err
	}
	h.at = s.Also
	for _, t := range peripheral.Of(o.GetDevice()) {
		id := partID(h.f.ref, t)
		digest, err := digestOf(t)
		if err != nil {
			return err
		}
		held := h.find(id)
		if held.GetListed() {
			err = h.begin(id)
		} else {
			err = h.put(held, &storagepb.HeldPart{Id: id, Digest: digest}, t, timestamppb.New(h.at))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// put files the record of a thing; last is when it was listed last, nil for one
// that is listed now. Of two listings the later says what the thing is.
func (h *heldParts) put(held, now *storagepb.HeldPart, t peripheral.Thing, last *timestamppb.Timestamp) error {
	if held == nil && len(h.list) >= maxHeldParts {
		h.f.catalog.log.Warn("a machine has listed more peripherals than have a record", "source", h.f.ref.Source, "source_id", h.f.ref.ID, "limit", maxHeldParts)
		return nil
	}
	ref := partRef(now.GetId())
	p := part{ref: ref, head: &storagepb.HeadRecord{FirstObserved: timestamppb.New(h.at),
		ListedBy: &storagepb.ListedBy{Source: []byte(h.f.ref.Source), SourceId: []byte(h.f.ref.ID), Listed: last == nil, Last: last}}}
	var before part
	if held != nil {
		var err error
		if before, err = h.f.load(ref); err != nil {
			return err
		}
		p.member = before.member
		if first := before.head.GetFirstObserved(); first.AsTime().Before(h.at) {
			p.head.FirstObserved = first
		}
		if was := before.head.GetListedBy().GetLast(); last != nil && (was.AsTime().After(h.at) || was.AsTime().Equal(h.at) && bytes.Compare(held.GetDigest(), now.GetDigest()) > 0) {
			p.head.ListedBy.Last = was
			t, now.Digest = peripheral.Thing{Identifier: before.o.GetIdentifiers()[0], Device: before.o.GetDevice()}, held.GetDigest()
		}
	}
	p.head.ObservedAt, p.head.LastObserved = p.head.FirstObserved, p.head.FirstObserved
	p.o = &pb.Observation{Source: Parts, SourceId: ref.ID, ObservedAt: p.head.FirstObserved,
		Identifiers: []*pb.Identifier{t.Identifier}, Subject: &pb.Observation_Device{Device: t.Device}}
	if err := errors.Join(h.f.declareParts(), h.f.tx.PutHead(ref, p.head), h.f.tx.PutContent(p.o)); err != nil {
		return err
	}
	h.note(held, now)
	h.done[ref.ID] = true
	g := h.f.beside(ref)
	return h.f.take(g, g.place(before.o, before.head, p))
}

// begin notes that a thing which is listed was so earlier than was known.
func (h *heldParts) begin(id string) error {
	p, err := h.f.load(partRef(id))
	if err != nil || !h.at.Before(p.first()) {
		return err
	}
	p.head.FirstObserved = timestamppb.New(h.at)
	p.head.ObservedAt, p.head.LastObserved = p.head.FirstObserved, p.head.FirstObserved
	return errors.Join(h.f.tx.PutHead(p.ref, p.head), h.remerge(id))
}

// unlist notes that the machine lists a thing no longer.
func (h *heldParts) unlist(held *storagepb.HeldPart, until time.Time) error {
	ref := partRef(held.GetId())
	head, err := h.f.tx.Head(ref)
	if err != nil {
		return fmt.Errorf("record %s: %w", ref, err)
	}
	head.ListedBy.Listed, head.ListedBy.Last = false, timestamppb.New(until)
	if err := h.f.tx.PutHead(ref, head); err != nil {
		return err
	}
	h.note(held, &storagepb.HeldPart{Id: held.GetId(), Digest: held.GetDigest()})
	return h.remerge(held.GetId())
}

func (h *heldParts) find(id string) *storagepb.HeldPart {
	i := slices.IndexFunc(h.list, func(p *storagepb.HeldPart) bool { return p.GetId() == id })
	if i < 0 {
		return nil
	}
	return h.list[i]
}

// note puts a thing into the list, in place of what stood there. The list is that
// of a record that was read, and is not modified.
func (h *heldParts) note(held, now *storagepb.HeldPart) {
	h.list = slices.DeleteFunc(slices.Clone(h.list), func(p *storagepb.HeldPart) bool { return p == held })
	at, _ := slices.BinarySearchFunc(h.list, now, func(a, b *storagepb.HeldPart) int { return bytes.Compare([]byte(a.GetId()), []byte(b.GetId())) })
	h.list = slices.Insert(h.list, at, now)
	h.changed = true
}

// remerge makes the asset of a thing anew.
func (h *heldParts) remerge(id string) error {
	h.done[id] = true
	member, err := h.f.tx.Member(partRef(id))
	if err != nil {
		return fmt.Errorf("record %s: %w", partRef(id), err)
	}
	return h.f.remerge(member.GetAssetId())
}

// remergeShared makes those things anew that other machines list as well: which of
// them has a thing depends on when each reported.
func (h *heldParts) remergeShared() error {
	for _, held := range h.list {
		if h.done[held.GetId()] || !held.GetListed() {
			continue
		}
		member, err := h.f.tx.Member(partRef(held.GetId()))
		if err != nil {
			return fmt.Errorf("record %s: %w", partRef(held.GetId()), err)
		}
		if !member.GetShared() {
			continue
		}
		if err := h.f.remerge(member.GetAssetId()); err != nil {
			return err
		}
	}
	return nil
}

func digestOf(t peripheral.Thing) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(t.Device)
	if err != nil {
		return nil, fmt.Errorf("encode a peripheral: %w", err)
	}
	sum := sha256.Sum256(b)
	return sum[:8], nil
}
