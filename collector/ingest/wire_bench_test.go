package ingest_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Check-ins at which nothing has changed, over 64 connections that stay open;
// client and server share the machine.
func BenchmarkCheckInOverTLS(b *testing.B) {
	const connections = 64
	c := serve(b)
	clients := make([]pb.AgentServiceClient, connections)
	requests := make([]*pb.CheckInRequest, connections)
	for i := range clients {
		d := c.enrolled()
		r := new(pb.CheckInRequest)
		var parts []part
		for _, name := range section.Names() {
			p := section1(b, name, &pb.Device{Name: "host", Os: &pb.Os{Family: "linux"}})
			parts = append(parts, p)
			r.Sections = append(r.Sections, &pb.SectionDigest{Name: name, Digest: p.head.Digest})
		}
		resp, err := d.report(0, parts...)
		if err != nil {
			b.Fatal(err)
		}
		r.Generation = resp.Generation
		clients[i], requests[i] = d.dial(), r
	}
	var next atomic.Int64
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(loop *testing.PB) {
		i := int(next.Add(1)) % connections
		for loop.Next() {
			if resp, err := clients[i].CheckIn(context.Background(), requests[i]); err != nil || len(resp.Wanted) != 0 {
				b.Errorf("%v %v", resp, err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "check-ins/s")
}
