package ingest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Bounds of a report. They are part of the agent protocol.
const (
	// MaxReport bounds what the sections of a report decode to, in all, and
	// MaxPayload what they travel as.
	MaxReport  = 16 << 20
	MaxPayload = 16 << 20

	maxSections = 64
	maxProblems = 1000
)

// newDecoder returns a decoder that is safe for use by many at once.
func newDecoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(MaxReport), zstd.WithDecoderMaxWindow(MaxReport),
		// What a section announced is all the room that it is given.
		zstd.WithDecodeAllCapLimit(true))
}

// checkHeader holds what a report announces to the bounds, before anything is
// read or allocated for it, and returns how long its payload and its sections
// are.
func checkHeader(h *pb.ReportHeader) (payload, decoded int64, err error) {
	if h == nil {
		return 0, 0, fmt.Errorf("%w: the first message has no header", errInvalid)
	}
	if len(h.GetSections()) > maxSections || len(h.GetProblems()) > maxProblems {
		return 0, 0, fmt.Errorf("%w: %d sections and %d problems, at most %d and %d", errInvalid, len(h.GetSections()), len(h.GetProblems()), maxSections, maxProblems)
	}
	if err := catalog.CheckMessage(h.ProtoReflect()); err != nil {
		return 0, 0, err
	}
	names := make(map[string]bool)
	for _, s := range h.GetSections() {
		if names[s.GetName()] {
			return 0, 0, fmt.Errorf("%w: section %q stands twice", errInvalid, s.GetName())
		}
		names[s.GetName()] = true
		if s.GetPayloadBytes() < 0 || s.GetDecodedBytes() < 0 || s.GetPayloadBytes() > MaxPayload || s.GetDecodedBytes() > MaxReport {
			return 0, 0, fmt.Errorf("%w: section %q announces %d bytes for %d, at most %d for %d", errInvalid, s.GetName(), s.GetPayloadBytes(), s.GetDecodedBytes(), MaxPayload, MaxReport)
		}
		payload += s.GetPayloadBytes()
		decoded += s.GetDecodedBytes()
		if err := checkState(s); err != nil {
			return 0, 0, err
		}
	}
	if payload > MaxPayload || decoded > MaxReport {
		return 0, 0, fmt.Errorf("%w: %d bytes for %d in all, at most %d for %d: report fewer rows and state the section as partial", errInvalid, payload, decoded, MaxPayload, MaxReport)
	}
	return payload, decoded, nil
}

// checkState checks the rest of a section's header; a section that is not known
// is a newer agent's matter.
func checkState(s *pb.SectionHeader) error {
	if !section.Known(s.GetName()) {
		return nil
	}
	switch s.GetState() {
	case section.Complete, section.Partial:
		if len(s.GetDigest()) != sha256.Size {
			return fmt.Errorf("%w: section %q has a digest of %d bytes, want %d", errInvalid, s.GetName(), len(s.GetDigest()), sha256.Size)
		}
		if s.GetDelta() && (s.GetName() != section.Software || s.GetState() != section.Complete || len(s.GetBaseDigest()) != sha256.Size) {
			return fmt.Errorf("%w: section %q cannot be a delta (only complete software can), or its base_digest is missing", errInvalid, s.GetName())
		}
	case section.Failed, section.Skipped:
		if s.GetPayloadBytes() != 0 {
			return fmt.Errorf("%w: section %q is %s and has a payload", errInvalid, s.GetName(), s.GetState())
		}
	default:
		return fmt.Errorf("%w: section %q has state %q", errInvalid, s.GetName(), s.GetState())
	}
	return nil
}

// received is one section of a report, decoded and checked.
type received struct {
	head *pb.SectionHeader
	// known is false for a section of a newer agent, which is passed over.
	known bool
	// taken is set where the section replaces what is held.
	taken bool
	// device holds the section's fields, for all sections but software.
	device *pb.Device
	// Rows of the software section: all of them in added, or a delta.
	removed, added []store.Row
}

