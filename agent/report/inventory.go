package report

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Bounds of what a report states beside its sections; more is cut, saying so.
const (
	maxProblems    = 256
	maxReasonBytes = 512
)

// Bounds of the sections, decoded: together they stay within the 16 MiB and
// 50,000 software rows that the collector takes.
const (
	maxSoftwareBytes = 12 << 20
	maxSectionBytes  = 512 << 10
	maxSoftwareRows  = 50_000
)

// Packer compresses sections. One is enough for any number of agents of a
// process, and may be used by several goroutines at once.
type Packer struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

// NewPacker makes a packer with small buffers that compresses for at most
// concurrency goroutines at once.
func NewPacker(concurrency int) (*Packer, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(concurrency), zstd.WithLowerEncoderMem(true),
		zstd.WithWindowSize(1<<20), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("make a zstd encoder: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(concurrency), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxSoftwareBytes))
	if err != nil {
		return nil, fmt.Errorf("make a zstd decoder: %w", err)
	}
	return &Packer{enc: enc, dec: dec}, nil
}

// packed is one section, ready to be sent any number of times.
type packed struct {
	header *pb.SectionHeader
	// payload is compressed; nil in a section that failed or was skipped.
	payload []byte
}

// Inventory is an observation made ready to be sent: each section encoded,
// digested and compressed once. It is not changed after it was packed, and may
// be sent by any number of agents.
type Inventory struct {
	observedAt *timestamppb.Timestamp
	sections   []packed
	problems   []*pb.Problem
	// problemsSum tells whether the list changed; durations do not count.
	problemsSum []byte
}

// Pack makes an observation ready. A section that the observation does not
// list is complete. One that cannot be encoded, or is too large to be taken, is
// reported as failed, so that the others arrive.
func (p *Packer) Pack(o *pb.Observation) (*Inventory, error) {
	inv := &Inventory{observedAt: o.GetObservedAt(), problems: bounded(o.GetProblems())}
	states := map[string]*pb.SectionStatus{}
	for _, s := range o.GetSections() {
		states[s.GetName()] = s
	}
	for _, name := range section.Names() {
		one, err := p.pack(o.GetDevice(), name, states[name])
		if err != nil {
			return nil, err
		}
		inv.sections = append(inv.sections, one)
	}
	sum := sha256.New()
	for _, pr := range inv.problems {
		fmt.Fprintf(sum, "%q%q%q", pr.GetSection(), pr.GetFact(), pr.GetError())
	}
	inv.problemsSum = sum.Sum(nil)
	return inv, nil
}

func (p *Packer) pack(d *pb.Device, name string, st *pb.SectionStatus) (packed, error) {
	h := &pb.SectionHeader{Name: name, State: section.Complete, Reason: clip(st.GetReason())}
	if st != nil {
		h.State = st.GetState()
	}
	if h.State != section.Complete && h.State != section.Partial {
		return packed{header: h}, nil
	}
	limit := maxSectionBytes
	if name == section.Software {
		limit = maxSoftwareBytes
		if n := len(d.GetSoftware()); n > maxSoftwareRows {
			d = &pb.Device{Software: d.GetSoftware()[:maxSoftwareRows]}
			h.State, h.Reason = section.Partial, fmt.Sprintf("%d rows, of which a report takes %d", n, maxSoftwareRows)
		}
	}
	encoded, err := section.Encode(d, name)
	if err == nil && len(encoded) > limit {
		err = fmt.Errorf("%d bytes are more than the section may have (%d)", len(encoded), limit)
	}
	if err != nil {
		h.State, h.Reason = section.Failed, clip(err.Error())
		return packed{header: h}, nil
	}
	if h.Digest, err = section.Digest(name, encoded); err != nil {
		return packed{}, fmt.Errorf("pack the inventory: %w", err)
	}
	payload := p.enc.EncodeAll(encoded, make([]byte, 0, len(encoded)/4+64))
	payload = bytes.Clone(payload)
	h.PayloadBytes, h.DecodedBytes = int64(len(payload)), int64(len(encoded))
	return packed{header: h, payload: payload}, nil
}

// Digests are those of the sections that have content, as a check-in states
// them.
func (inv *Inventory) Digests() []*pb.SectionDigest {
	var out []*pb.SectionDigest
	for _, s := range inv.sections {
		if s.payload != nil {
			out = append(out, &pb.SectionDigest{Name: s.header.GetName(), Digest: s.header.GetDigest()})
		}
	}
	return out
}

// section returns one section of the inventory.
func (inv *Inventory) section(name string) packed {
	for _, s := range inv.sections {
		if s.header.GetName() == name {
			return s
		}
	}
	return packed{header: &pb.SectionHeader{Name: name}}
}

// bounded returns the problems within the bounds of a report, in valid UTF-8.
func bounded(all []*pb.Problem) []*pb.Problem {
	out := make([]*pb.Problem, 0, min(len(all), maxProblems))
	for i, pr := range all {
		if i == maxProblems-1 && len(all) > maxProblems {
			return append(out, &pb.Problem{Error: fmt.Sprintf("%d more problems are not listed", len(all)-i)})
		}
		pr = proto.CloneOf(pr)
		pr.Section, pr.Fact, pr.Error = clip(pr.GetSection()), clip(pr.GetFact()), clip(pr.GetError())
		out = append(out, pr)
	}
	return out
}

// clip makes a text of the machine fit for a report: short, valid UTF-8, and
// without the control characters that the collector refuses.
func clip(s string) string {
	if len(s) > maxReasonBytes {
		s = s[:maxReasonBytes-3] + "..."
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
