package api

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/watch"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// Kinds of events beside those of the change log.
const (
	reported = "reported"
	position = "position"
	// appeared and gone are told to who may see a part of the fleet: an asset came
	// into it, or left it.
	appeared = "appeared"
	gone     = "gone"
)

var changeKinds = []string{catalog.Created, watch.Split, catalog.Changed, catalog.Software, catalog.United, catalog.Withdrawn, appeared, gone, reported}

const (
	// oldest is the cursor before everything that is kept.
	oldest = "oldest"
	// maxWatchers bounds who watches at once, and maxWatchersOfToken with one token.
	maxWatchers        = 2000
	maxWatchersOfToken = 1000
	// watchPace is how often a watcher looks at most; what happens meanwhile is
	// told at once.
	watchPace = 100 * time.Millisecond
	// watchBeat is how often a watcher to whom nothing happens hears so, and is
	// asked again who he is.
	watchBeat = 15 * time.Second
)

// watchers counts who watches.
type watchers struct {
	mu  sync.Mutex
	all int
	of  map[string]int
}

// enter counts one more; leave is to be called once he is gone.
func (w *watchers) enter(token string) (leave func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all >= maxWatchers || w.of[token] >= maxWatchersOfToken {
		return nil, later(codes.ResourceExhausted, "too many watch for changes already: close some of these connections, or ask now and then with once=true", retryLater)
	}
	w.all++
	w.of[token]++
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.all--
		if w.of[token]--; w.of[token] == 0 {
			delete(w.of, token)
		}
	}, nil
}

// errGone tells that a cursor no longer leads anywhere. HTTP says 410 for it.
var errGone = status.Error(codes.OutOfRange, "the cursor is older than what is kept of the changes, or from before a backup was restored: read the assets anew, with GET /v1/assets, and watch without a cursor")

// WatchChanges tells what happens to assets.
func (s *Service) WatchChanges(r *adminpb.WatchChangesRequest, stream grpc.ServerStreamingServer[adminpb.ChangeEvent]) error {
	return s.watch(stream.Context(), r, patiently(s.patience, stream.Send))
}

// watcher is one who is told what happens.
type watcher struct {
	*Service
	fleet   fleet
	request *adminpb.WatchChangesRequest
	send    func(*adminpb.ChangeEvent) error
	// at is the place in the log up to which everything was told.
	at      uint64
	reports <-chan watch.Report
}

// watch calls send with what happens, one event after the other, until ctx or
// the collector ends. It holds no more than a few hundred events for one who is
// slow: the rest waits in the log.
func (s *Service) watch(ctx context.Context, r *adminpb.WatchChangesRequest, send func(*adminpb.ChangeEvent) error) error {
	if err := checkWatch(r); err != nil {
		return err
	}
	leave, err := s.watchers.enter(callerOf(ctx).account)
	if err != nil {
		return err
	}
	defer leave()
	w := &watcher{Service: s, fleet: s.fleet(ctx), request: r, send: send}
	if w.at, err = s.place(ctx, r.GetCursor()); err != nil {
		return s.answer("find the cursor", err)
	}
	if slices.Contains(r.GetKinds(), reported) {
		l := s.changes.Listen()
		defer s.changes.Leave(l)
		w.reports = l.C
	}
	return s.answerWatch(w.run(ctx))
}

func checkWatch(r *adminpb.WatchChangesRequest) error {
	if len(r.GetKinds()) > len(changeKinds) {
		return status.Errorf(codes.InvalidArgument, "kinds names %d kinds: there are %d", len(r.GetKinds()), len(changeKinds))
	}
	for _, k := range r.GetKinds() {
		if !slices.Contains(changeKinds, k) {
			return status.Errorf(codes.InvalidArgument, "kinds names %.50q: the kinds are %s", k, strings.Join(changeKinds, ", "))
		}
	}
	return nil
}

func (s *Service) answerWatch(err error) error {
	switch {
	case errors.Is(err, watch.ErrPruned), errors.Is(err, watch.ErrAhead):
		return errGone
	case err == nil:
		return nil
	}
	return s.answer("tell the changes", err)
}

// place returns where in the log a cursor is.
func (s *Service) place(ctx context.Context, cursor string) (uint64, error) {
	switch cursor {
	case "":
		return s.changes.End(ctx)
	case oldest:
		return s.changes.Oldest(ctx)
	}
	key, err := pageAfter(s.cursors(), cursor)
	if err != nil || len(key) != 8 {
		return 0, status.Errorf(codes.InvalidArgument, "the cursor is not one that this collector gave out: pass the cursor (the id) of the last event, %q, or none to hear what happens from now on", oldest)
	}
	return binary.BigEndian.Uint64([]byte(key)), nil
}

