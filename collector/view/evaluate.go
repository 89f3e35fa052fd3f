package view

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// evaluation decides one filter on one snapshot.
type evaluation struct {
	ctx context.Context
	s   *Snapshot
	now time.Time
}

// filter returns the rows among some on which a filter is true.
func (e *evaluation) filter(n *node, among set) (set, error) { return decide(n, among, e.leaf) }

// decide returns those among some on which a condition is true, of which leaf
// decides the parts.
func decide(n *node, among set, leaf func(*leaf, set) (set, error)) (set, error) {
	if n.leaf != nil {
		return leaf(n.leaf, among)
	}
	if !n.either {
		for _, p := range n.parts {
			var err error
			if among, err = decide(p, among, leaf); err != nil {
				return nil, err
			}
		}
		return among, nil
	}
	found, rest := make(set, len(among)), among
	for _, p := range n.parts {
		more, err := decide(p, rest, leaf)
		if err != nil {
			return nil, err
		}
		found.or(more)
		rest = rest.minus(more)
	}
	return found, nil
}

func (e *evaluation) leaf(l *leaf, among set) (set, error) {
	switch {
	case l.titles != nil:
		return e.title(l, among)
	case l.single():
		return e.column(l, among)
	}
	return e.rows(l, among)
}

// column decides a condition on one column, once for each distinct value.
func (e *evaluation) column(l *leaf, among set) (set, error) {
	c := l.reads[0]
	values := e.s.values[c.index]
	// One verdict more, the last, on a list that is known to be empty: it comes
	// first, since there may be more values the next time.
	known, err := l.verdicts.look(e.ctx, e.s.dictionaries[c.index], e.now, len(values)+1, func(i int) (expr.Outcome, error) {
		if i == 0 {
			return e.ask(l, e.s.schema.emptied(l.parent))
		}
		if l.text != nil && i > 1 {
			return outcome(l.text(values[i-1])), nil
		}
		return e.ask(l, c.encode(e.s.schema, values[i-1]))
	})
	if err != nil {
		return nil, err
	}
	out := newSet(e.s.rows)
	for first := uint32(0); first < e.s.rows; first += chunkRows {
		codes := e.s.columns[c.index].rows(first)
		if codes == nil {
			codes = new([chunkRows]uint32)
		}
		for i := range uint32(min(chunkRows, e.s.rows-first)) {
			verdict := known[codes[i]+1]
			if codes[i] == 0 && l.parent != nil && e.s.present(first+i, l.parent) {
				verdict = known[0]
			}
			if verdict == expr.True {
				out.add(first + i)
			}
		}
	}
	return out.and(among), nil
}

func outcome(yes bool) expr.Outcome {
	if yes {
		return expr.Outcome{Value: expr.True}
	}
	return expr.Outcome{Value: expr.False}
}

// encode returns an asset that has but one value, encoded.
func (c *column) encode(s *schema, value string) []byte {
	if c.index == shapeColumn {
		return s.appendShape(nil, value)
	}
	if value == "" {
		return nil
	}
	return c.appendValue(nil, value)
}

// emptied returns an asset that has an empty message, encoded.
func (s *schema) emptied(m *message) []byte {
	if m == nil {
		return nil
	}
	return appendWrapped(nil, m.wrap, "")
}

// present tells whether a row has a message.
func (s *Snapshot) present(row uint32, m *message) bool {
	shape := s.values[shapeColumn][s.columns[shapeColumn].get(row)]
	return m.bit/8 < len(shape) && shape[m.bit/8]&(1<<(m.bit%8)) != 0
}

// ask evaluates a condition on an encoded asset alone.
func (e *evaluation) ask(l *leaf, encoded []byte) (expr.Outcome, error) {
	a, err := decode(encoded)
	if err != nil {
		return expr.Outcome{}, err
	}
	return l.program.EvalContext(e.ctx, &expr.Input{Asset: a, Now: e.now})
}

func decode(encoded []byte) (*pb.Asset, error) {
	a := new(pb.Asset)
	if err := proto.Unmarshal(encoded, a); err != nil {
		return nil, fmt.Errorf("put an asset together from columns: %w", err)
	}
	return a, nil
}

// title decides a condition on titles, once for each title that may be meant.
func (e *evaluation) title(l *leaf, among set) (set, error) {
	ask := func(i int) (expr.Outcome, error) {
		return l.program.EvalContext(e.ctx, &expr.Input{Asset: new(pb.Asset), Software: expr.Rows{e.s.titles[i]}, Now: e.now})
	}
	found := newSet(e.s.rows)
	add := func(title uint32, v expr.Value) {
		if v == expr.True || l.negated && v == expr.Unknown {
			e.s.addPosting(found, title)
		}
	}
	if l.titles.name == "" && l.titles.part == "" {
		known, err := l.ofTitles.look(e.ctx, e.s.view, e.now, len(e.s.titles), ask)
		if err != nil {
			return nil, err
		}
		for title, v := range known {
			add(uint32(title), v)
		}
	} else if err := e.meant(l, ask, add); err != nil {
		return nil, err
	}
	if !l.negated {
		return found.and(among), nil
	}
	return e.stated(among).minus(found), nil
}