// hasPayload tells whether the section says anything.
func (r received) hasPayload() bool {
	return r.known && (r.head.GetState() == section.Complete || r.head.GetState() == section.Partial)
}

// decode expands and checks the sections of a report whose header was checked.
func decode(dec *zstd.Decoder, st *store.Store, h *pb.ReportHeader, payload []byte) ([]received, error) {
	sections := make([]received, 0, len(h.GetSections()))
	for _, head := range h.GetSections() {
		part := payload[:head.GetPayloadBytes()]
		payload = payload[head.GetPayloadBytes():]
		r := received{head: head, known: section.Known(head.GetName())}
		if r.hasPayload() {
			encoded, err := expand(dec, head, part)
			if err != nil {
				return nil, err
			}
			if err := r.read(st, encoded); err != nil {
				return nil, fmt.Errorf("section %s: %w", head.GetName(), err)
			}
		}
		sections = append(sections, r)
	}
	return sections, nil
}

// expand decompresses one section, to exactly the length that it announced.
func expand(dec *zstd.Decoder, head *pb.SectionHeader, part []byte) ([]byte, error) {
	if head.GetDecodedBytes() == 0 && len(part) == 0 {
		return nil, nil
	}
	encoded, err := dec.DecodeAll(part, make([]byte, 0, head.GetDecodedBytes()))
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return nil, fmt.Errorf("%w: section %s: decompress: it has more than the %d bytes that were announced", errInvalid, head.GetName(), head.GetDecodedBytes())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: section %s: decompress: %w", errInvalid, head.GetName(), err)
	}
	if int64(len(encoded)) != head.GetDecodedBytes() {
		return nil, fmt.Errorf("%w: section %s has %d bytes, %d were announced", errInvalid, head.GetName(), len(encoded), head.GetDecodedBytes())
	}
	return encoded, nil
}

// read checks a section's digest and makes its content ready to be filed.
func (r *received) read(st *store.Store, encoded []byte) error {
	digest, err := r.digest(encoded)
	if err != nil {
		return fmt.Errorf("%w: %w", errInvalid, err)
	}
	if !bytes.Equal(digest, r.head.GetDigest()) {
		return fmt.Errorf("%w: what arrived has another digest than was announced: the report was changed on its way, or the agent is faulty", errInvalid)
	}
	if r.head.GetName() != section.Software {
		r.device = new(pb.Device)
		if err := proto.Unmarshal(encoded, r.device); err != nil {
			return fmt.Errorf("%w: %w", errInvalid, err)
		}
		r.device.Software = nil
		return catalog.CheckMessage(r.device.ProtoReflect())
	}
	field := section.FieldDeviceSoftware
	if r.head.GetDelta() {
		if r.removed, err = st.ParseRows(encoded, section.FieldDeltaRemoved); err != nil {
			return fmt.Errorf("%w: %w", errInvalid, err)
		}
		field = section.FieldDeltaAdded
	}
	if r.added, err = st.ParseRows(encoded, field); err != nil {
		return fmt.Errorf("%w: %w", errInvalid, err)
	}
	return nil
}

// digest computes what the section's digest must be; for a delta, from the
// digest that it claims to build on.
func (r *received) digest(encoded []byte) ([]byte, error) {
	if !r.head.GetDelta() {
		return section.Digest(r.head.GetName(), encoded)
	}
	sum := section.Sum(r.head.GetBaseDigest())
	err := section.EachRow(encoded, section.FieldDeltaRemoved, func(row []byte) error {
		sum.Sub(sha256.Sum256(row))
		return nil
	})
	if err == nil {
		err = section.EachRow(encoded, section.FieldDeltaAdded, func(row []byte) error {
			sum.Add(sha256.Sum256(row))
			return nil
		})
	}
	return sum[:], err
}
