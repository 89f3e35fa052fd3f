package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

type watchCommand struct {
	Asset  string   `arg:"" optional:"" complete:"asset" help:"Only this asset: id, name or serial number."`
	Kind   []string `placeholder:"KIND" values:"created,split,changed,software,united,withdrawn,reported" help:"Only these kinds: created, split, changed, software, united, withdrawn; or reported, which tells each contact of a source."`
	Cursor string   `placeholder:"CURSOR" help:"Go on after the event with this cursor; \"oldest\" begins with the oldest that is kept. Without it, with what happens from now on."`
	Once   bool     `help:"End once everything is told that has happened so far."`
}

// Bounds of a stream of events.
const (
	// maxEvent bounds one line of a stream, in bytes.
	maxEvent = 1 << 20
	// watchSilence is longer than a collector that has nothing to tell is silent.
	watchSilence = time.Minute
	watchRetries = 30 * time.Second
)

// Run prints what happens until it is interrupted, and comes back to a collector
// that was away.
func (cmd watchCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	query := url.Values{}
	if cmd.Asset != "" {
		id, err := s.find(c, cmd.Asset)
		if err != nil {
			return err
		}
		query.Set("asset", id)
	}
	if len(cmd.Kind) > 0 {
		query["kinds"] = cmd.Kind
	}
	if cmd.Once {
		query.Set("once", "true")
	}
	w := &watching{session: s, client: c, query: query, cursor: cmd.Cursor, encoder: s.encoder("", descriptor[adminpb.ChangeEvent](), nil)}
	again := backoff.NewExponentialBackOff()
	again.MaxInterval = watchRetries
	for {
		told, err := w.follow()
		if told {
			again.Reset()
		}
		var final *failure
		switch {
		case s.ctx.Err() != nil:
			return nil // interrupted, which is how it ends
		case err == nil && cmd.Once:
			return nil
		case errors.As(err, &final) && final.code != exitUnreachable || cmd.Once:
			return err
		}
		s.note("the connection ended (%v): trying again", err)
		select {
		case <-time.After(again.NextBackOff()):
		case <-s.ctx.Done():
			return nil
		}
	}
}

// watching is a stream of events that may have to be taken up again.
type watching struct {
	*session
	client *client
	query  url.Values
	cursor string
	// encoder writes events for programs; nil for people.
	encoder encoder
}

// follow prints events until the stream ends, and tells whether there were any.
func (w *watching) follow() (told bool, err error) {
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	silence := time.AfterFunc(watchSilence, cancel)
	defer silence.Stop()
	query := w.query
	if w.cursor != "" {
		query.Set("cursor", w.cursor)
	}
	body, err := w.client.stream(ctx, "/v1/changes", query)
	if err != nil {
		return false, err
	}
	defer body.Close()
	err = readEvents(body, func(e event) error {
		silence.Reset(watchSilence)
		if e.id != "" {
			w.cursor = e.id
		}
		switch e.kind {
		case "":
			return nil
		case "error":
			return errors.New(e.message())
		}
		told = true
		return errors.Join(w.print(e), w.out.Flush())
	})
	return told, err
}

func (w *watching) print(e event) error {
	if w.encoder != nil {
		return w.encoder.event(e.data)
	}
	change := new(adminpb.ChangeEvent)
	if err := decode(e.data, change); err != nil {
		return err
	}
	by := change.GetSource()
	if by == "operator" {
		by = change.GetSourceId()
	}
	line := phrase(change.GetAt().AsTime().Local().Format(time.DateTime), change.GetKind(), or(change.GetAssetName(), change.GetAssetId()),
		or(change.GetInto(), change.GetFrom()), strings.Join(change.GetFields(), ","))
	if by != "" {
		line += " (" + by + ")"
	}
	fmt.Fprintln(w.out, clean(line))
	return nil
}

// event is one server-sent event.
type event struct {
	id, kind string
	data     []byte
}

func (e event) message() string {
	var st struct{ Message string }
	if err := json.Unmarshal(e.data, &st); err != nil || st.Message == "" {
		return "the collector ended the stream"
	}
	return st.Message
}

// readEvents calls fn with each event of a stream (HTML Living Standard, section
// 9.2.6), those without data included, until it ends.
func readEvents(r io.Reader, fn func(event) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 4<<10), maxEvent)
	var e event
	for lines.Scan() {
		if lines.Text() == "" {
			if err := fn(e); err != nil {
				return err
			}
			e = event{}
			continue
		}
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.kind = value
		case "data":
			e.data = append(e.data, value...)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the collector's events: %w", err)
	}
	return nil
}

// stream asks for an answer that is read as it comes.
func (c *client) stream(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	req, err := c.request(ctx, http.MethodGet, path, http.NoBody)
	if err != nil {
		return nil, err
	}
	patient := *c.http
	patient.Timeout = 0 // the context ends it
	resp, err := patient.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxEvent))
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return nil, c.check(resp, answer)
}
