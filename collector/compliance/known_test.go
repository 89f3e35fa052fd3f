package compliance

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/policy/eol"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// builtin judges by the rules that come along.
func builtin(t *testing.T) *fixture {
	t.Helper()
	f := setup(t)
	files, err := policy.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	pack, problems := policy.Build(f.e.Env, files...)
	if len(problems) > 0 {
		t.Fatal(problems[0])
	}
	o := f.e.Options
	if o.Support, err = eol.Builtin(); err != nil {
		t.Fatal(err)
	}
	o.Pack, o.Files = pack, files
	f.e = New(o)
	f.c.OnChange(f.e.Changed)
	return f
}

func (f *fixture) device(d *pb.Device) {
	f.t.Helper()
	f.accept(d)
	f.settle()
}

// accept files what an agent says of the one device.
func (f *fixture) accept(d *pb.Device) {
	f.t.Helper()
	d.Hardware = &pb.Hardware{Manufacturer: "Dell", Serial: "SER-1"}
	_, err := f.c.Accept(context.Background(), &pb.Observation{Source: "agent", SourceId: "1", ObservedAt: timestamppb.New(f.clock()), Subject: &pb.Observation_Device{Device: d}})
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) detail(rule string) string {
	for _, x := range f.find(Query{Rule: rule}) {
		return fmt.Sprint(x.GetDetail())
	}
	return ""
}

func (f *fixture) result(rule string) (out policy.Result) {
	for _, c := range f.e.Counts() {
		for r, ages := range c.Results {
			if c.Rule.ID == rule && ages.Sum() > 0 {
				out = r
			}
		}
	}
	return out
}

// Software at its end is found by the makers' names, and follows what is installed.
func TestSoftwareAtItsEnd(t *testing.T) {
	f := builtin(t)
	f.device(&pb.Device{Os: &pb.Os{Family: "macos", Name: "macOS", Version: "14.0"}})
	if got := f.result("software-eol"); got != policy.Unknown {
		t.Errorf("without a list of software: %s", got)
	}
	if got := f.result("os-behind"); got != policy.Fail {
		t.Errorf("macOS 14.0 is %s", got)
	}
	f.now = f.now.Add(time.Hour)
	old := []*pb.Software{{Kind: "msi", Name: "Python 3.8.10 (64-bit)", Version: "3.8.10150.0"}, {Kind: "msi", Name: "Python 3.8.10 Core Interpreter (64-bit)", Version: "3.8.10150.0"},
		{Kind: "deb", Name: "python3.8", Version: "3.8.10"}, {Kind: "msi", Name: "7-Zip", Version: "9"}}
	f.device(&pb.Device{Software: old})
	if got := f.detail("software-eol"); got != "[Python 3.8.10 (64-bit) (python 3.8 ended on 2024-10-07)]" && got != "[Python 3.8.10 Core Interpreter (64-bit) (python 3.8 ended on 2024-10-07)]" {
		t.Errorf("found %s", got)
	}
	f.now = f.now.Add(time.Hour)
	f.device(&pb.Device{Software: []*pb.Software{{Kind: "msi", Name: "Python 3.14.1 (64-bit)", Version: "3.14.1"}}})
	if got := f.result("software-eol"); got != policy.Pass {
		t.Errorf("with a Python of today: %s", got)
	}
	// What the rules know nothing of does not have the asset judged again; what they
	// know of does, also after such changes.
	judgedAt := func() time.Time {
		for _, j := range f.e.judged {
			return j.at
		}
		return time.Time{}
	}
	rows := []*pb.Software{{Kind: "msi", Name: "Python 3.14.1 (64-bit)", Version: "3.14.1"}, {Kind: "msi", Name: "Tool", Version: "0"}}
	f.device(&pb.Device{Software: rows})
	before := judgedAt()
	for i := range 3 * 8 {
		f.now = f.now.Add(time.Second)
		rows[1] = &pb.Software{Kind: "msi", Name: "Tool", Version: fmt.Sprint(i + 1)}
		f.device(&pb.Device{Software: rows})
	}
	if got := judgedAt(); !got.Equal(before) {
		t.Errorf("judged %v later again for software that no rule knows", got.Sub(before))
	}
	f.device(&pb.Device{Software: []*pb.Software{rows[0], old[0]}})
	if got := f.detail("software-eol"); got != "[Python 3.8.10 (64-bit) (python 3.8 ended on 2024-10-07)]" {
		t.Errorf("with Python 3.8 again: %s", got)
	}
	f.now = f.now.Add(time.Hour)
	f.device(&pb.Device{Software: rows})
	if got := f.result("software-eol"); got != policy.Pass {
		t.Errorf("without it: %s", got)
	}
}

