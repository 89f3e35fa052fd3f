package feed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/mapping"
	"github.com/rollcall-itam/rollcall/collector/feed/record"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	// parallel is how much is stored at once of what waits for nothing else: the
	// store commits it as one group.
	parallel = 32
	// portion is how many observations the sink is handed at once.
	portion = 64
	// stale is how many pages in a row without a record that is new mean that a
	// list goes round in circles.
	stale = 3
	// skew is how far ahead a system's clock may be.
	skew = 5 * time.Minute
)

// pass is one reading of a feed.
type pass struct {
	o      Options
	source *source
	keep   keeper
	board  *board
	memory *memory
	at     *checkpoint
	seen   seen
	// accept takes absences as they are, however many: somebody has looked.
	accept bool
	// idle counts pages in a row without a new record.
	idle int
}

// run reads a feed once, going on where an earlier pass was cut off if the
// system's mark still holds.
func (p *pass) run(ctx context.Context) error {
	s := p.source
	if err := p.begin(ctx); err != nil {
		return err
	}
	for ; p.at.Stream < len(s.Manifest.Streams); p.at.Stream++ {
		stream := &s.Manifest.Streams[p.at.Stream]
		p.board.change(func(st *Status) { st.Pass.Stream = stream.Name })
		var err error
		if stream.Lookup != nil {
			err = p.lookup(ctx, stream)
		} else {
			err = p.stream(ctx, stream)
		}
		if err != nil {
			return fmt.Errorf("stream %s: %w", stream.Name, err)
		}
		p.at.Mark, p.idle = fetch.Bookmark{}, 0
	}
	return p.end(ctx)
}

// begin goes on with a pass that was cut off, or starts one.
func (p *pass) begin(ctx context.Context) error {
	now := p.o.Now()
	if p.resumable(now) {
		var err error
		if p.seen, err = p.keep.read(ctx, p.memory.Pass.Seen); err == nil {
			p.at = p.memory.Pass
			p.board.change(func(s *Status) { s.Pass = Progress{Full: p.at.Full, Started: p.at.Started} })
			return nil
		}
		// What was seen is lost: the pass starts anew.
		p.o.Logger.Warn("feed starts its pass anew", "feed", p.source.Name, "error", err)
	}
	if p.memory.Pass != nil {
		if err := p.keep.drop(ctx, p.memory.Pass.Seen); err != nil {
			return err
		}
	}
	full := p.memory.FullDue || now.Sub(p.memory.LastFull) >= p.source.FullEvery || !p.incremental()
	p.seen = make(seen)
	p.at = &checkpoint{Full: full, Started: now, At: now, Seen: seenSet{ID: other(p.memory.Complete.ID)},
		Changed: make(map[string]time.Time), Records: make(map[string]int), Totals: make(map[string]int)}
	p.memory.Pass = p.at
	p.board.change(func(s *Status) { s.Pass = Progress{Full: full, Started: now} })
	return p.keep.save(ctx, *p.memory)
}

// other names the set that is not in use.
func other(id string) string {
	if id == "a" {
		return "b"
	}
	return "a"
}

// resumable tells whether the mark of a pass that was cut off still holds.
func (p *pass) resumable(now time.Time) bool {
	at := p.memory.Pass
	if at == nil || at.Stream >= len(p.source.Manifest.Streams) || p.memory.FullDue && !at.Full {
		return false
	}
	good := time.Duration(*p.source.Manifest.Streams[at.Stream].Pager.Good)
	return now.Sub(at.At) <= good && at.Mark != fetch.Bookmark{Records: at.Mark.Records}
}

// incremental tells whether there is anything to read changes by.
func (p *pass) incremental() bool {
	for _, s := range p.source.Manifest.Streams {
		if s.Cursor != nil && !p.memory.Streams[s.Name].Changed.IsZero() {
			return true
		}
	}
	return false
}

// stream reads one list to its end.
func (p *pass) stream(ctx context.Context, s *manifest.Stream) error {
	ask := fetch.Ask{Stream: s, From: p.at.Mark}
	if s.Cursor != nil && !p.at.Full {
		if changed := p.memory.Streams[s.Name].Changed; !changed.IsZero() {
			ask.Since = changed.Add(-time.Duration(s.Cursor.Overlap))
		}
	}
	return p.source.reader.Pages(ctx, ask, func(page fetch.Page) error {
		if err := p.source.reader.Join(ctx, s, page.Records, p.source.mappings[p.at.Stream], p.keep); err != nil {
			return err
		}
		p.at.Records[s.Name] += len(page.Records)
		p.at.Unread += page.Lost
		if page.Total >= 0 {
			p.at.Totals[s.Name] = page.Total
		}
		p.progress(s, page)
		if err := p.take(ctx, s, page.Records); err != nil {
			return err
		}
		p.at.Mark, p.at.At = page.Next, p.o.Now()
		return p.keep.save(ctx, *p.memory)
	})
}

