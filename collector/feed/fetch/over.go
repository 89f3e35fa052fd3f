package fetch

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
)

// maxOver bounds the values that a stream is read over.
const maxOver = 20_000

// combination is one value for each of a stream's overs.
type combination struct {
	// mark names it in a bookmark.
	mark   string
	values map[string]string
}

// overPages reads a stream once for each of the values that it is read over.
// The order is that of their marks, so that a pass that was cut off goes on
// where it was, even if a value has come or gone since.
func (f *Fetcher) overPages(ctx context.Context, ask Ask, yield func(Page) error) error {
	all, err := f.combinations(ctx, ask.Stream)
	if err != nil {
		return err
	}
	at := ask.From
	for i, c := range all {
		if c.mark < at.Over {
			continue
		}
		one := ask
		one.over = c.values
		one.From = Bookmark{Records: at.Records}
		if c.mark == at.Over {
			one.From.Next = at.Next
		}
		err := f.list(ctx, one, func(p Page) error {
			// A total is that of one value only.
			p.Total = -1
			p.Next.Over = c.mark
			if p.Last && i+1 < len(all) {
				p.Last, p.Next.Over = false, all[i+1].mark
			}
			at = p.Next
			return yield(p)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", strings.ReplaceAll(c.mark, markSep, " "), err)
		}
	}
	return nil
}

// markSep parts the values in a mark; no value holds it.
const markSep = "\x1f"

// combinations returns the values, two levels of them as pairs, by mark.
func (f *Fetcher) combinations(ctx context.Context, s *manifest.Stream) ([]combination, error) {
	all := []combination{{values: map[string]string{}}}
	for i := range s.Over {
		var next []combination
		for _, c := range all {
			values, err := f.overValues(ctx, s, i, c.values)
			if err != nil {
				return nil, fmt.Errorf("find each %s: %w", s.Over[i].As, err)
			}
			for _, v := range values {
				one := combination{mark: strings.TrimPrefix(c.mark+markSep+v, markSep), values: maps.Clone(c.values)}
				one.values[s.Over[i].As] = v
				next = append(next, one)
			}
			if len(next) > maxOver {
				return nil, fmt.Errorf("more than %d values of %s: name those that are wanted in the settings", maxOver, s.Over[i].As)
			}
		}
		all = next
	}
	slices.SortFunc(all, func(a, b combination) int { return cmp.Compare(a.mark, b.mark) })
	return all, nil
}

// overValues returns the values of one over: those of its setting, or those
// that the system lists.
func (f *Fetcher) overValues(ctx context.Context, s *manifest.Stream, i int, outer map[string]string) ([]string, error) {
	o := s.Over[i]
	if given := strings.TrimSpace(f.o.Settings[o.Setting]); o.Setting != "" && (given != "" || o.List == nil) {
		var values []string
		for v := range strings.SplitSeq(given, ",") {
			if v = strings.TrimSpace(v); v != "" && !manifest.ValidOver(v) {
				return nil, fmt.Errorf("setting %q: %.40q is none: want values parted by commas", o.Setting, v)
			}
			values = append(values, v)
		}
		return unique(values), nil
	}
	inner := maps.Clone(outer)
	home, err := f.text(o.Home, outer)
	if err != nil {
		return nil, err
	}
	inner[o.As] = home
	at, err := path(o.Value)
	if err != nil {
		return nil, err
	}
	var values []string
	err = f.list(ctx, Ask{Stream: further(s, *o.List, o.As), over: inner}, func(p Page) error {
		for _, r := range p.Records {
			if v, ok := at.Get(r).(string); ok && manifest.ValidOver(v) {
				values = append(values, v)
			}
		}
		return bounded(len(values), maxOver)
	})
	if err == nil && len(values) == 0 {
		// That there are none cannot be told from credentials that see none.
		need := strings.Join(f.o.Manifest.Permissions, ", ")
		err = &Failure{Kind: Denied, text: "the system lists none that these credentials may see; this feed needs: " + need}
	}
	return unique(values), err
}

func bounded(n, most int) error {
	if n > most {
		return fmt.Errorf("a list has more than %d records", most)
	}
	return nil
}

func unique(values []string) []string {
	slices.Sort(values)
	return slices.Compact(values)
}

// further makes a stream of a list that is read beside one.
func further(s *manifest.Stream, l manifest.List, name string) *manifest.Stream {
	return &manifest.Stream{Name: s.Name + " (" + name + ")", Get: l.Get, Query: l.Query, Records: l.Records, Lacking: l.Lacking, Empty: l.Empty, Off: s.Off, Pager: l.Pager, Format: s.Format}
}

// overOf returns the values that a record was read over.
func overOf(s *manifest.Stream, o map[string]any) map[string]string {
	values := make(map[string]string, len(s.Over))
	for _, over := range s.Over {
		values[over.As], _ = o[over.As].(string)
	}
	return values
}
