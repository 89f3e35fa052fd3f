package fetch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/record"
)

// maxPages bounds one pass over a stream: at two records a page it is still
// more than any system lists.
const maxPages = 200_000

// Bookmark is where a pass over a stream goes on.
type Bookmark struct {
	// Next is what the pager asks for: an address, a token or a number; empty at
	// the beginning.
	Next string `json:"next,omitempty"`
	// Over is which of the values the page belongs to that the stream is read
	// over.
	Over string `json:"over,omitempty"`
	// Records is how many records the pages before it had.
	Records int `json:"records,omitempty"`
}

// Page is a part of a list.
type Page struct {
	Records []any
	// Total is how many records the system says there are, -1 where it does not.
	Total int
	// Lost is how many records were announced and did not come.
	Lost int
	// Next is where the list goes on; Last is set where it ends.
	Next Bookmark
	Last bool
}

// Ask says which part of a stream is asked for.
type Ask struct {
	Stream *manifest.Stream
	From   Bookmark
	// Since, if not zero, asks for what changed since then.
	Since time.Time
	// over are the values that the stream is read over, by name.
	over map[string]string
}

// Pages reads a stream to its end. yield gets each page before the next is
// asked for, and may end the pass with an error.
func (f *Fetcher) Pages(ctx context.Context, ask Ask, yield func(Page) error) error {
	if len(ask.Stream.Over) > 0 {
		return f.overPages(ctx, ask, yield)
	}
	return f.list(ctx, ask, yield)
}

// list reads one list to its end.
func (f *Fetcher) list(ctx context.Context, ask Ask, yield func(Page) error) error {
	p, err := newPager(ask.Stream.Pager)
	if err != nil {
		return err
	}
	w := &walker{f: f, ask: ask, pager: p, seen: make(map[[32]byte]bool)}
	if w.records, err = path(ask.Stream.Records); err != nil {
		return err
	}
	at := ask.From
	for range maxPages {
		page, err := w.page(ctx, at)
		if err != nil {
			return err
		}
		if err := yield(page); err != nil || page.Last {
			return err
		}
		at = page.Next
	}
	return w.broken("the list has more than %d pages", maxPages)
}

// walker reads the pages of one stream.
type walker struct {
	f       *Fetcher
	ask     Ask
	pager   *pager
	records record.Path
	// seen holds what was asked for and, where pages are numbered, what the
	// last page was: a list that comes back to either has no end.
	seen map[[32]byte]bool
	last [32]byte
	// sides are the further lists that join this one, read before its first page.
	sides []*side
}

func (w *walker) broken(format string, args ...any) error {
	return w.f.broken("stream "+w.ask.Stream.Name, fmt.Errorf(format, args...))
}

// page asks for one page.
func (w *walker) page(ctx context.Context, at Bookmark) (Page, error) {
	mark := sha256.Sum256([]byte(at.Next))
	scroll := w.pager.Cursor != nil && w.pager.Cursor.Scroll
	if w.seen[mark] && !scroll {
		return Page{}, w.broken("the list comes back to a page that was read (%q): it would never end", w.f.mask(at.Next))
	}
	w.seen[mark] = true
	c, err := w.call(at)
	if err != nil {
		return Page{}, err
	}
	if err := w.readSides(ctx); err != nil {
		return Page{}, err
	}
	a, v, err := w.f.json(ctx, c, w.ask.Stream.Format)
	if err != nil {
		return Page{}, err
	}
	if a.none {
		return Page{Total: -1, Last: true}, nil
	}
	if err := w.f.within(c, w.ask.Stream.Errors, v); err != nil {
		return Page{}, err
	}
	page := Page{Total: w.pager.total(a.header, v)}
	listed, found := w.records.List(v)
	if w.ask.Stream.Format == "xml" && w.records.Get(v) == "" {
		listed, found = nil, true // an element without content
	}
	if _, isObject := v.(map[string]any); !found && !(w.ask.Stream.Lacking && isObject) {
		return Page{}, w.broken("the answer has no records at %q: it is %s", w.ask.Stream.Records, outline(v))
	}
	page.Next = Bookmark{Records: at.Records + len(listed)}
	page.Next.Next, err = w.pager.next(c.url, a.header, v, state{at: at, listed: len(listed), seen: page.Next.Records, total: page.Total})
	if err != nil {
		return Page{}, w.f.broken(c.what(), err)
	}
	page.Last = page.Next.Next == ""
	if err := w.repeats(a.body, len(listed), page.Last); err != nil {
		return Page{}, err
	}
	if page.Records, page.Lost, err = w.f.batch(ctx, w.ask.Stream, listed); err != nil {
		return Page{}, err
	}
	page.Records, err = w.shape(page.Records, v)
	return page, err
}

