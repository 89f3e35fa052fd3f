package catalog_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/kv/badgerkv"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/pkg/section"
	"github.com/rollcall-itam/rollcall/pkg/synth"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// BenchmarkDurable measures filing on a Badger store that already holds as many
// devices as SCALE_DEVICES says, numbers in rising order with commas between.
// The store is filled with devices that state all facts but no software. Each
// size is measured for a changed field, for an agent's change of 20 of 1,000
// titles, and for a new device with 1,000 titles; -benchtime 20000x or more makes
// each long enough for compactions to count. SCALE_WRITERS file at once.
func BenchmarkDurable(b *testing.B) {
	d := openDurable(b)
	for _, size := range sizes(b) {
		d.fill(b, size)
		b.Run(fmt.Sprintf("devices=%d/changed", size), d.changed)
		b.Run(fmt.Sprintf("devices=%d/delta20", size), d.delta)
		b.Run(fmt.Sprintf("devices=%d/first1000", size), d.first)
	}
}

// sizes are those that are asked for, small ones unless any are.
func sizes(b *testing.B) []int {
	b.Helper()
	var out []int
	for s := range strings.SplitSeq(setting("SCALE_DEVICES", "2000,10000"), ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < durableTitled || (len(out) > 0 && n <= out[len(out)-1]) {
			b.Fatalf("SCALE_DEVICES: %q: want rising numbers from %d on", s, durableTitled)
		}
		out = append(out, n)
	}
	return out
}

func setting(name, usual string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return usual
}

const (
	// durableTitled is how many of the devices have 1,000 titles, so that their
	// changes can be measured.
	durableTitled = 500
	// durableVocabulary is how many titles there are in all.
	durableVocabulary = 20_000
)

// durable is a catalog over Badger and what was filed in it.
type durable struct {
	dir     string
	db      *badgerkv.DB
	f       *fixture
	fleet   *synth.Fleet
	images  [][]*pb.Software
	writers int
	// devices is how many the store was filled to, fresh how many were added to be
	// measured, and rounds how often the titles of each titled device changed.
	devices, fresh int
	rounds         [durableTitled]atomic.Int64
	titled         [durableTitled][]*pb.Software
	clock          atomic.Int64
}

func openDurable(b *testing.B) *durable {
	b.Helper()
	writers, err := strconv.Atoi(setting("SCALE_WRITERS", "64"))
	if err != nil || writers < 1 {
		b.Fatalf("SCALE_WRITERS: want a number, got %q", os.Getenv("SCALE_WRITERS"))
	}
	d := &durable{dir: b.TempDir(), fleet: synth.New(1, durableVocabulary, 1000), writers: writers}
	if d.db, err = badgerkv.Open(context.Background(), badgerkv.Options{Dir: d.dir}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := d.db.Close(); err != nil {
			b.Error(err)
		}
	})
	st, err := store.Open(context.Background(), d.db)
	if err != nil {
		b.Fatal(err)
	}
	c := catalog.New(st, d.now, slog.New(slog.DiscardHandler))
	if err := c.DeclareSource(context.Background(), &storagepb.SourceRecord{Id: "agent", Kind: "agent"}); err != nil {
		b.Fatal(err)
	}
	d.f = &fixture{db: d.db, st: st, c: c}
	for i := range 40 {
		d.images = append(d.images, d.fleet.Device(i).Software)
	}
	for i := range durableTitled {
		d.titled[i] = d.software(i)
	}
	return d
}

// now is a clock that moves on by a microsecond whenever it is read.
func (d *durable) now() time.Time {
	return epoch.AddDate(1, 0, 0).Add(time.Duration(d.clock.Add(1)) * time.Microsecond)
}

// software is 1,000 titles: an image's, of which one in twenty is another's.
func (d *durable) software(i int) []*pb.Software {
	r := rand.New(rand.NewPCG(uint64(i), 7))
	rows := slices.Clone(d.images[i%len(d.images)])
	for range len(rows) / 20 {
		other := d.images[r.IntN(len(d.images))]
		rows[r.IntN(len(rows))] = other[r.IntN(len(other))]
	}
	return rows
}

// device is one of the fleet as it says itself at a time, without software.
func (d *durable) device(i int, at time.Time) *pb.Observation {
	dev := d.fleet.Hardware(i)
	return &pb.Observation{Source: "agent", SourceId: fmt.Sprintf("agent-%07d", i), ObservedAt: timestamppb.New(at), Subject: &pb.Observation_Device{Device: dev}}
}