// A volume that fills up by some each day is told of before it is full; one day
// with a clean-up is no trend.
func TestAVolumeFillsUp(t *testing.T) {
	f := builtin(t)
	free := int64(100 << 30)
	for day := range 12 {
		f.device(&pb.Device{Storage: &pb.Storage{SystemSizeBytes: proto.Int64(200 << 30), SystemFreeBytes: proto.Int64(free)}})
		if got := f.result("volume-filling"); day < trendDays && got != policy.Unknown {
			t.Errorf("after %d days it is %s", day, got)
		}
		f.now, free = f.now.Add(24*time.Hour), free-4<<30
	}
	// 56 GiB are left of which 4 go each day: two weeks.
	if got := f.detail("volume-filling"); got != "[full on 2026-12-15]" {
		t.Errorf("told %q", got)
	}
	free = 150 << 30
	for range 10 {
		f.device(&pb.Device{Storage: &pb.Storage{SystemSizeBytes: proto.Int64(200 << 30), SystemFreeBytes: proto.Int64(free)}})
		f.now, free = f.now.Add(24*time.Hour), free+1<<20
	}
	if got := f.result("volume-filling"); got != policy.Pass {
		t.Errorf("after the clean-up it is %s", got)
	}
	var kept int
	err := f.st.View(t.Context(), func(tx *store.Tx) error {
		return tx.ScanAssets("", func(a *pb.Asset) error {
			v, err := tx.Volume(a.GetId())
			kept = len(v.GetDays())
			return err
		})
	})
	if err != nil || kept < 20 || kept > volumeDays {
		t.Errorf("%d days are kept, %v", kept, err)
	}
}

func TestTrends(t *testing.T) {
	record := func(values ...int64) *storagepb.VolumeRecord {
		r := new(storagepb.VolumeRecord)
		for i, v := range values {
			if v >= 0 {
				r.Days, r.FreeBytes = append(r.Days, int32(20_000+i)), append(r.FreeBytes, v)
			}
		}
		return r
	}
	for name, tc := range map[string]struct {
		r    *storagepb.VolumeRecord
		want time.Time
	}{
		"nothing":        {nil, time.Time{}},
		"too few days":   {record(9, 8, 7, 6, 5, 4), time.Time{}},
		"too few values": {record(9, -1, -1, -1, -1, -1, -1, -1, 1), time.Time{}},
		"steady":         {record(9, 9, 9, 9, 9, 9, 9, 9), expr.Never},
		"grows":          {record(1, 2, 3, 4, 5, 6, 7, 8), expr.Never},
		"shrinks":        {record(90, 80, 70, 60, 50, 40, 30, 20), time.Unix(20_009*86_400, 0).UTC()},
		"shrinks slowly": {record(1e15, 1e15-1, 1e15-2, 1e15-3, 1e15-4, 1e15-5, 1e15-6, 1e15-7), expr.Never},
	} {
		if got := fullAt(tc.r); got.Sub(tc.want).Abs() > time.Second {
			t.Errorf("%s: full at %v, want %v", name, got, tc.want)
		}
	}
}

// The clock of a device is judged by what the agent said last.
func TestAClockThatIsWrong(t *testing.T) {
	f := builtin(t)
	ahead := int64(900)
	id, err := f.c.Apply(t.Context(), store.Ref{Source: "agent", ID: "1"}, func(*catalog.Held) (*catalog.Statement, error) {
		return &catalog.Statement{Baseline: &storagepb.BaselineRecord{Generation: 1, ClockAheadSeconds: &ahead},
			Observation: &pb.Observation{Source: "agent", SourceId: "1", ObservedAt: timestamppb.New(f.clock()), Subject: &pb.Observation_Device{Device: &pb.Device{Hardware: &pb.Hardware{Manufacturer: "Dell", Serial: "SER-1"}}}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	f.settle()
	if got := f.detail("clock-skew"); got != "[900s]" {
		t.Errorf("asset %s: told %q", id, got)
	}
}
