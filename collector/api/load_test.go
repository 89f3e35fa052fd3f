package api

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/pkg/synth"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

var (
	loadAssets  = flag.Int("load-assets", 2000, "assets of BenchmarkReaders and BenchmarkExportSoftware")
	loadTitles  = flag.Int("load-titles", 300, "titles that each of them has")
	loadReaders = flag.Int("load-readers", 200, "who asks at once in BenchmarkReaders")
	loadPause   = flag.Duration("load-pause", time.Second, "how long each of them waits after an answer")
	loadRate    = flag.Int("load-rate", 2000, "observations a second that come in meanwhile")
	loadChanged = flag.Int("load-changed", 10, "which share of them, in percent, says something new; the others are check-ins of devices that did not change")
	loadFor     = flag.Duration("load-for", 10*time.Second, "for how long")
)

// loaded is a world of synthetic devices, one in ten of which has software of its
// own and the others that of another.
func loaded(b *testing.B) (w *world, observe func(i, turn int)) {
	b.Helper()
	w = newWorld(b)
	hardware, titles := synth.New(1, 0, 0), synth.New(1, 20_000, *loadTitles)
	software := make([][]*pb.Software, min(*loadAssets, 1000))
	for i := range software {
		software[i] = titles.Device(i).GetSoftware()
	}
	observe = func(i, turn int) {
		if turn%100 >= *loadChanged {
			w.catalog.Seen(store.Ref{Source: "agent", ID: fmt.Sprint("device", i)}, time.Now())
			return
		}
		d := hardware.Device(i)
		d.Software = software[i%len(software)]
		d.Os.Family, d.Os.Version = []string{"linux", "windows", "macos"}[i%3], fmt.Sprintf("%d.%d", 10+i%7, i%13)
		d.Owner = &pb.Owner{Email: fmt.Sprintf("p%d@example.com", i/2), Department: fmt.Sprint("department", i%30)}
		if turn > 0 { // and so something new
			free := int64(turn) << 20
			d.Storage = &pb.Storage{SystemFreeBytes: &free}
		}
		_, err := w.catalog.Accept(b.Context(), &pb.Observation{Source: "agent", SourceId: fmt.Sprint("device", i), ObservedAt: timestamppb.New(time.Now()), Subject: &pb.Observation_Device{Device: d}})
		if err != nil {
			b.Error(err)
		}
	}
	for i := range *loadAssets {
		observe(i, 0)
	}
	runtime.GC()
	return w, observe
}

// BenchmarkReaders has many ask over HTTP, each again a while after the answer,
// while observations come in at a rate.
func BenchmarkReaders(b *testing.B) {
	w, observe := loaded(b)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: *loadReaders}}
	defer client.CloseIdleConnections()
	asks := []string{
		"/v1/assets" + shownFields + "&order_by=name&filter=" + url.QueryEscape(`asset.os.family == "windows" && asset.owner.department == "department7" && version(asset.os.version) < version("14.5")`),
		"/v1/assets:group?by=os.version", "/v1/assets" + shownFields + "&order_by=" + url.QueryEscape("last_seen desc"), "/v1/assets" + shownFields + "&search=p17%40example.com", "/v1/people/p42@example.com:context",
	}
	var took []time.Duration
	var mu sync.Mutex
	var running sync.WaitGroup
	end := make(chan struct{})
	for i := range *loadReaders {
		running.Go(func() {
			for n := i; ; n++ {
				select {
				case <-end:
					return
				case <-time.After(time.Duration(n%11) * *loadPause / 5): // which is the pause on average
				}
				began := time.Now()
				if err := w.asks(client, asks[n%len(asks)]); err != nil {
					b.Error(err)
				}
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
			}
		})
	}
	cpu, began := used(b), time.Now()
	filed := w.comeIn(observe)
	elapsed := time.Since(began)
	cpu = used(b) - cpu
	close(end)
	running.Wait()
	slices.Sort(took)
	milliseconds := func(share float64) float64 {
		return float64(took[int(float64(len(took)-1)*share)].Microseconds()) / 1000
	}
	b.ReportMetric(milliseconds(0.5), "p50-ms")
	b.ReportMetric(milliseconds(0.99), "p99-ms")
	b.ReportMetric(float64(len(took))/elapsed.Seconds(), "answers/s")
	b.ReportMetric(float64(filed)/elapsed.Seconds(), "observations/s")
	b.ReportMetric(100*cpu.Seconds()/elapsed.Seconds(), "cpu-%")
	b.ReportMetric(0, "ns/op")
}

// shownFields are those of a page in a table.
const shownFields = "?page_size=50&fields=id,name,class,os.name,os.version,owner.email,labels,last_seen"

// asks asks for something and reads all of the answer.
func (w *world) asks(client *http.Client, path string) error {
	req, err := http.NewRequest("GET", w.url+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+w.admin)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %s", path, resp.Status, text)
	}
	return err
}

// comeIn files observations at the rate for as long as it is to last, or as fast
// as they can be, and returns how many.
func (w *world) comeIn(observe func(i, turn int)) (filed int) {
	const workers = 8
	jobs := make(chan int, *loadRate)
	var filing sync.WaitGroup
	for range workers {
		filing.Go(func() {
			for n := range jobs {
				observe(n*7919%*loadAssets, n+1)
			}
		})
	}
	began := time.Now()
	for tick := time.NewTicker(10 * time.Millisecond); time.Since(began) < *loadFor; <-tick.C {
		for due := int(time.Since(began).Seconds() * float64(*loadRate)); filed < due; filed++ {
			jobs <- filed
		}
	}
	close(jobs)
	filing.Wait()
	return filed
}

func used(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkExportSoftware writes all software of all assets, and tells what the
// heap grows by at most meanwhile.
func BenchmarkExportSoftware(b *testing.B) {
	w, _ := loaded(b)
	for _, format := range []string{"ndjson", "csv", "xlsx"} {
		b.Run(format, func(b *testing.B) {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			before, most, wrote := m.HeapAlloc, m.HeapAlloc, 0
			look := writerFunc(func(p []byte) (int, error) {
				if wrote>>24 != (wrote+len(p))>>24 { // every 16 MB, since a look stops the world
					runtime.ReadMemStats(&m)
					most = max(most, m.HeapAlloc)
				}
				wrote += len(p)
				return len(p), nil
			})
			cpu := used(b)
			for b.Loop() {
				e, err := w.service.newExport(b.Context(), &adminpb.ExportAssetsRequest{Software: true, Format: format})
				if err == nil {
					err = e.write(b.Context(), look)
					e.done()
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			rows := float64(*loadAssets**loadTitles) * float64(b.N)
			b.ReportMetric(rows/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(rows/(used(b)-cpu).Seconds(), "rows/cpu-s")
			b.ReportMetric(float64(most-before)/(1<<20), "MB-more")
		})
	}
}

type writerFunc func([]byte) (int, error)

// Write implements io.Writer.
func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
