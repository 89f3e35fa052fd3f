package view

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/collector/expr"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Findings are rules that assets fail, which a Part filters and sorts beside the
// assets that it holds. Their assets need not be in the part any more.
type Findings struct {
	Records []*storagepb.FindingRecord
	// Seen is one as conditions see it.
	Seen func(*storagepb.FindingRecord) expr.Finding
}

// FindingQuery asks for some of Findings.
type FindingQuery struct {
	// Filter is a condition on finding and asset, as package expr describes it;
	// empty is all.
	Filter string
	// OrderBy is one of FindingOrders or the path of a field of the asset, which
	// "desc" after a space turns round; empty is by asset and rule. What is not
	// stated comes last either way.
	OrderBy string
	// After is the Last of the page before, which must be of the same query.
	After string
	// Limit is the most that a page may hold.
	Limit int
	// Now is the time that the filter sees.
	Now time.Time
}

// FindingPage is what a FindingQuery found.
type FindingPage struct {
	// Found are the places of the findings among those that were asked about.
	Found []int
	// Total counts what was found, with what is on other pages.
	Total int
	// Last is where the next page begins, empty on the last page.
	Last string
}

// findingOrders are the fields of a finding to sort by.
var findingOrders = map[string]func(f *expr.Finding) value{
	"rule": func(f *expr.Finding) value { return textValue(f.Rule) },
	// By how grave it is, and not by its letters.
	"severity": func(f *expr.Finding) value {
		return value{stated: true, number: float64(slices.Index(severities, f.Severity))}
	},
	"state":        func(f *expr.Finding) value { return textValue(f.State) },
	"decided_by":   func(f *expr.Finding) value { return textValue(f.DecidedBy) },
	"reason":       func(f *expr.Finding) value { return textValue(f.Reason) },
	"opened_at":    func(f *expr.Finding) value { return timeValue(f.OpenedAt) },
	"decided_at":   func(f *expr.Finding) value { return timeValue(f.DecidedAt) },
	"waived_until": func(f *expr.Finding) value { return timeValue(f.WaivedUntil) },
	"resolved_at":  func(f *expr.Finding) value { return timeValue(f.ResolvedAt) },
	"last_seen":    func(f *expr.Finding) value { return timeValue(f.LastSeen) },
}

var severities = []string{"info", "low", "medium", "high", "critical"}

func textValue(s string) value {
	return value{stated: s != "", text: s[:min(len(s), maxSortText)]}
}

func timeValue(t time.Time) value {
	if t.IsZero() {
		return value{}
	}
	return value{stated: true, number: float64(t.Unix()), nanos: int32(t.Nanosecond())}
}

