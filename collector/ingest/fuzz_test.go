package ingest

import (
	"crypto/sha256"
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/pkg/section"
	"github.com/rollcall-itam/rollcall/pkg/synth"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Whatever a report is, it is taken as what it says or refused as invalid.
func FuzzEnvelope(f *testing.F) {
	enc := newEncoder(f)
	add := func(w wire) {
		h, err := proto.Marshal(w.header)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(h, w.payload)
	}
	fleet := synth.New(1, 50, 20)
	d := fleet.Device(0)
	add(whole(f, enc, d))
	delta, _ := change(f, enc, make([]byte, sha256.Size), d.GetSoftware(), synth.Upgrade(d.GetSoftware(), 3, 1))
	add(delta)
	add(wire{header: &pb.ReportHeader{Sections: []*pb.SectionHeader{{Name: section.OS, State: section.Failed, Reason: "x"}, {Name: "newer", State: "odd", PayloadBytes: 3}}}, payload: []byte("abc")})
	bomb := wire{header: new(pb.ReportHeader)}
	bomb.add(f, enc, &pb.SectionHeader{Name: section.OS, Digest: make([]byte, sha256.Size)}, make([]byte, 1<<20))
	bomb.header.Sections[0].DecodedBytes = 10
	add(bomb)
	s := service(f)
	f.Fuzz(func(t *testing.T, header, payload []byte) {
		h := new(pb.ReportHeader)
		if proto.Unmarshal(header, h) != nil {
			return // gRPC refuses it
		}
		size, decoded, err := checkHeader(h)
		if err == nil && size != int64(len(payload)) {
			return // the inbox refuses it
		}
		var sections []received
		if err == nil {
			if decoded > MaxReport || size > MaxPayload {
				t.Fatalf("%d bytes for %d pass the bounds", size, decoded)
			}
			sections, err = decode(s.decoder, s.store, h, payload)
		}
		if err != nil {
			if !errors.Is(err, errInvalid) && !errors.Is(err, catalog.ErrInvalid) {
				t.Fatalf("error %v does not blame the report", err)
			}
			return
		}
		if len(sections) != len(h.GetSections()) {
			t.Fatalf("%d sections of %d", len(sections), len(h.GetSections()))
		}
		for _, r := range sections {
			if r.hasPayload() && r.head.GetName() != section.Software && r.device == nil {
				t.Fatalf("section %s is taken without content", r.head.GetName())
			}
		}
	})
}
