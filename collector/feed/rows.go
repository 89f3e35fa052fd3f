package feed

import (
	"context"
	"errors"

	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/table"
)

// rows reads a table as a system of one list.
type rows struct{ *table.Table }

// Pages implements reader. A file is always read from its beginning.
func (r rows) Pages(ctx context.Context, _ fetch.Ask, yield func(fetch.Page) error) error {
	n := 0
	return r.Read(ctx, func(records []any, total int) error {
		n += len(records)
		return yield(fetch.Page{Records: records, Total: total, Last: n >= total, Next: fetch.Bookmark{Records: n}})
	})
}

// Join implements reader.
func (rows) Join(context.Context, *manifest.Stream, []any, fetch.Chooser, fetch.Cache) error {
	return nil
}

// Lookup implements reader.
func (rows) Lookup(context.Context, *manifest.Stream, []string) ([]any, error) {
	return nil, errors.New("a table answers no questions")
}
