package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// pushPath takes observations, one or any number of lines.
const pushPath = "/v1/observations"

const (
	// maxLine bounds one observation, in bytes.
	maxLine = 16 << 20
	// pushAtOnce is how many lines of one call are filed at once, so that the
	// store has groups to commit.
	pushAtOnce = 64
	// pushPatience is how long a caller may take to send the next part of its
	// body, or to read an answer.
	pushPatience = time.Minute
)

// pushGrant says who may hand in observations.
var pushGrant = grant{reach: whole, least: operator}

// push answers POST /v1/observations: a line of JSON for each line of the body,
// in their order, {"line": n, "asset_id": "..."} or {"line": n, "error": "..."}.
// A bad line harms no other.
func (s *Service) push(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	// Answers go out while lines still come in. HTTP/2 can do so anyway.
	_ = control.EnableFullDuplex()
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	lines := &lineReader{r: bufio.NewReaderSize(r.Body, 64<<10), patience: func() {
		until := time.Now().Add(pushPatience) // of the connection, not of the records
		// Without deadlines the server's own bound holds.
		_, _ = control.SetReadDeadline(until), control.SetWriteDeadline(until)
	}}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	answers := make(chan chan *adminpb.PushedObservation, pushAtOnce)
	go func() {
		defer close(answers)
		s.readLines(ctx, lines, answers)
	}()
	out := bufio.NewWriter(w)
	for answer := range answers {
		b, err := jsonText.Marshal(<-answer)
		if err == nil {
			_, err = out.Write(append(b, '\n'))
		}
		if err == nil && len(answers) == 0 {
			err = errors.Join(out.Flush(), control.Flush())
		}
		if err != nil {
			cancel() // whoever asked is gone; what was filed stays
		}
	}
	_ = out.Flush() // the same
	if n := lines.taken; n > 0 {
		_ = s.note(r.Context(), "observations.push", "", fmt.Sprintf("%d lines", n)) // note logs it
	}
}

// readLines files the lines of a body, some at once, and hands on where their
// answers will be, in order.
func (s *Service) readLines(ctx context.Context, lines *lineReader, answers chan<- chan *adminpb.PushedObservation) {
	busy := make(chan struct{}, pushAtOnce)
	for n := int64(1); ctx.Err() == nil; n++ {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		answer := make(chan *adminpb.PushedObservation, 1)
		answers <- answer
		if err != nil {
			answer <- &adminpb.PushedObservation{Line: n, Error: err.Error()}
			if !errors.Is(err, errLineTooLong) {
				break
			}
			continue
		}
		busy <- struct{}{}
		go func() {
			defer func() { <-busy }()
			answer <- s.pushLine(ctx, n, line)
		}()
	}
	for range pushAtOnce {
		busy <- struct{}{}
	}
}

// pushLine files one observation.
func (s *Service) pushLine(ctx context.Context, n int64, line []byte) (out *adminpb.PushedObservation) {
	out = &adminpb.PushedObservation{Line: n}
	defer func() {
		if r := recover(); r != nil {
			s.Logger.Error("call panicked", "method", pushPath, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			out.Error = "internal error; the collector's log has the details"
		}
	}()
	o := new(pb.Observation)
	if err := protojson.Unmarshal(line, o); err != nil {
		out.Error = fmt.Sprintf("it cannot be read: %v", err)
		return out
	}
	if slices.Contains(reserved, o.GetSource()) {
		out.Error = fmt.Sprintf("source %q is the collector's own", o.GetSource())
		return out
	}
	id, err := s.Catalog.Accept(ctx, o)
	switch {
	case err == nil && o.GetPerson() != nil:
		out.PersonId = id
	case err == nil:
		out.AssetId = id
	case errors.Is(err, catalog.ErrInvalid), errors.Is(err, catalog.ErrUndeclared), errors.Is(err, catalog.ErrErased):
		out.Error = err.Error()
	case errors.Is(err, store.ErrNotFound):
		// It withdraws what is not held: that is how it shall be.
	default:
		out.Error = status.Convert(s.answer("file an observation", err)).Message()
	}
	return out
}

var errLineTooLong = status.Errorf(codes.InvalidArgument, "the line is longer than %d bytes", maxLine)

// lineReader reads the observations of a body: its lines, or, where the body is
// one object over several lines, that.
type lineReader struct {
	r        *bufio.Reader
	patience func()
	begun    bool
	// taken counts the lines that were handed on.
	taken int
}

// next returns the next line that is not blank, or io.EOF.
func (l *lineReader) next() ([]byte, error) {
	for {
		line, err := l.line()
		if trimmed := bytes.TrimSpace(line); len(trimmed) > 0 && err == nil || errors.Is(err, errLineTooLong) {
			l.taken++
			if !l.begun {
				l.begun = true
				return l.whole(trimmed), err
			}
			return trimmed, err
		}
		if err != nil {
			return nil, err
		}
	}
}

// line reads up to the end of a line or of the body.
func (l *lineReader) line() ([]byte, error) {
	var line []byte
	for {
		l.patience()
		part, err := l.r.ReadSlice('\n')
		if len(line)+len(part) <= maxLine {
			line = append(line, part...)
		} else {
			line = line[:0:0]
			for errors.Is(err, bufio.ErrBufferFull) {
				l.patience()
				_, err = l.r.ReadSlice('\n')
			}
			if err == nil || errors.Is(err, io.EOF) {
				return nil, errLineTooLong
			}
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		case err != nil && !errors.Is(err, io.EOF):
			return nil, fmt.Errorf("the body ended early: %w: send what is left again", err)
		}
		return line, err
	}
}

// whole returns the object that begins with a line, where it goes on over
// others; where it does not, the line, and what was read ahead comes next.
func (l *lineReader) whole(first []byte) []byte {
	if json.Valid(first) {
		return first
	}
	l.patience()
	rest, err := io.ReadAll(io.LimitReader(l.r, maxBody))
	if all := append(append(bytes.Clone(first), '\n'), rest...); err == nil && json.Valid(all) {
		return all
	}
	l.r = bufio.NewReaderSize(io.MultiReader(bytes.NewReader(rest), l.r), 64<<10)
	return first
}