// FindingOrders are the fields of a finding to sort by, in order of text.
func FindingOrders() []string {
	names := make([]string, 0, len(findingOrders))
	for name := range findingOrders {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// findingEvaluation decides a filter on findings on one snapshot.
type findingEvaluation struct {
	evaluation
	Findings
	// at are the rows of their assets; absent where there is none.
	at []uint32
}

const absent = ^uint32(0)

// beside returns what is needed to look at findings beside their assets.
func (p Part) beside(ctx context.Context, all Findings, now time.Time) (*findingEvaluation, error) {
	s, err := p.fresh(ctx)
	if err != nil {
		return nil, err
	}
	e := &findingEvaluation{evaluation: evaluation{ctx: ctx, s: s, now: now}, Findings: all, at: make([]uint32, len(all.Records))}
	p.mu.Lock()
	for i := range e.at {
		id := all.Records[i].GetAssetId()
		if i > 0 && id == all.Records[i-1].GetAssetId() {
			e.at[i] = e.at[i-1]
			continue
		}
		e.at[i] = absent
		if where := p.assets[id]; where.here {
			e.at[i] = where.row
		}
	}
	p.mu.Unlock()
	for i, row := range e.at {
		// It may have come or gone since the snapshot.
		if row != absent && (row >= s.rows || s.ids.get(row) != all.Records[i].GetAssetId()) {
			e.at[i] = absent
		}
	}
	return e, nil
}

// MatchFindings returns the places of the findings on which a filter is true. An
// error that is a *QueryError tells what is wrong with the filter.
func (p Part) MatchFindings(ctx context.Context, filter string, now time.Time, all Findings) ([]int, error) {
	e, err := p.beside(ctx, all, now)
	if err != nil {
		return nil, err
	}
	found, err := e.match(filter)
	if err != nil {
		return nil, err
	}
	places := make([]int, 0, found.len())
	found.each(func(i uint32) bool {
		places = append(places, int(i))
		return true
	})
	return places, nil
}

// ListFindings answers a query on findings. An error that is a *QueryError tells
// what is wrong with it.
func (p Part) ListFindings(ctx context.Context, q FindingQuery, all Findings) (*FindingPage, error) {
	e, err := p.beside(ctx, all, q.Now)
	if err != nil {
		return nil, err
	}
	o, err := e.order(q.OrderBy)
	if err != nil {
		return nil, &QueryError{"order_by", err}
	}
	after, err := o.parse(q.After)
	if err != nil {
		return nil, err
	}
	found, err := e.match(q.Filter)
	if err != nil {
		return nil, err
	}
	page := &FindingPage{Total: found.len()}
	best, more := o.first(found, after, q.Limit)
	for _, k := range best {
		page.Found = append(page.Found, int(k.row))
	}
	if more {
		page.Last = o.format(best[len(best)-1])
	}
	return page, nil
}

func (e *findingEvaluation) order(by string) (*order, error) {
	o := &order{id: func(i uint32) string { return e.Records[i].GetAssetId() + "\x00" + e.Records[i].GetRule() }}
	path, descending, err := direction(by)
	if err != nil || path == "" {
		return o, err
	}
	o.descending = descending
	if of := findingOrders[strings.TrimPrefix(path, "finding.")]; of != nil {
		o.value = func(i uint32) value {
			f := e.Seen(e.Records[i])
			return of(&f)
		}
		return o, nil
	}
	if strings.HasPrefix(path, "finding.") {
		return nil, &FieldError{path, "is none of: " + strings.Join(FindingOrders(), ", ")}
	}
	f, err := e.s.find(strings.TrimPrefix(path, "asset."))
	if err != nil {
		return nil, fmt.Errorf("%w; findings are sorted by %s, or by a field of the asset, as in asset.name", err, strings.Join(FindingOrders(), ", "))
	}
	o.value = func(i uint32) value {
		if e.at[i] == absent {
			return value{}
		}
		return f.value(f.code(e.at[i]))
	}
	return o, nil
}

// match returns the findings on which a filter is true.
func (e *findingEvaluation) match(filter string) (set, error) {
	found := newSet(uint32(len(e.Records)))
	for i := range e.Records {
		found.add(uint32(i))
	}
	if strings.TrimSpace(filter) == "" {
		return found, e.ctx.Err()
	}
	n, err := e.s.view.findings.plan(filter)
	if err != nil {
		return nil, &QueryError{"filter", err}
	}
	if found, err = decide(n, found, e.leaf); errors.Is(err, expr.ErrLimit) {
		return nil, &QueryError{"filter", err}
	}
	return found, err
}

func (e *findingEvaluation) leaf(l *leaf, among set) (set, error) {
	if !l.ofAsset() {
		return e.each(l, among)
	}
	assets := newSet(e.s.rows)
	among.each(func(i uint32) bool {
		if e.at[i] != absent {
			assets.add(e.at[i])
		}
		return true
	})
	assets, err := e.evaluation.leaf(l, assets)
	if err != nil {
		return nil, err
	}
	out := make(set, len(among))
	among.each(func(i uint32) bool {
		if e.at[i] != absent && assets.has(e.at[i]) {
			out.add(i)
		}
		return true
	})
	return out, nil
}

// each decides a condition finding by finding; those that agree in all that it
// reads are decided once.
func (e *findingEvaluation) each(l *leaf, among set) (set, error) {
	known := make(map[string]expr.Value)
	few := !l.perRow() && !slices.ContainsFunc(l.finding, func(f string) bool { return f != "rule" && f != "severity" && f != "state" })
	out := make(set, len(among))
	var key, encoded []byte
	var failed error
	among.each(func(i uint32) bool {
		f := e.Seen(e.Records[i])
		if few {
			key = append(append(append(append(append(key[:0], f.Rule...), 0), f.Severity...), 0), f.State...)
			if e.at[i] != absent {
				key = e.s.key(append(key, 0), l, e.at[i])
			}
		}
		value, ok := known[string(key)]
		if !few || !ok {
			if value, encoded, failed = e.one(l, &f, e.at[i], encoded[:0]); failed != nil {
				return false
			}
			if few {
				known[string(key)] = value
			}
		}
		if value == expr.True {
			out.add(i)
		}
		return true
	})
	return out, failed
}

// one evaluates a condition on one finding and its asset.
func (e *findingEvaluation) one(l *leaf, f *expr.Finding, row uint32, encoded []byte) (expr.Value, []byte, error) {
	if e.ctx.Err() != nil {
		return expr.Unknown, encoded, context.Cause(e.ctx)
	}
	in := &expr.Input{Now: e.now}
	if row != absent {
		var err error
		if in, encoded, err = e.input(l, row, encoded); err != nil {
			return expr.Unknown, encoded, err
		}
	}
	in.Finding = f
	out, err := l.program.EvalContext(e.ctx, in)
	return out.Value, encoded, err
}
