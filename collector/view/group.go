package view

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// GroupQuery asks how many assets have each value of a field.
type GroupQuery struct {
	// By is the path of a field, as in os.version or labels.site.
	By             string
	Filter, Search string
	// Limit is the most groups to name; the others are counted.
	Limit int
	Now   time.Time
}

// Value is one group of a GroupQuery.
type Value struct {
	// Stated is false for the assets that do not state the field; Text is empty
	// then, and else as the JSON of an asset shows it.
	Stated bool
	Text   string
	Count  int
}

// Groups is the answer to a GroupQuery.
type Groups struct {
	// Values come by their count, the greatest first.
	Values []Value
	// Total counts the assets, Groups the groups, and Rest the assets in groups
	// that are not named.
	Total, Groups, Rest int
}

// GroupBy answers a question for groups; its errors are those of List.
func (p Part) GroupBy(ctx context.Context, q GroupQuery) (*Groups, error) {
	s, err := p.fresh(ctx)
	if err != nil {
		return nil, err
	}
	f, err := s.find(q.By)
	if err != nil {
		return nil, &QueryError{"by", err}
	}
	found, err := s.match(ctx, q.Filter, q.Search, q.Now)
	if err != nil {
		return nil, err
	}
	byText := make(map[Value]int)
	f.count(found, func(code uint32, n int) {
		byText[Value{Stated: f.value(code).stated, Text: f.text(code)}] += n
	})
	out := &Groups{Total: found.len(), Groups: len(byText)}
	for value, n := range byText {
		value.Count = n
		out.Values = append(out.Values, value)
	}
	slices.SortFunc(out.Values, func(a, b Value) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Text, b.Text), boolOrder(a.Stated, b.Stated))
	})
	if len(out.Values) > q.Limit {
		for _, value := range out.Values[q.Limit:] {
			out.Rest += value.Count
		}
		out.Values = out.Values[:q.Limit]
	}
	return out, nil
}

// count calls fn with each code that any of the rows has, and how many have it.
func (f *field) count(rows set, fn func(code uint32, n int)) {
	if f.latest {
		counts := make(map[uint32]int)
		rows.each(func(row uint32) bool {
			counts[f.code(row)]++
			return true
		})
		for code, n := range counts {
			fn(code, n)
		}
		return
	}
	counts := make([]int, len(f.s.values[f.column.index]))
	rows.each(func(row uint32) bool {
		counts[f.code(row)]++
		return true
	})
	for code, n := range counts {
		if n > 0 {
			fn(uint32(code), n)
		}
	}
}

func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}
