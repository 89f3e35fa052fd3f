package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// sse reads the server-sent events of one answer.
type sse struct {
	t    testing.TB
	scan *bufio.Scanner
	id   string
}

// follow asks for changes; the stream ends with the test.
func (w *world) follow(query, last string) *sse {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), "GET", w.url+"/v1/changes?"+query, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.admin)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		w.t.Fatalf("answers %s", resp.Status)
	}
	return &sse{t: w.t, scan: bufio.NewScanner(resp.Body)}
}

type told struct {
	Kind, Into, From, Source string
	AssetID                  string `json:"asset_id"`
	AssetName                string `json:"asset_name"`
	Fields                   []string
}

// next returns the next event that has data; false at the end of the stream.
func (x *sse) next() (told, bool) {
	x.t.Helper()
	var out told
	data := false
	for x.scan.Scan() {
		name, value, _ := strings.Cut(x.scan.Text(), ": ")
		switch {
		case name == "id":
			x.id = value
		case name == "data":
			if data = true; json.Unmarshal([]byte(value), &out) != nil {
				x.t.Fatalf("no JSON: %s", value)
			}
		case name == "" && data:
			return out, true
		}
	}
	return out, false
}

func (x *sse) kinds() (kinds []string) {
	for e, ok := x.next(); ok; e, ok = x.next() {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// What happens to assets is told in order, and a report that changes nothing is
// no change.
func TestChangesAreTold(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/v1/sources/jamf", `{"kind":"mdm"}`)
	x := w.follow("", "")
	one := w.report("web1")
	w.report("web1") // the same again
	line := func(id, serial, version string) string {
		return fmt.Sprintf(pushed, id, "2026-01-01T00:00:00Z", "ann", serial, version)
	}
	two := w.push(line("1", "AAAA1111", "1"))[0]["asset_id"]
	w.push(line("1", "AAAA1111", "2"))
	w.must("POST", "/v1/assets/"+one+":assert", `{"same_as":["`+two+`"]}`)
	w.must("POST", "/v1/assets/"+one+":assert", `{"not_same_as":["jamf/c/1"]}`)
	w.must("DELETE", "/v1/observations/jamf/c/1", "")
	var got []told
	for len(got) == 0 || got[len(got)-1].Kind != "withdrawn" {
		e, ok := x.next()
		if !ok {
			t.Fatalf("the stream ended after %+v", got)
		}
		if e.Kind != "changed" || slices.Contains(e.Fields, "os.version") {
			e.Fields = nil
			got = append(got, e)
		}
	}
	split := got[len(got)-1].AssetID
	kinds := map[string]told{}
	var order []string
	for _, e := range got {
		kinds[e.Kind] = e
		if len(order) == 0 || order[len(order)-1] != e.Kind {
			order = append(order, e.Kind)
		}
	}
	if diff := cmp.Diff([]string{"created", "changed", "united", "changed", "split", "withdrawn"}, slices.DeleteFunc(order, func(k string) bool { return k == "software" })); diff != "" {
		t.Errorf("kinds (-want +got):\n%s\n%+v", diff, got)
	}
	if e := kinds["united"]; e.AssetID != two || e.Into != one || e.AssetName != "ann" {
		t.Errorf("the union is told as %+v", e)
	}
	if e := kinds["split"]; e.From != one || e.AssetID != split {
		t.Errorf("the split is told as %+v", e)
	}
}

// Who comes back hears the rest, and nothing twice.
func TestChangesGoOnFromACursor(t *testing.T) {
	w := newWorld(t)
	for i := range 10 {
		w.report(fmt.Sprint("web", i))
	}
	x := w.follow("cursor=oldest&once=true", "")
	var first []string
	for range 4 {
		e, _ := x.next()
		first = append(first, e.AssetName)
	}
	rest := w.follow("once=true", x.id)
	for e, ok := rest.next(); ok; e, ok = rest.next() {
		first = append(first, e.AssetName)
	}
	slices.Sort(first)
	if got := slices.Compact(slices.Clone(first)); len(got) != 10 || len(first) != 10 {
		t.Errorf("told are %v", first)
	}
	if kinds := w.follow("once=true", rest.id).kinds(); kinds != nil {
		t.Errorf("told again: %v", kinds)
	}
}

func TestReportsAreToldWhereAskedFor(t *testing.T) {
	w := newWorld(t)
	id := w.report("web1")
	x := w.follow("kinds=reported", "")
	w.catalog.Seen(store.Ref{Source: "agent", ID: "web1"}, time.Unix(1_800_000_000, 0))
	if e, ok := x.next(); !ok || e.Kind != "reported" || e.AssetID != id || e.Source != "agent" {
		t.Errorf("told is %+v", e)
	}
}

func TestCursorsThatLeadNowhere(t *testing.T) {
	w := newWorld(t)
	w.report("web1")
	old := w.service.cursor(0)
	w.report("web2")
	err := w.service.Store.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.PruneChanges(time.Now().Add(time.Hour), 1)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		query string
		code  int
	}{
		"pruned":       {"cursor=" + old, http.StatusGone},
		"ahead":        {"cursor=" + w.service.cursor(1000), http.StatusGone},
		"forged":       {"cursor=abc", http.StatusBadRequest},
		"unknown kind": {"kinds=deleted", http.StatusBadRequest},
		"unknown name": {"kind=changed", http.StatusBadRequest},
	} {
		if code, _, b := w.ask(w.admin, "GET", "/v1/changes?once=true&"+tc.query, ""); code != tc.code {
			t.Errorf("%s: answers %d: %s", name, code, b)
		}
	}
	if kinds := w.follow("cursor=oldest&once=true", "").kinds(); len(kinds) != 1 {
		t.Errorf("from the oldest on: %v", kinds)
	}
}

// A thousand who watch cost a goroutine each, all hear what happens, and one
// more is told to come later. One who does not read holds up nobody.
func TestAThousandWatchers(t *testing.T) {
	w := newWorld(t)
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	ready, heard := make(chan struct{}, maxWatchersOfToken), make(chan struct{}, maxWatchersOfToken)
	stuck := make(chan struct{})
	var done sync.WaitGroup
	for i := range maxWatchersOfToken {
		done.Go(func() {
			err := w.service.watch(ctx, &adminpb.WatchChangesRequest{}, func(e *adminpb.ChangeEvent) error {
				switch {
				case e.GetKind() == position:
					ready <- struct{}{}
				case i == 0:
					<-stuck
				case e.GetAssetName() == "last":
					heard <- struct{}{}
				}
				return nil
			})
			if status.Code(err) != codes.Canceled {
				t.Errorf("a watcher ends with %v", err)
			}
		})
	}
	for range maxWatchersOfToken {
		<-ready
	}
	if n := runtime.NumGoroutine() - before; n > maxWatchersOfToken+10 {
		t.Errorf("%d goroutines", n)
	}
	if err := w.service.watch(ctx, &adminpb.WatchChangesRequest{}, nil); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("one more: %v", err)
	}
	for i := range 20 {
		w.report(fmt.Sprint("web", i))
	}
	w.report("last")
	for range maxWatchersOfToken - 1 {
		<-heard
	}
	close(stuck)
	cancel()
	done.Wait()
}

