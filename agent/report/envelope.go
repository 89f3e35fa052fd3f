package report

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// maxChunk bounds the payload of one message, well below the limits that both
// ends set on a message.
const maxChunk = 256 << 10

// Envelope is a report ready for the wire. It can be sent any number of times,
// by any agent.
type Envelope struct {
	// Header is that of the report.
	Header *pb.ReportHeader
	// payload is that of the sections, in the header's order; the slices are
	// those of the inventory.
	payload [][]byte
}

// Full returns a report of all sections.
func (inv *Inventory) Full() *Envelope { return inv.Envelope(section.Names()) }

// Envelope returns a report of the named sections. Those without content are
// always in it, so that their state is known.
func (inv *Inventory) Envelope(names []string) *Envelope {
	e := &Envelope{Header: &pb.ReportHeader{ObservedAt: inv.observedAt, Problems: inv.problems}}
	for _, s := range inv.sections {
		if s.payload == nil || slices.Contains(names, s.header.GetName()) {
			e.add(s)
		}
	}
	return e
}

func (e *Envelope) add(s packed) {
	e.Header.Sections = append(e.Header.Sections, s.header)
	if len(s.payload) > 0 {
		e.payload = append(e.payload, s.payload)
	}
}

// For returns the envelope addressed: with the generation that it builds on
// and who sends it. The sections are shared with e.
func (e *Envelope) For(generation int64, version, bootID string) *Envelope {
	h := &pb.ReportHeader{
		BaseGeneration: generation, ObservedAt: e.Header.GetObservedAt(), AgentVersion: version, BootId: bootID,
		Problems: e.Header.GetProblems(), Sections: e.Header.GetSections(),
	}
	return &Envelope{Header: h, payload: e.payload}
}

// Size returns the bytes of all payloads.
func (e *Envelope) Size() int {
	n := 0
	for _, p := range e.payload {
		n += len(p)
	}
	return n
}

// messages calls send with each message of the report: the header with the
// first of the data, then the rest. Only payloads that share a message are
// copied.
func (e *Envelope) messages(send func(*pb.ReportRequest) error) error {
	msg := &pb.ReportRequest{Header: e.Header}
	room := max(maxChunk-proto.Size(e.Header), 0)
	for i, p := range e.payload {
		for len(p) > 0 {
			if room == 0 {
				if err := send(msg); err != nil {
					return err
				}
				msg, room = new(pb.ReportRequest), maxChunk
			}
			n := min(len(p), room)
			switch {
			case msg.Data != nil:
				msg.Data = append(msg.Data, p[:n]...)
			case i == len(e.payload)-1 || n == room:
				msg.Data = p[:n:n]
			default:
				msg.Data = append(make([]byte, 0, min(room, e.Size())), p[:n]...)
			}
			p, room = p[n:], room-n
		}
	}
	return send(msg)
}

// errNoDelta says that a delta is not possible or not worth it.
var errNoDelta = errors.New("no delta")

// delta returns the software section as its difference from an acknowledged
// one, or errNoDelta where sending it whole costs no more.
func (p *Packer) delta(from, to packed) (packed, error) {
	if from.payload == nil || to.payload == nil {
		return packed{}, errNoDelta
	}
	old, err := p.dec.DecodeAll(from.payload, nil)
	if err != nil {
		return packed{}, fmt.Errorf("unpack the acknowledged software: %w", err)
	}
	now, err := p.dec.DecodeAll(to.payload, nil)
	if err != nil {
		return packed{}, fmt.Errorf("unpack the software: %w", err)
	}
	encoded, err := diffRows(old, now)
	if err != nil {
		return packed{}, err
	}
	payload := p.enc.EncodeAll(encoded, nil)
	if len(payload) >= len(to.payload) {
		return packed{}, errNoDelta
	}
	h := proto.CloneOf(to.header)
	h.Delta, h.BaseDigest = true, from.header.GetDigest()
	h.PayloadBytes, h.DecodedBytes = int64(len(payload)), int64(len(encoded))
	return packed{header: h, payload: payload}, nil
}

// diffRows returns the encoded SoftwareDelta that leads from one encoded
// software section to another; rows may repeat.
func diffRows(from, to []byte) ([]byte, error) {
	count := map[string]int{}
	for sign, side := range map[int][]byte{-1: from, 1: to} {
		if err := section.EachRow(side, section.FieldDeviceSoftware, func(row []byte) error {
			count[string(row)] += sign
			return nil
		}); err != nil {
			return nil, fmt.Errorf("compare software: %w", err)
		}
	}
	rows := make([]string, 0, 64)
	for row, n := range count {
		if n != 0 {
			rows = append(rows, row)
		}
	}
	slices.Sort(rows)
	var out []byte
	for _, row := range rows {
		field, n := section.FieldDeltaAdded, count[row]
		if n < 0 {
			field, n = section.FieldDeltaRemoved, -n
		}
		for range n {
			out = protowire.AppendTag(out, field, protowire.BytesType)
			out = protowire.AppendString(out, row)
		}
	}
	return out, nil
}

// replacing returns the envelope with one section in another form.
func (e *Envelope) replacing(inv *Inventory, by packed) *Envelope {
	out := &Envelope{Header: &pb.ReportHeader{ObservedAt: inv.observedAt, Problems: inv.problems}}
	for _, h := range e.Header.GetSections() {
		if h.GetName() == by.header.GetName() {
			out.add(by)
		} else {
			out.add(inv.section(h.GetName()))
		}
	}
	return out
}
