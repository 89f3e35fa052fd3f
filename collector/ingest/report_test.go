package ingest_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestReportThenCheckInThenDelta(t *testing.T) {
	c := serve(t)
	d := c.enrolled()
	hw := section1(t, section.Hardware, &pb.Device{Name: "h", Hardware: &pb.Hardware{Serial: "SER-A1", Manufacturer: "Dell"}})
	sw := section1(t, section.Software, &pb.Device{Software: rows(1000, "1")})
	digests := []*pb.SectionDigest{{Name: section.Hardware, Digest: hw.head.Digest}, {Name: section.Software, Digest: sw.head.Digest}, {Name: "from_the_future", Digest: sw.head.Digest}}
	check := func(generation int64) *pb.CheckInResponse {
		t.Helper()
		r, err := d.dial().CheckIn(context.Background(), &pb.CheckInRequest{Sections: digests, Generation: generation})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := check(0); !slices.Equal(r.Wanted, []string{section.Hardware, section.Software}) {
		t.Errorf("wanted at first: %v", r.Wanted)
	}
	first, err := d.report(0, hw, sw)
	if err != nil || first.AssetId == "" || first.Generation == 0 {
		t.Fatalf("first report: %v %v", first, err)
	}
	if r := check(first.Generation); len(r.Wanted) != 0 || r.Generation != first.Generation || r.NextCheckIn.AsDuration() < time.Minute {
		t.Errorf("nothing changed, the answer is %v", r)
	}
	if r := check(first.Generation + 7); len(r.Wanted) != 2 {
		t.Errorf("another generation, wanted %v", r.Wanted)
	}
	change := delta(t, sw.head.Digest, rows(20, "1"), rows(20, "2"))
	second, err := d.report(first.Generation, change)
	if err != nil || second.Generation != first.Generation+1 || second.AssetId != first.AssetId {
		t.Fatalf("delta: %v %v", second, err)
	}
	o, have := d.held(d.id)
	upgraded := 0
	for _, r := range have {
		if strings.HasSuffix(r, " 2") {
			upgraded++
		}
	}
	if len(have) != 1000 || upgraded != 20 || o.GetDevice().GetHardware().GetSerial() != "SER-A1" || o.GetDevice().Labels["site"] != "A" {
		t.Errorf("%d rows, %d upgraded, %v", len(have), upgraded, o)
	}
	if n := c.metric("rollcall_ingest_reports_total", "accepted"); n != 2 {
		t.Errorf("%v reports counted", n)
	}
}

func TestAReportOnAnotherBaselineIsAskedForWhole(t *testing.T) {
	c := serve(t)
	d := c.enrolled()
	sw := section1(t, section.Software, &pb.Device{Software: rows(10, "1")})
	first, err := d.report(0, sw)
	if err != nil {
		t.Fatal(err)
	}
	for name, send := range map[string]func() (*pb.ReportResponse, error){
		"another generation": func() (*pb.ReportResponse, error) { return d.report(first.Generation+1, sw) },
		"another base digest": func() (*pb.ReportResponse, error) {
			return d.report(first.Generation, delta(t, make([]byte, 32), rows(1, "1"), nil))
		},
		"a delta of nothing": func() (*pb.ReportResponse, error) {
			return c.enrolled().report(0, delta(t, sw.head.Digest, rows(1, "1"), nil))
		},
	} {
		if r, err := send(); err != nil || !r.SendAll {
			t.Errorf("%s: %v %v, want send_all", name, r, err)
		}
	}
	if _, have := d.held(d.id); len(have) != 10 {
		t.Errorf("%d rows", len(have))
	}
	again, err := d.report(0, sw)
	if err != nil || again.Generation <= first.Generation {
		t.Errorf("a new baseline: %v %v", again, err)
	}
}

// A section that is not complete removes nothing.
func TestIncompleteSectionsRemoveNothing(t *testing.T) {
	c := serve(t)
	d := c.enrolled()
	first, err := d.report(0, section1(t, section.Software, &pb.Device{Software: rows(10, "1")}), section1(t, section.OS, &pb.Device{Os: &pb.Os{Family: "linux"}}))
	if err != nil {
		t.Fatal(err)
	}
	partial := section1(t, section.Software, &pb.Device{Software: rows(2, "1")})
	partial.head.State, partial.head.Reason = section.Partial, "rpm database is damaged"
	failed := part{head: &pb.SectionHeader{Name: section.OS, State: section.Failed, Reason: "no os-release"}}
	// Also as a new baseline: an agent that was restored cannot shrink its record.
	for _, generation := range []int64{first.Generation, 0} {
		if _, err := d.report(generation, partial, failed); err != nil {
			t.Fatal(err)
		}
		o, have := d.held(d.id)
		if len(have) != 10 || o.GetDevice().GetOs().GetFamily() != "linux" {
			t.Errorf("%d rows, os %v", len(have), o.GetDevice().GetOs())
		}
		states := make(map[string]string)
		for _, s := range o.Sections {
			states[s.Name] = s.State + ": " + s.Reason
		}
		if states[section.Software] != "partial: rpm database is damaged" || states[section.OS] != "failed: no os-release" {
			t.Errorf("states %v", states)
		}
	}
	// A delta cannot build on rows that were not taken.
	last, err := d.report(0, partial)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := d.report(last.Generation, delta(t, partial.head.Digest, rows(1, "1"), nil)); err != nil || !r.SendAll {
		t.Errorf("a delta on a partial section: %v %v, want send_all", r, err)
	}
	fresh := c.enrolled()
	if _, err := fresh.report(0, partial); err != nil {
		t.Fatal(err)
	}
	if _, have := fresh.held(fresh.id); len(have) != 2 {
		t.Errorf("the first word is partial: %d rows, want 2", len(have))
	}
}

func TestTheLargestReportIsTaken(t *testing.T) {
	d := serve(t).enrolled()
	all := rows(50_000, "1")
	if _, err := d.report(0, section1(t, section.Software, &pb.Device{Software: all})); err != nil {
		t.Fatal(err)
	}
	if _, have := d.held(d.id); len(have) != len(all) {
		t.Errorf("%d rows", len(have))
	}
}

func TestLongRowsAreTaken(t *testing.T) {
	d := serve(t).enrolled()
	all := rows(1000, "1")
	for _, r := range all {
		r.Publisher, r.Location = strings.Repeat("p", 4000), strings.Repeat("l", 4000)
	}
	if _, err := d.report(0, section1(t, section.Software, &pb.Device{Software: all})); err != nil {
		t.Fatal(err)
	}
	if _, have := d.held(d.id); len(have) != len(all) {
		t.Errorf("%d rows", len(have))
	}
}

func TestUnknownSectionsArePassedOver(t *testing.T) {
	c := serve(t)
	d := c.enrolled()
	newer := encoded(t, "firmware_of_2031", []byte("whatever"))
	if _, err := d.report(0, newer, section1(t, section.OS, &pb.Device{Os: &pb.Os{Family: "linux"}})); err != nil {
		t.Fatal(err)
	}
	if o, _ := d.held(d.id); o.GetDevice().GetOs().GetFamily() != "linux" {
		t.Errorf("held %v", o)
	}
	if n := c.metric("rollcall_ingest_sections_total", "unknown,unknown"); n != 1 {
		t.Errorf("%v unknown sections counted", n)
	}
}

func TestHostileReportsAreRefusedAndNothingIsLost(t *testing.T) {
	c := serve(t)
	d := c.enrolled()
	good := section1(t, section.Software, &pb.Device{Software: rows(10, "1")})
	first, err := d.report(0, good)
	if err != nil {
		t.Fatal(err)
	}
	change := func(p part, fn func(*pb.SectionHeader)) part {
		h := proto.CloneOf(p.head)
		fn(h)
		return part{head: h, payload: p.payload}
	}
	bomb := encoder.EncodeAll(make([]byte, 64<<20), nil)
	os := section1(t, section.OS, &pb.Device{Os: &pb.Os{Family: "linux"}})
	for name, tc := range map[string]struct {
		parts []part
		want  string
	}{
		"60,000 rows":        {[]part{section1(t, section.Software, &pb.Device{Software: rows(60_000, "1")})}, "more than 50000 rows"},
		"NUL":                {[]part{section1(t, section.OS, &pb.Device{Os: &pb.Os{Family: "li\x00nux"}})}, "NUL"},
		"NUL in a row":       {[]part{section1(t, section.Software, &pb.Device{Software: []*pb.Software{{Name: "a\x00"}}})}, "NUL"},
		"invalid UTF-8":      {[]part{encoded(t, section.OS, []byte{0xaa, 0x01, 0x03, 0x0a, 0x01, 0xff})}, "UTF-8"},
		"long text":          {[]part{section1(t, section.OS, &pb.Device{Os: &pb.Os{Family: strings.Repeat("x", 9000)}})}, "9000 bytes"},
		"truncated":          {[]part{change(os, func(h *pb.SectionHeader) { h.PayloadBytes += 10 })}, "cut short"},
		"more than said":     {[]part{change(os, func(h *pb.SectionHeader) { h.PayloadBytes-- })}, "more than"},
		"other digest":       {[]part{change(os, func(h *pb.SectionHeader) { h.Digest = make([]byte, 32) })}, "another digest"},
		"short digest":       {[]part{change(os, func(h *pb.SectionHeader) { h.Digest = nil })}, "digest of 0 bytes"},
		"longer than said":   {[]part{change(os, func(h *pb.SectionHeader) { h.DecodedBytes-- })}, "announced"},
		"negative length":    {[]part{change(os, func(h *pb.SectionHeader) { h.DecodedBytes = -1 })}, "announces"},
		"too large":          {[]part{change(os, func(h *pb.SectionHeader) { h.DecodedBytes = 1 << 40 })}, "at most"},
		"large in all":       {[]part{change(os, func(h *pb.SectionHeader) { h.DecodedBytes = 16 << 20 }), change(good, func(h *pb.SectionHeader) { h.DecodedBytes = 16 << 20 })}, "in all"},
		"bomb":               {[]part{{payload: bomb, head: &pb.SectionHeader{Name: section.OS, State: section.Complete, Digest: os.head.Digest, PayloadBytes: int64(len(bomb)), DecodedBytes: 100}}}, "decompress"},
		"not zstd":           {[]part{{payload: []byte("garbage"), head: &pb.SectionHeader{Name: section.OS, State: section.Complete, Digest: os.head.Digest, PayloadBytes: 7, DecodedBytes: 100}}}, "decompress"},
		"not a message":      {[]part{encoded(t, section.OS, []byte("\xff\xff\xff"))}, "section os"},
		"twice":              {[]part{os, os}, "stands twice"},
		"unheard-of state":   {[]part{change(os, func(h *pb.SectionHeader) { h.State = "fine" })}, `state "fine"`},
		"failed and payload": {[]part{change(os, func(h *pb.SectionHeader) { h.State = section.Failed })}, "has a payload"},
		"delta of the os":    {[]part{change(os, func(h *pb.SectionHeader) { h.Delta, h.BaseDigest = true, h.Digest })}, "cannot be a delta"},
	} {
		t.Run(name, func(t *testing.T) {
			before := c.metric("rollcall_ingest_rejected_total", "invalid")
			_, err := d.report(first.Generation, tc.parts...)
			if status.Code(err) != codes.InvalidArgument {
				t.Errorf("status %v, want InvalidArgument", status.Code(err))
			}
			wantError(t, err, tc.want)
			if after := c.metric("rollcall_ingest_rejected_total", "invalid"); after != before+1 {
				t.Errorf("%v refusals counted, want 1", after-before)
			}
		})
	}
	if _, have := d.held(d.id); len(have) != 10 {
		t.Errorf("%d rows, want the 10 of the good report", len(have))
	}
	if r, err := d.report(first.Generation, os); err != nil || r.SendAll {
		t.Errorf("a good report after all this: %v %v", r, err)
	}
}

func TestAStreamWithoutHeaderIsRefused(t *testing.T) {
	d := serve(t).enrolled()
	_, err := d.send(nil, []byte("x"))
	wantError(t, err, "no header")
}

func TestClockSkewIsStated(t *testing.T) {
	c := serve(t)
	d := c.enrolled()
	for _, at := range []*timestamppb.Timestamp{timestamppb.New(start.AddDate(9, 0, 0)), timestamppb.New(time.Unix(0, 0)), nil} {
		os := section1(t, section.OS, &pb.Device{Os: &pb.Os{Family: "linux"}})
		if _, err := d.send(&pb.ReportHeader{ObservedAt: at, Sections: []*pb.SectionHeader{os.head}}, os.payload); err != nil {
			t.Fatal(err)
		}
		o, _ := d.held(d.id)
		if !o.ObservedAt.AsTime().Equal(c.clock()) || len(o.Problems) != 1 || o.Problems[0].Fact != "clock" {
			t.Errorf("observed at %v, problems %v", o.ObservedAt.AsTime(), o.Problems)
		}
	}
}

func TestAFullDiskIsSaidAndNothingIsLost(t *testing.T) {
	c := serve(t)
	d := c.enrolled()
	first, err := d.report(0, section1(t, section.Software, &pb.Device{Software: rows(10, "1")}))
	if err != nil {
		t.Fatal(err)
	}
	c.engine.set(true)
	os := section1(t, section.OS, &pb.Device{Os: &pb.Os{Family: "linux"}})
	_, err = d.report(first.Generation, os)
	if status.Code(err) != codes.ResourceExhausted || len(status.Convert(err).Details()) != 1 {
		t.Errorf("error %v, want ResourceExhausted with the time to retry", err)
	}
	c.engine.set(false)
	if r, err := d.report(first.Generation, os); err != nil || r.SendAll {
		t.Errorf("once there is space: %v %v", r, err)
	}
}
