package api

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// told is more than the buffers between a server and its client hold.
const toldWhileSlow = 600

func slowWorld(t *testing.T) (w *world, nobodyWatches func() bool) {
	w = newWorld(t)
	w.service.patience = 100 * time.Millisecond
	for i := range toldWhileSlow {
		w.report(fmt.Sprintf("web%04d", i) + strings.Repeat("x", 200))
	}
	return w, func() bool {
		w.service.watchers.mu.Lock()
		defer w.service.watchers.mu.Unlock()
		return w.service.watchers.all == 0
	}
}

// wait waits for something to be so.
func wait(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(20 * time.Second); !so(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s: it did not come to be so", what)
		}
	}
}

// Who does not read over gRPC is cut off, is told why, and goes on later where it
// was, with each event once.
func TestWhoDoesNotReadOverGRPCIsCutOff(t *testing.T) {
	w, nobodyWatches := slowWorld(t)
	client := adminpb.NewAdminServiceClient(dial(t, w.service))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+w.admin)
	cursor, names := oldest, 0
	for turn := 0; names < toldWhileSlow; turn++ {
		stream, err := client.WatchChanges(ctx, &adminpb.WatchChangesRequest{Cursor: cursor, Kinds: []string{"created"}, Once: turn > 0})
		if err != nil {
			t.Fatal(err)
		}
		if turn == 0 {
			wait(t, "the watcher comes", func() bool { return !nobodyWatches() })
			wait(t, "the watcher is cut off", nobodyWatches)
		}
		for err == nil {
			var e *adminpb.ChangeEvent
			if e, err = stream.Recv(); err != nil || e.GetKind() == position {
				continue
			}
			if cursor = e.GetCursor(); !strings.HasPrefix(e.GetAssetName(), fmt.Sprintf("web%04d", names)) {
				t.Fatalf("event %d is of %s", names, e.GetAssetName())
			}
			names++
		}
		if turn == 0 && (status.Code(err) != codes.DeadlineExceeded || !strings.Contains(err.Error(), "go on from the last one") || names == 0 || names == toldWhileSlow) {
			t.Fatalf("after %d events it ends with %v", names, err)
		}
		if turn > 1 {
			t.Fatalf("%d events after all", names)
		}
	}
	export, err := client.ExportAssets(ctx, &adminpb.ExportAssetsRequest{Format: "ndjson"})
	if err != nil {
		t.Fatal(err)
	}
	wait(t, "the export begins", func() bool { return len(w.service.exports) > 0 })
	wait(t, "the export is cut off", func() bool { return len(w.service.exports) == 0 })
	for err == nil {
		_, err = export.Recv()
	}
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("the export ends with %v", err)
	}
}

// smallBuffers are connections that hold little of what nobody reads.
type smallBuffers struct{ net.Listener }

// Accept implements net.Listener.
func (l smallBuffers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		err = tcp.SetWriteBuffer(4 << 10)
	}
	return c, err
}

// Who does not read server-sent events is cut off in the midst, so that no client
// takes it for the end, and goes on from the last id.
func TestWhoDoesNotReadEventsIsCutOff(t *testing.T) {
	w, nobodyWatches := slowWorld(t)
	server := httptest.NewUnstartedServer(w.gate)
	server.Listener = smallBuffers{server.Listener}
	server.Start()
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /v1/changes?cursor=oldest&kinds=created HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", w.admin)
	wait(t, "the watcher comes", func() bool { return !nobodyWatches() })
	wait(t, "the watcher is cut off", nobodyWatches)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	whole := string(text[:max(bytes.LastIndex(text, []byte("\n\n")), 0)]) // as browsers take it
	had := strings.Count(whole, "event: created")
	if had == 0 || had >= toldWhileSlow || err == nil {
		t.Fatalf("it had %d events, and then %v", had, err)
	}
	last, _, _ := strings.Cut(whole[strings.LastIndex(whole, "id: ")+len("id: "):], "\n")
	if rest := w.follow("kinds=created&once=true", last).kinds(); had+len(rest) != toldWhileSlow {
		t.Errorf("%d events, and then %d", had, len(rest))
	}
}