// Whoever is too slow for what is held in memory reads the rest from the store.
func TestASlowWatcherMissesNothing(t *testing.T) {
	w := newWorld(t)
	const n = 1200
	release := make(chan struct{})
	names := make(chan string, n)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	ready := make(chan struct{})
	done.Go(func() {
		_ = w.service.watch(ctx, &adminpb.WatchChangesRequest{Kinds: []string{"created"}}, func(e *adminpb.ChangeEvent) error {
			if e.GetKind() == position {
				close(ready)
				return nil
			}
			<-release
			names <- e.GetAssetName()
			return nil
		})
	})
	<-ready
	for i := range n {
		w.report(fmt.Sprintf("web%04d", i))
	}
	close(release)
	for i := range n {
		if got := <-names; got != fmt.Sprintf("web%04d", i) {
			t.Fatalf("event %d is of %s", i, got)
		}
	}
	cancel()
	done.Wait()
}

func TestChangesOverGRPC(t *testing.T) {
	w := newWorld(t)
	client := adminpb.NewAdminServiceClient(dial(t, w.service))
	stream, err := client.WatchChanges(t.Context(), &adminpb.WatchChangesRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("without a token: %v", err)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+w.admin)
	if stream, err = client.WatchChanges(ctx, &adminpb.WatchChangesRequest{}); err != nil {
		t.Fatal(err)
	}
	if e, err := stream.Recv(); err != nil || e.GetKind() != position || e.GetCursor() == "" {
		t.Fatalf("first comes %v, %v", e, err)
	}
	w.report("web1")
	if e, err := stream.Recv(); err != nil || e.GetKind() != "created" || e.GetAssetName() != "web1" {
		t.Errorf("then comes %v, %v", e, err)
	}
	w.service.Drain()
	for err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("a collector that stops says %v", err)
	}
}