func (p *pass) progress(s *manifest.Stream, page fetch.Page) {
	total := max(page.Total, 0)
	if total == 0 && p.at.Full {
		total = p.memory.Streams[s.Name].Records
	}
	p.board.change(func(st *Status) {
		st.Pass.Pages++
		st.Pass.Records += len(page.Records)
		st.Pass.Total = total
	})
}

// take files the records of a page.
func (p *pass) take(ctx context.Context, s *manifest.Stream, records []any) error {
	results := p.apply(s, records)
	var fresh []uint64
	for id := range results {
		if h := hashID(id); !p.seen.has(id) {
			fresh = append(fresh, h)
			p.seen[h] = struct{}{}
		}
	}
	if p.idle++; len(fresh) > 0 || len(results) == 0 {
		p.idle = 0
	}
	if p.idle >= stale {
		return fmt.Errorf("%d pages in a row had no record that is new: the list goes round in circles", stale)
	}
	if err := p.file(ctx, results); err != nil {
		return err
	}
	return p.keep.add(ctx, &p.at.Seen, fresh)
}

// apply maps the records of a page. Of several with one id the last holds, as
// it would over two pages.
func (p *pass) apply(s *manifest.Stream, records []any) map[string]mapping.Result {
	results := make(map[string]mapping.Result, len(records))
	now := p.o.Now()
	var changed record.Path
	if s.Cursor != nil {
		// The manifest was checked: the path can be parsed.
		changed, _ = record.ParsePath(s.Cursor.Field)
	}
	for _, r := range records {
		res, err := p.source.mappings[p.at.Stream].Apply(p.source.Name, r, now)
		if err != nil {
			p.board.problem(Problem{SourceID: res.SourceID, Text: err.Error()})
			if res.SourceID == "" {
				p.at.Unread++
				continue
			}
			// It is there, and what it said before stays.
			results[res.SourceID] = mapping.Result{SourceID: res.SourceID}
			continue
		}
		if s.Cursor != nil {
			if t, ok := mapping.Time(changed.Get(r)); ok && t.After(p.at.Changed[s.Name]) && t.Before(now.Add(skew)) {
				p.at.Changed[s.Name] = t
			}
		}
		results[res.SourceID] = res
		for _, problem := range res.Observation.GetProblems() {
			p.board.problem(Problem{SourceID: res.SourceID, Field: problem.Fact, Text: problem.Error})
		}
	}
	return results
}

// file hands what became of records to the sink, in portions.
func (p *pass) file(ctx context.Context, results map[string]mapping.Result) error {
	var stated []*pb.Observation
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, res := range results {
		switch {
		case res.Skipped:
			g.Go(func() error { return p.withdraw(ctx, res.SourceID) })
		case res.Observation != nil:
			stated = append(stated, res.Observation)
		}
	}
	for some := range slices.Chunk(stated, portion) {
		g.Go(func() error { return p.state(ctx, some) })
	}
	return g.Wait()
}

// withdraw takes back what was said of a record that the manifest leaves out.
func (p *pass) withdraw(ctx context.Context, id string) error {
	if err := p.o.Sink.Withdraw(ctx, p.source.Name, id); err != nil {
		return fmt.Errorf("withdraw %s: %w", id, err)
	}
	p.board.change(func(s *Status) { s.Pass.Skipped++ })
	return nil
}

// state files a portion of the observations of a page.
func (p *pass) state(ctx context.Context, some []*pb.Observation) error {
	var failed error
	filed := 0
	for i, err := range p.o.Sink.AcceptAll(ctx, some) {
		switch {
		case err == nil:
			filed++
		case errors.Is(err, ErrRejected):
			p.board.problem(Problem{SourceID: some[i].GetSourceId(), Text: err.Error()})
		case failed == nil:
			failed = fmt.Errorf("file %s: %w", some[i].GetSourceId(), err)
		}
	}
	p.board.change(func(s *Status) { s.Pass.Stated += filed })
	return failed
}