// repeats tells of a system that answers every number with the same page.
func (w *walker) repeats(body []byte, records int, last bool) error {
	sum := sha256.Sum256(body)
	guarded := w.pager.Page != nil || w.pager.Offset != nil || w.pager.Cursor != nil && w.pager.Cursor.Scroll
	same := guarded && records > 0 && !last && sum == w.last
	w.last = sum
	if same {
		return w.broken("two pages in a row are the same: the system ignores the page that is asked for")
	}
	return nil
}

// outline tells what an answer is, by its keys.
func outline(v any) string {
	o, ok := v.(map[string]any)
	if !ok {
		return fmt.Sprintf("%T", v)
	}
	s := "an object with"
	for i, k := range slices.Sorted(maps.Keys(o)) {
		if i == 12 {
			return s + " ..."
		}
		s += " " + k
	}
	return s
}

// call makes the request for a page.
func (w *walker) call(at Bookmark) (call, error) {
	s := w.ask.Stream
	first, params, err := w.f.listCall(s, w.extra())
	first.over, first.off = w.ask.over, s.Off
	if err != nil {
		return first, err
	}
	if !w.ask.Since.IsZero() {
		if err := w.f.fillValues(params, s.Cursor.Query, w.extra()); err != nil {
			return first, err
		}
	}
	first.url.RawQuery = params.Encode()
	return first, w.pager.turn(&first, at)
}

func (w *walker) extra() map[string]string {
	if w.ask.Since.IsZero() {
		return w.ask.over
	}
	extra := map[string]string{manifest.NameCursor: formatTime(w.ask.Since, w.ask.Stream.Cursor.Format)}
	maps.Copy(extra, w.ask.over)
	return extra
}

func formatTime(t time.Time, layout string) string {
	switch layout {
	case "", "rfc3339":
		return t.UTC().Format("2006-01-02T15:04:05Z")
	case "unix":
		return fmt.Sprint(t.Unix())
	case "unix_ms":
		return fmt.Sprint(t.UnixMilli())
	}
	return t.UTC().Format(layout)
}

// listCall makes a stream's request without its page.
func (f *Fetcher) listCall(s *manifest.Stream, extra map[string]string) (call, url.Values, error) {
	c := call{method: http.MethodGet, empty: s.Empty}
	address := s.Get
	if s.Post != "" {
		c.method, address = http.MethodPost, s.Post
	}
	var err error
	if c.url, err = f.resolve(address, extra); err != nil {
		return c, nil, err
	}
	params := c.url.Query()
	if err := f.fillValues(params, s.Query, extra); err != nil {
		return c, nil, err
	}
	switch {
	case s.Body != nil:
		c.kind = "application/json"
		c.body, err = f.jsonBody(s.Body, extra)
	case s.Form != nil:
		form := url.Values{}
		err = f.fillValues(form, s.Form, extra)
		c.kind, c.body = "application/x-www-form-urlencoded", []byte(form.Encode())
	}
	return c, params, err
}

// within looks for errors in an answer whose code means success.
func (f *Fetcher) within(c call, where string, v any) error {
	if where == "" {
		return nil
	}
	p, err := path(where)
	if err != nil {
		return err
	}
	switch e := p.Get(v).(type) {
	case nil:
		return nil
	case []any:
		if len(e) == 0 {
			return nil
		}
	case string:
		if e == "" {
			return nil
		}
		return f.broken(c.what(), fmt.Errorf("the answer tells of an error: %q", e))
	}
	for _, m := range messages {
		if at, err := path(m); err == nil {
			if s, ok := at.Get(v).(string); ok && s != "" {
				return f.broken(c.what(), fmt.Errorf("the answer tells of an error: %q", s))
			}
		}
	}
	return f.broken(c.what(), errors.New("the answer tells of an error"))
}
