package api

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// changesPath tells what happens, as server-sent events.
const changesPath = "/v1/changes"

const (
	// readPatience is how long a client may take to read what was sent.
	readPatience = 30 * time.Second
	// eventRetry is how long a client waits before it comes back, in milliseconds.
	eventRetry = 5000
)

// serveChanges is WatchChanges over HTTP, as server-sent events (HTML Living
// Standard, section 9.2). A client that comes back says in Last-Event-ID what it
// had last.
func (s *Service) serveChanges(w http.ResponseWriter, r *http.Request) {
	req := new(adminpb.WatchChangesRequest)
	if err := (strictQuery{}).Parse(req, r.URL.Query(), noFilter); err != nil {
		writeError(w, status.Error(codes.InvalidArgument, err.Error()))
		return
	}
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		req.Cursor = last
	}
	began := s.Now()
	stream := &eventStream{w: w, control: http.NewResponseController(w), out: bufio.NewWriterSize(w, 4<<10), patience: s.patience}
	err := s.watch(r.Context(), req, stream.send)
	s.calls.answered("WatchChanges", err, s.Now().Sub(began))
	switch {
	case err == nil || r.Context().Err() != nil:
	case stream.begun:
		stream.fail(err)
	case errors.Is(err, errGone):
		writeStatus(w, http.StatusGone, status.Convert(err))
	default:
		writeError(w, err)
	}
}

// eventStream writes events. A client that does not read them in time is cut
// off, and may go on where it was.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	out     *bufio.Writer
	begun   bool
	// patience is how long a flush may take.
	patience time.Duration
}

func (x *eventStream) send(e *adminpb.ChangeEvent) error {
	if !x.begun {
		x.begun = true
		h := x.w.Header()
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
		h.Set("X-Accel-Buffering", "no") // nginx would keep events back
		// The server's bound on a request is not for one that lasts.
		_ = x.control.SetReadDeadline(time.Time{})
		fmt.Fprintf(x.out, "retry: %d\n\n", eventRetry)
	}
	if e.GetCursor() != "" {
		fmt.Fprintf(x.out, "id: %s\n", e.GetCursor())
	}
	if e.GetKind() == position {
		// An id without data moves the client's place and is no event.
		fmt.Fprint(x.out, "\n")
		return x.flush()
	}
	b, err := jsonText.Marshal(e)
	if err != nil {
		return fmt.Errorf("write an event as JSON: %w", err)
	}
	fmt.Fprintf(x.out, "event: %s\ndata: %s\n\n", e.GetKind(), b)
	return x.flush()
}

// fail ends the stream with an event of kind error.
func (x *eventStream) fail(err error) {
	b, marshalErr := jsonText.Marshal(status.Convert(err).Proto())
	if marshalErr != nil {
		return
	}
	fmt.Fprintf(x.out, "event: error\ndata: %s\n\n", b)
	_ = x.flush() // whoever asked may be gone
}

// flush sends what was written. An error is the client's: it is gone, or slow.
func (x *eventStream) flush() error {
	until := time.Now().Add(x.patience) // of the connection, not of the records
	_ = x.control.SetWriteDeadline(until)
	if err := errors.Join(x.out.Flush(), x.control.Flush()); err != nil {
		return status.Errorf(codes.Canceled, "the client does not read: %v", err)
	}
	return nil
}

// patiently returns a gRPC stream's send that gives up on a client that does not
// read: without it, one that stopped reading would hold its place for as long as
// its connection lives. After an error the stream is to be ended.
func patiently[M any](patience time.Duration, send func(*M) error) func(*M) error {
	return func(m *M) error {
		sent := make(chan error, 1)
		go func() { sent <- send(m) }() // it returns once the stream ends
		t := time.NewTimer(patience)
		defer t.Stop()
		select {
		case err := <-sent:
			return err
		case <-t.C:
			return status.Errorf(codes.DeadlineExceeded, "the client did not read for %v and was cut off: read faster, and where there are cursors go on from the last one", patience)
		}
	}
}