// fill adds devices until there are as many as size; the first have software.
func (d *durable) fill(b *testing.B, size int) {
	b.Helper()
	from := d.devices
	d.each(b, size-from, func(n int) error {
		i := from + n
		o := d.device(i, epoch)
		if i < durableTitled {
			o.GetDevice().Software = d.titled[i]
		}
		_, err := d.f.c.Accept(context.Background(), o)
		return err
	})
	d.devices = size
}

// each calls fn with 0 to n-1, from as many goroutines as there are writers.
func (d *durable) each(b *testing.B, n int, fn func(int) error) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range d.writers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := fn(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// measured is each with what it cost for each call.
func (d *durable) measured(b *testing.B, fn func(int) error) {
	b.Helper()
	before, ok := processorTime()
	b.ResetTimer()
	d.each(b, b.N, fn)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "accepts/s")
	if after, _ := processorTime(); ok {
		b.ReportMetric(float64((after-before).Microseconds())/float64(b.N), "cpu-us/accept")
	}
	b.ReportMetric(float64(folderSize(b, d.dir))/1e6, "disk-MB")
}

// changed files another build of the operating system and less free space, of
// devices all over the store.
func (d *durable) changed(b *testing.B) {
	r := rand.New(rand.NewPCG(uint64(b.N), uint64(d.devices)))
	plain := make([]int, b.N)
	for n := range plain {
		plain[n] = durableTitled + r.IntN(max(1, d.devices-durableTitled))
	}
	d.measured(b, func(n int) error {
		at := d.now()
		o := d.device(plain[n], at)
		o.GetDevice().Os.Build = strconv.FormatInt(at.UnixMicro(), 36)
		o.GetDevice().Storage.SystemFreeBytes = proto.Int64(at.UnixMicro())
		_, err := d.f.c.Accept(context.Background(), o)
		return err
	})
}

// delta files that 20 of 1,000 titles have other versions, as ingest does for an
// agent.
func (d *durable) delta(b *testing.B) {
	d.measured(b, func(n int) error {
		i := n % durableTitled
		round := int(d.rounds[i].Add(1))
		rows := d.titled[i][:40]
		was, is := rows, synth.Upgrade(rows, 40, round)
		if round > 1 {
			was = synth.Upgrade(rows, 40, round-1)
		}
		var s catalog.SoftwareChange
		var err error
		if s.Removed, err = d.rows(was[:20]); err != nil {
			return err
		}
		if s.Added, err = d.rows(is[:20]); err != nil {
			return err
		}
		ref := store.Ref{Source: "agent", ID: fmt.Sprintf("agent-%07d", i)}
		if err := d.f.st.PrepareTitles(context.Background(), s.Added); err != nil {
			return err
		}
		_, err = d.f.c.Apply(context.Background(), ref, func(*catalog.Held) (*catalog.Statement, error) {
			return &catalog.Statement{SameContent: true, Software: s,
				Observation: &pb.Observation{Source: ref.Source, SourceId: ref.ID, ObservedAt: timestamppb.New(d.now())}}, nil
		})
		return err
	})
}

func (d *durable) rows(titles []*pb.Software) ([]store.Row, error) {
	encoded, err := section.Encode(&pb.Device{Software: titles}, section.Software)
	if err != nil {
		return nil, err
	}
	return d.f.st.ParseRows(encoded, section.FieldDeviceSoftware)
}

// first files devices that were never heard of, with 1,000 titles each.
func (d *durable) first(b *testing.B) {
	const apart = 10_000_000 // beyond all that the store is filled with
	base := apart + d.fresh
	d.fresh += b.N
	d.measured(b, func(n int) error {
		o := d.device(base+n, epoch)
		o.GetDevice().Software = d.software(base + n)
		_, err := d.f.c.Accept(context.Background(), o)
		return err
	})
}

// processorTime is what this process used of the processors, where /proc tells it.
func processorTime() (time.Duration, bool) {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0, false
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, false
	}
	var ticks int
	for _, f := range fields[11:13] { // utime and stime, in hundredths of a second (proc(5))
		n, err := strconv.Atoi(string(f))
		if err != nil {
			return 0, false
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, true
}

// folderSize is how many bytes the files of a folder have on the disk at most.
func folderSize(b *testing.B, dir string) (total int64) {
	b.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			total += info.Size()
		}
		return nil // a table that a compaction just removed
	})
	if err != nil {
		b.Fatal(err)
	}
	return total
}
