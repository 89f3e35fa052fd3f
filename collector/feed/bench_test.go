package feed_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/feed/feedtest"
	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/vendors"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// jamf makes pages of computers as they are asked for, so that the memory of a
// pass is that of the feed.
type jamf struct{ devices int }

const computer = `{"id": "%d", "udid": "4C4C4544-0031-3310-8052-B4C04F%06X", "general": {"name": "MAC-%d", "platform": "Mac", "lastContactTime": "2026-11-19T18:04:13Z", "reportDate": "2026-11-19T18:04:13Z", "supervised": true,
	"remoteManagement": {"managed": true}, "site": {"id": "1", "name": "Berlin"}}, "hardware": {"make": "Apple", "model": "MacBook Pro (14-inch, 2023)", "modelIdentifier": "Mac15,3", "serialNumber": "C02%07d", "macAddress": "6A:2C:4B:B7:65:B5", "totalRamMegabytes": 16384, "coreCount": 8},
	"operatingSystem": {"name": "macOS", "version": "15.1", "build": "24B83"}, "diskEncryption": {"bootPartitionEncryptionDetails": {"partitionFileVault2State": "ENCRYPTED"}}, "storage": {"bootDriveAvailableSpaceMegabytes": 3072, "disks": []},
	"userAndLocation": {"username": "ann", "realname": "Ann", "email": "ann@example.com"}, "purchasing": {"poNumber": "53-1", "poDate": "2024-01-01", "purchasePrice": "$500", "warrantyDate": "2027-01-01"}, "applications": [{"name": "Safari.app", "version": "18.1", "bundleId": "com.apple.Safari"}]}`

// RoundTrip implements http.RoundTripper.
func (j jamf) RoundTrip(r *http.Request) (*http.Response, error) {
	var b bytes.Buffer
	if strings.HasSuffix(r.URL.Path, "/token") {
		b.WriteString(`{"access_token": "t", "expires_in": 3600}`)
	} else {
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		size, _ := strconv.Atoi(r.URL.Query().Get("page-size"))
		fmt.Fprintf(&b, `{"totalCount": %d, "results": [`, j.devices)
		for i := page * size; i < min((page+1)*size, j.devices); i++ {
			if i > page*size {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, computer, i, i, i, i)
		}
		b.WriteString("]}")
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(&b), Request: r}, nil
}

// BenchmarkPass reads a Jamf of 100,000 computers with 60 mapped fields.
func BenchmarkPass(b *testing.B) {
	const devices = 100_000
	m, err := vendors.Load("jamf_pro")
	if err != nil {
		b.Fatal(err)
	}
	m.Streams = []manifest.Stream{*m.Stream("computer")}
	m.Limit.PerSecond = 1e9
	peak := uint64(0)
	for b.Loop() {
		record, clock := discard{feedtest.NewRecord()}, feedtest.NewClock()
		r, err := feed.New(feed.Options{Sink: record, State: record, Logger: slog.New(slog.DiscardHandler), Now: clock.Now, Wait: clock.Wait, Getenv: os.Getenv},
			[]feed.Config{{Name: "jamf", Manifest: m, Settings: map[string]string{"url": "https://jamf.example.com", "client_id": "a", "client_secret": "s3cret"},
				Client: &http.Client{Transport: jamf{devices}}}})
		if err != nil {
			b.Fatal(err)
		}
		s, err := r.Once(b.Context(), "jamf", feed.Wish{Full: true})
		if err != nil || s.Pass.Stated != devices || s.Pass.ProblemCount != 0 {
			b.Fatal(err, s.Pass)
		}
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		peak = max(peak, stats.HeapSys)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*devices), "ns/device")
	b.ReportMetric(float64(peak)/(1<<20), "MB-heap")
}

// discard is a record that keeps no observations.
type discard struct{ *feedtest.Record }

// AcceptAll implements feed.Sink.
func (discard) AcceptAll(_ context.Context, all []*pb.Observation) []error {
	return make([]error, len(all))
}