func (s *Service) cursor(place uint64) string {
	return nextPage(s.cursors(), string(binary.BigEndian.AppendUint64(nil, place)))
}

// cursors names the list that cursors are of: another installation counts its
// changes anew.
func (s *Service) cursors() string { return "changes of " + s.Store.InstallID() }

// run tells what there is, waits for more, and so on.
func (w *watcher) run(ctx context.Context) error {
	beat := time.NewTicker(watchBeat)
	defer beat.Stop()
	for begun := false; ; begun = true {
		looked := time.Now()
		if err := w.tell(ctx); err != nil {
			return err
		}
		if !begun || w.request.GetOnce() {
			if err := w.tellPosition(); err != nil || w.request.GetOnce() {
				return err
			}
		}
		if err := w.wait(ctx, beat.C); err != nil {
			return err
		}
		if w.changes.Closed() {
			return later(codes.Unavailable, "the collector is stopping: go on from the last cursor once it runs again", retryLater)
		}
		if err := pause(ctx, watchPace-time.Since(looked)); err != nil {
			return err
		}
	}
}

// tell tells everything there is.
func (w *watcher) tell(ctx context.Context) error {
	for {
		events, next, err := w.changes.Read(ctx, w.at)
		if err != nil {
			return err
		}
		for _, e := range events {
			told := w.seen(e)
			if told == nil || !w.wants(told) {
				continue
			}
			told.Cursor = w.cursor(e.Sequence)
			if err := w.send(told); err != nil {
				return err
			}
		}
		if next == w.at {
			return nil
		}
		w.at = next
	}
}

// wants tells whether an event was asked for. Who asks for what comes and goes
// means what comes into his scope and leaves it, too.
func (w *watcher) wants(e *adminpb.ChangeEvent) bool {
	kinds, also := w.request.GetKinds(), e.GetKind()
	switch e.GetKind() {
	case appeared:
		also = catalog.Created
	case gone:
		also = catalog.Withdrawn
	}
	return (w.request.GetAsset() == "" || w.request.GetAsset() == e.GetAssetId()) &&
		(len(kinds) == 0 || slices.Contains(kinds, e.GetKind()) || slices.Contains(kinds, also))
}

// seen returns what the caller may know of an event; nil for nothing.
func (w *watcher) seen(e *watch.Event) *adminpb.ChangeEvent {
	out := proto.CloneOf(e.Change)
	if w.fleet.scope == nil {
		return out
	}
	was, is := w.fleet.scope.Admits(e.Was), w.fleet.scope.Admits(e.Is)
	other := out.GetInto() + out.GetFrom()
	hidden := other != "" && !w.fleet.Has([]string{other})[0]
	switch {
	case !was && !is:
		return nil
	case e.Was != nil && !was:
		return &adminpb.ChangeEvent{At: out.GetAt(), Kind: appeared, AssetId: out.GetAssetId(), AssetName: out.GetAssetName()}
	case e.Is != nil && !is, out.GetKind() == catalog.United && hidden:
		return &adminpb.ChangeEvent{At: out.GetAt(), Kind: gone, AssetId: out.GetAssetId()}
	case out.GetKind() == watch.Split && hidden:
		out.Kind, out.From = catalog.Created, ""
	}
	return out
}

func (w *watcher) tellPosition() error {
	return w.send(&adminpb.ChangeEvent{Kind: position, Cursor: w.cursor(w.at), At: timestamppb.New(w.Now())})
}

// wait waits for something to happen, and tells meanwhile who reported.
func (w *watcher) wait(ctx context.Context, beat <-chan time.Time) error {
	grown := w.changes.Grown(w.at)
	for {
		select {
		case <-grown:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case r := <-w.reports:
			if err := w.tellReport(r); err != nil {
				return err
			}
		case <-beat:
			if again := callerOf(ctx).again; again != nil {
				if err := again(ctx); err != nil {
					return err
				}
			}
			if err := w.tellPosition(); err != nil {
				return err
			}
		}
	}
}

func (w *watcher) tellReport(r watch.Report) error {
	id := w.fleet.AssetOf(r.Ref)
	if id == "" || w.request.GetAsset() != "" && w.request.GetAsset() != id {
		return nil
	}
	return w.send(&adminpb.ChangeEvent{Kind: reported, At: timestamppb.New(r.At), AssetId: id, Source: r.Ref.Source, SourceId: r.Ref.ID, Missed: r.Missed})
}

// pause waits for a while, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