// meant asks of the titles that a name may mean.
func (e *evaluation) meant(l *leaf, ask func(int) (expr.Outcome, error), add func(uint32, expr.Value)) error {
	titles := e.s.titlesNamed(l.titles)
	for _, title := range titles {
		out, err := ask(int(title))
		if err != nil {
			return err
		}
		add(title, out.Value)
	}
	return nil
}

func (s *Snapshot) titlesNamed(t *titleLeaf) []uint32 {
	if t.name != "" {
		return s.view.titles.named(t.name, len(s.titles))
	}
	return s.titlesLike(t.part)
}

// stated returns the rows among some whose software is stated.
func (e *evaluation) stated(among set) set {
	out := newSet(e.s.rows)
	among.each(func(row uint32) bool {
		if e.s.software.get(row) != "" {
			out.add(row)
		}
		return true
	})
	return out
}

// rows decides a condition row by row; rows that agree in all that it reads are
// decided once.
func (e *evaluation) rows(l *leaf, among set) (set, error) {
	out := newSet(e.s.rows)
	var key, encoded []byte
	var failed error
	m := &l.memo
	if l.perRow() {
		m = new(memo) // nothing is remembered, and nobody waits
	}
	m.begin(e, l)
	defer m.mu.Unlock()
	among.each(func(row uint32) bool {
		key = e.s.key(key[:0], l, row)
		value, known := m.get(key, e.now)
		if !known {
			var result expr.Outcome
			if result, encoded, failed = e.row(l, row, encoded[:0]); failed != nil {
				return false
			}
			if value = result.Value; !l.perRow() {
				m.put(key, result)
			}
		}
		if value == expr.True {
			out.add(row)
		}
		return true
	})
	return out, failed
}

// row evaluates a condition on a row.
func (e *evaluation) row(l *leaf, row uint32, encoded []byte) (expr.Outcome, []byte, error) {
	if e.ctx.Err() != nil {
		return expr.Outcome{}, encoded, context.Cause(e.ctx)
	}
	in, encoded, err := e.input(l, row, encoded)
	if err != nil {
		return expr.Outcome{}, encoded, err
	}
	result, err := l.program.EvalContext(e.ctx, in)
	return result, encoded, err
}

// key appends what a condition reads of a row.
func (s *Snapshot) key(b []byte, l *leaf, row uint32) []byte {
	for _, c := range l.reads {
		b = binary.LittleEndian.AppendUint32(b, s.columns[c.index].get(row))
	}
	if l.latest {
		b = binary.LittleEndian.AppendUint64(b, uint64(s.latest.get(row)))
	}
	return b
}

// input puts together what a condition reads of a row.
func (e *evaluation) input(l *leaf, row uint32, b []byte) (*expr.Input, []byte, error) {
	for _, c := range l.reads {
		value := e.s.values[c.index][e.s.columns[c.index].get(row)]
		switch {
		case c.index == shapeColumn:
			b = e.s.schema.appendShape(b, value)
		case c.index == kindsColumn && l.times:
			// The sources themselves are read.
		case value != "":
			b = c.appendValue(b, value)
		}
	}
	a, err := decode(b)
	if err != nil {
		return nil, b, err
	}
	if l.latest {
		a.LastSeen = seconds(e.s.latest.get(row))
	}
	if l.times {
		for i, at := range e.s.seen.get(row) {
			if i < len(a.GetSources()) {
				a.Sources[i].LastSeen = seconds(at)
			}
		}
	}
	in := &expr.Input{Asset: a, Now: e.now}
	if l.software {
		in.Software, err = e.software(l, row)
	}
	return in, b, err
}

func seconds(unix int64) *timestamppb.Timestamp {
	if unix == 0 {
		return nil
	}
	return &timestamppb.Timestamp{Seconds: unix}
}

// software returns the software of a row, nil where it is not stated.
func (e *evaluation) software(l *leaf, row uint32) (expr.Software, error) {
	if packed := e.s.software.get(row); packed != "" && !l.dated {
		return rowSoftware{e.s, packed}, nil
	}
	ref := e.s.view.softwareOf(e.s.ids.get(row))
	if !l.dated || ref == (store.Ref{}) {
		return nil, nil
	}
	return e.s.view.readSoftware(e.ctx, ref)
}

// rowSoftware is the software of a row without the times of its rows.
type rowSoftware struct {
	s      *Snapshot
	packed string
}

// Named implements expr.Software.
func (r rowSoftware) Named(name string) iter.Seq[*pb.Software] {
	return func(yield func(*pb.Software) bool) { expr.Rows(r.list()).Named(name)(yield) }
}

// All implements expr.Software.
func (r rowSoftware) All() iter.Seq[*pb.Software] {
	return func(yield func(*pb.Software) bool) { expr.Rows(r.list()).All()(yield) }
}

func (r rowSoftware) list() []*pb.Software {
	var rows []*pb.Software
	eachTitle(r.packed, func(title uint32) { rows = append(rows, r.s.titles[title]) })
	return rows
}
