package view

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/rollcall-itam/rollcall/collector/expr"
)

// verdicts remembers what a condition says of the values of a column, or of
// titles, as far as they were looked at.
type verdicts struct {
	mu sync.Mutex
	// of is what the values are of.
	of any
	// They hold from one time until another; zero is for ever.
	from, until time.Time
	known       []expr.Value
}

// look returns the verdicts on n values, asking for those that are not known.
func (v *verdicts) look(ctx context.Context, of any, now time.Time, n int, ask func(i int) (expr.Outcome, error)) ([]expr.Value, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.of != of || now.Before(v.from) || !v.until.IsZero() && !now.Before(v.until) {
		v.of, v.from, v.until, v.known = of, now, time.Time{}, nil
	}
	for i := len(v.known); i < n; i++ {
		if i%chunkRows == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		out, err := ask(i)
		if err != nil {
			return nil, err
		}
		if !out.Next.IsZero() && (v.until.IsZero() || out.Next.Before(v.until)) {
			v.until = out.Next
		}
		v.known = append(v.known, out.Value)
	}
	return v.known[:n:n], nil
}

// memo remembers what a condition says of what it reads of a row.
type memo struct {
	mu sync.Mutex
	// of are the dictionaries that the keys are of.
	of    []*dictionary
	from  time.Time
	known map[string]remembered
}

// remembered is an outcome and until when it holds; zero is for ever.
type remembered struct {
	value expr.Value
	until int64
}

// maxKnown bounds the memory of a condition.
const maxKnown = 1 << 17

// begin locks the memo and forgets what is of another time or other columns.
func (m *memo) begin(e *evaluation, l *leaf) {
	of := make([]*dictionary, len(l.reads))
	for i, c := range l.reads {
		of[i] = e.s.dictionaries[c.index]
	}
	m.mu.Lock()
	if m.known == nil || !slices.Equal(m.of, of) || e.now.Before(m.from) || len(m.known) >= maxKnown {
		m.of, m.from, m.known = of, e.now, make(map[string]remembered)
	}
}

func (m *memo) get(key []byte, now time.Time) (expr.Value, bool) {
	r, ok := m.known[string(key)]
	if !ok || r.until != 0 && now.UnixNano() >= r.until {
		return 0, false
	}
	return r.value, true
}

func (m *memo) put(key []byte, o expr.Outcome) {
	if len(m.known) >= maxKnown {
		return
	}
	r := remembered{value: o.Value}
	if !o.Next.IsZero() {
		// Times that UnixNano cannot tell are centuries away.
		r.until = min(o.Next.Unix(), math.MaxInt64/int64(time.Second)-1)*int64(time.Second) + int64(o.Next.Nanosecond())
	}
	m.known[string(key)] = r
}
