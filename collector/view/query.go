package view

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/collector/expr"
)

// Query asks for assets.
type Query struct {
	// Filter is a condition as package expr describes it; empty is all assets.
	Filter string
	// Search are words, each of which must be found in the assets or in the names
	// of their software.
	Search string
	// Product is the id of software that the assets have, in one version or, where
	// Version is empty, in any.
	Product, Version string
	// OrderBy is the path of a field, which "desc" after a space turns round; empty
	// is by id. What is not stated comes last either way.
	OrderBy string
	// After is the Last of the page before, which must be of the same query.
	After string
	// Limit is the most that a page may hold.
	Limit int
	// Now is the time that the filter sees.
	Now time.Time
}

// Page is what a query found.
type Page struct {
	IDs []string
	// Places are where the page that begins after each of IDs begins, for Query.After.
	Places []string
	// Total counts what was found, with what is on other pages.
	Total int
	// Last is where the next page begins, empty on the last page.
	Last string
}

// ErrPosition is returned for a Query.After that no page ended with.
var ErrPosition = errors.New("this is not where a page ended")

// QueryError says which part of a query cannot be answered, and why.
type QueryError struct {
	Part string
	Err  error
}

// Error implements error.
func (e *QueryError) Error() string { return e.Part + ": " + e.Err.Error() }

// Unwrap returns what is wrong with the part.
func (e *QueryError) Unwrap() error { return e.Err }

// List answers a query. An error that is a *QueryError tells what is wrong with
// the query.
func (p Part) List(ctx context.Context, q Query) (*Page, error) {
	s, err := p.fresh(ctx)
	if err != nil {
		return nil, err
	}
	return s.List(ctx, q)
}

// List is Part.List at the moment of the snapshot.
func (s *Snapshot) List(ctx context.Context, q Query) (*Page, error) {
	o, err := s.order(q.OrderBy)
	if err != nil {
		return nil, &QueryError{"order_by", err}
	}
	o.id = s.ids.get
	after, err := o.parse(q.After)
	if err != nil {
		return nil, err
	}
	found, err := s.match(ctx, q.Filter, q.Search, q.Now)
	if err != nil {
		return nil, err
	}
	if q.Product != "" {
		if found, err = s.having(q.Product, q.Version, found); err != nil {
			return nil, err
		}
	}
	page := &Page{Total: found.len()}
	best, more := o.first(found, after, q.Limit)
	for _, k := range best {
		page.IDs, page.Places = append(page.IDs, k.id), append(page.Places, o.format(k))
	}
	if more {
		page.Last = page.Places[len(best)-1]
	}
	return page, nil
}

// All returns the ids of all assets that a query finds, sorted; its order and
// its page are not looked at.
func (p Part) All(ctx context.Context, q Query) ([]string, error) {
	s, err := p.fresh(ctx)
	if err != nil {
		return nil, err
	}
	found, err := s.match(ctx, q.Filter, q.Search, q.Now)
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, found.len())
	found.each(func(row uint32) bool {
		ids = append(ids, s.ids.get(row))
		return true
	})
	slices.Sort(ids)
	return ids, nil
}

// match returns the rows that a filter and a search find.
func (s *Snapshot) match(ctx context.Context, filter, search string, now time.Time) (set, error) {
	found := s.all()
	if strings.TrimSpace(filter) != "" {
		n, err := s.plans.plan(filter)
		if err != nil {
			return nil, &QueryError{"filter", err}
		}
		found, err = (&evaluation{ctx: ctx, s: s, now: now}).filter(n, found)
		if errors.Is(err, expr.ErrLimit) {
			return nil, &QueryError{"filter", err}
		}
		if err != nil {
			return nil, err
		}
	}
	return s.search(search, found), ctx.Err()
}

// order is how assets, or things of assets, are sorted: by a value, and by id
// where that is equal.
type order struct {
	id func(row uint32) string
	// value is nil where the id alone decides.
	value      func(row uint32) value
	descending bool
}

// key is what one row is sorted by.
type key struct {
	row   uint32
	value value
	id    string
}

func (s *Snapshot) order(by string) (*order, error) {
	path, descending, err := direction(by)
	if err != nil || path == "" || path == "id" && !descending {
		return new(order), err
	}
	f, err := s.find(path)
	return &order{value: func(row uint32) value { return f.value(f.code(row)) }, descending: descending}, err
}

// direction takes an order apart into a field, empty for none, and whether it is
// turned round.
func direction(by string) (path string, descending bool, err error) {
	words := strings.Fields(by)
	switch {
	case len(words) == 0:
		return "", false, nil
	case len(words) == 1:
		return words[0], false, nil
	case len(words) == 2 && (words[1] == "desc" || words[1] == "asc"):
		return words[0], words[1] == "desc", nil
	}
	return "", false, &FieldError{by, "is no order: name one field, and desc after it to turn it round"}
}

func (o *order) compare(a, b *key) int {
	if o.value != nil {
		if d := compareValues(a.value, b.value, o.descending); d != 0 {
			return d
		}
	}
	return cmp.Compare(a.id, b.id)
}

// first returns the first rows after a key, in order, and whether there are
// more. It keeps a heap of the best so far, the last of them on top.
func (o *order) first(found set, after *key, limit int) (best []key, more bool) {
	limit = max(limit, 1)
	last := func(i, j int) bool { return o.compare(&best[i], &best[j]) > 0 }
	found.each(func(row uint32) bool {
		k := key{row: row, id: o.id(row)}
		if o.value != nil {
			k.value = o.value(row)
		}
		if after != nil && o.compare(&k, after) <= 0 {
			return true
		}
		if len(best) < limit {
			best = append(best, k)
			for i := len(best) - 1; i > 0 && last(i, (i-1)/2); i = (i - 1) / 2 {
				best[i], best[(i-1)/2] = best[(i-1)/2], best[i]
			}
			return true
		}
		more = true
		if o.compare(&k, &best[0]) >= 0 {
			return true
		}
		best[0] = k
		sink(best, last)
		return true
	})
	slices.SortFunc(best, func(a, b key) int { return o.compare(&a, &b) })
	return best, more
}

// sink restores a heap whose top was changed.
func sink(heap []key, above func(i, j int) bool) {
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(heap) {
			return
		}
		if child+1 < len(heap) && above(child+1, child) {
			child++
		}
		if !above(child, i) {
			return
		}
		heap[i], heap[child] = heap[child], heap[i]
		i = child
	}
}

// format writes a key down as the place where a page ended.
func (o *order) format(k key) string {
	if o.value == nil {
		return k.id
	}
	b := []byte{0}
	if k.value.stated {
		b[0] = 1
	}
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(k.value.number))
	b = binary.BigEndian.AppendUint32(b, uint32(k.value.nanos))
	b = binary.AppendUvarint(b, uint64(len(k.value.text)))
	return string(b) + k.value.text + k.id
}

// parse reads what format wrote.
func (o *order) parse(text string) (*key, error) {
	switch {
	case text == "":
		return nil, nil
	case o.value == nil:
		return &key{id: text}, nil
	case len(text) < 14:
		return nil, ErrPosition
	}
	b := []byte(text)
	k := &key{value: value{stated: b[0] == 1, number: math.Float64frombits(binary.BigEndian.Uint64(b[1:])), nanos: int32(binary.BigEndian.Uint32(b[9:]))}}
	size, n := binary.Uvarint(b[13:])
	if n <= 0 || size > uint64(len(b)-13-n) {
		return nil, ErrPosition
	}
	k.value.text, k.id = text[13+n:13+n+int(size)], text[13+n+int(size):]
	return k, nil
}
