package table

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/collector/feed/table/workbook"
)

// lookAhead is how many rows are looked at for the one with the headings: titles
// and dates of an export stand above it.
const lookAhead = 30

// isWorkbook tells a ZIP from a text, and leaves the file at its beginning.
func isWorkbook(f *os.File) bool {
	var magic [4]byte
	n, err := f.ReadAt(magic[:], 0)
	return n == len(magic) && err == nil && string(magic[:]) == "PK\x03\x04"
}

// workbook reads the rows of one sheet: the named one, or that which has the
// most of the named columns.
func (t *Table) workbook(ctx context.Context, f io.ReaderAt, size int64, h *heading, row func(n int, cells []workbook.Cell) error) error {
	w, err := workbook.Open(f, size)
	if err != nil {
		return err
	}
	sheet, err := t.sheet(w, h.p)
	if err != nil {
		return err
	}
	merges, err := w.Merges(sheet)
	if err != nil {
		return err
	}
	h.p.Sheet, h.merges = sheet.Name, merges
	return w.Rows(sheet, merges, func(n int, cells []workbook.Cell) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case n <= t.m.Skip:
			return nil
		}
		return row(n, cells)
	})
}

func (t *Table) sheet(w *workbook.Workbook, p *Plan) (workbook.Sheet, error) {
	var names []string
	best, most := -1, -1
	for i, s := range w.Sheets {
		names = append(names, s.Name)
		if t.sheetName != "" {
			if strings.EqualFold(strings.TrimSpace(s.Name), t.sheetName) {
				return s, nil
			}
			continue
		}
		if s.Hidden && len(w.Sheets) > 1 {
			continue
		}
		known, left := 0, lookAhead
		err := w.Rows(s, nil, func(n int, cells []workbook.Cell) error {
			if n > t.m.Skip {
				known = max(known, t.known(cells))
				left--
			}
			if left <= 0 {
				return workbook.ErrEnough
			}
			return nil
		})
		if err != nil {
			return s, fmt.Errorf("sheet %q: %w", s.Name, err)
		}
		if known > most {
			best, most = i, known
		}
	}
	if best < 0 {
		return workbook.Sheet{}, fmt.Errorf("there is no sheet %q that can be seen: it has %s", t.sheetName, strings.Join(names, ", "))
	}
	if len(names) > 1 {
		p.Notes = append(p.Notes, "of its sheets ("+strings.Join(names, ", ")+") one is read: name another with sheet")
	}
	return w.Sheets[best], nil
}

// heading finds the row with the headings among the first ones, and hands on
// what is below.
type heading struct {
	t      *Table
	p      *Plan
	each   func(row int, cells []workbook.Cell) error
	headed func()
	merges []workbook.Merge

	first []line
	found bool
}

// line is a row that waits for the headings to be found.
type line struct {
	n     int
	cells []workbook.Cell
}

func (h *heading) row(n int, cells []workbook.Cell) error {
	if h.found {
		if blank(cells) {
			return nil
		}
		return h.each(n, cells)
	}
	h.first = append(h.first, line{n, slices.Clone(cells)})
	// Where the user says how many rows to skip, the next one it is.
	if len(h.first) >= lookAhead || h.t.m.Skip > 0 && len(h.merges) == 0 {
		return h.find()
	}
	return nil
}

// end is called after the last row.
func (h *heading) end() error {
	if !h.found {
		return h.find()
	}
	return nil
}

// find takes the row with the most named columns for the headings, the first
// that holds something where none has any.
func (h *heading) find() error {
	at, most := -1, -1
	for i, l := range h.first {
		if known := h.t.known(l.cells); known > most && !blank(l.cells) {
			at, most = i, known
		}
		if at >= 0 && h.t.m.Skip > 0 {
			break
		}
	}
	if at < 0 {
		return errors.New("has no headings")
	}
	top, bottom := h.block(h.first[at].n)
	above := h.first[:at]
	for len(above) > 0 && above[0].n < top {
		above = above[1:]
	}
	for at+1 < len(h.first) && h.first[at+1].n <= bottom {
		above, at = h.first[at-len(above):at+1], at+1
	}
	if err := h.t.headings(h.p, join(above, h.first[at].cells), h.first[at].cells); err != nil {
		return err
	}
	h.p.Head, h.found = h.first[at].n, true
	h.headed()
	rest := h.first[at+1:]
	h.first = nil
	for _, l := range rest {
		if err := h.row(l.n, l.cells); err != nil {
			return err
		}
	}
	return nil
}

// block returns the rows of headings around one of them: those that merged
// cells hold together with it.
func (h *heading) block(row int) (top, bottom int) {
	top, bottom = row, row
	for _, m := range h.merges {
		if m.Top <= row && row <= m.Bottom && m.Bottom-m.Top < lookAhead {
			top, bottom = min(top, m.Top), max(bottom, m.Bottom)
		}
	}
	return top, bottom
}

// join puts the headings above before those of the last row: Purchase and Date
// are Purchase Date.
func join(above []line, last []workbook.Cell) []workbook.Cell {
	joined := slices.Clone(last)
	for i := range joined {
		var words []string
		for _, l := range above {
			if i < len(l.cells) {
				words = append(words, strings.TrimSpace(l.cells[i].Text))
			}
		}
		words = slices.Compact(append(words, strings.TrimSpace(last[i].Text)))
		joined[i].Text = strings.TrimSpace(strings.Join(words, " "))
	}
	return joined
}

// known counts the named columns among some headings.
func (t *Table) known(cells []workbook.Cell) int {
	found := make(map[string]bool)
	for _, c := range cells {
		if name, ok := t.names[squeeze(c.Text)]; ok && !c.Typed {
			found[name] = true
		}
	}
	return len(found)
}

// headings names the columns, by their whole heading or its last row. Of several
// columns with one heading the first has it; the others keep it with a number.
func (t *Table) headings(p *Plan, whole, last []workbook.Cell) error {
	if len(whole) > maxColumns {
		return fmt.Errorf("%d columns, at most %d are read", len(whole), maxColumns)
	}
	p.Columns = make([]string, len(whole))
	p.Headings = make([]string, len(whole))
	used := make(map[string]int)
	for i, c := range whole {
		name := strings.TrimSpace(c.Text)
		p.Headings[i] = name
		if ours, ok := t.names[squeeze(name)]; ok {
			name = ours
		} else if ours, ok := t.names[squeeze(last[i].Text)]; ok {
			name = ours
		}
		if used[name]++; used[name] > 1 && name != "" {
			name = fmt.Sprintf("%s %d", name, used[name])
		}
		p.Columns[i] = name
	}
	for name := range t.m.Columns {
		if used[name] == 0 {
			p.Missing = append(p.Missing, name)
		}
	}
	slices.Sort(p.Missing)
	if len(t.m.Columns) > 0 && len(p.Missing) == len(t.m.Columns) {
		return fmt.Errorf("none of the columns is there: it has %s; name them under columns", strings.Join(p.Columns, ", "))
	}
	return nil
}

// Describe says how the file will be read, a line each.
func (p *Plan) Describe() []string {
	form := fmt.Sprintf("text in %s, parted by %q", p.Encoding, p.Delimiter)
	if p.Sheet != "" {
		form = fmt.Sprintf("workbook, sheet %q", p.Sheet)
	}
	all := []string{fmt.Sprintf("%s; headings in row %d, %d rows below", form, p.Head, p.Rows)}
	for i, name := range p.Columns {
		if name == "" {
			continue
		}
		text := fmt.Sprintf("column %q", p.Headings[i])
		if squeeze(name) != squeeze(p.Headings[i]) {
			text += " is " + name
		}
		switch f := p.forms[i]; {
		case f.order != "":
			text += ", days written " + f.order
		case f.decimal != 0:
			text += fmt.Sprintf(", decimal mark %q", rune(f.decimal))
		}
		all = append(all, text)
	}
	if len(p.Missing) > 0 {
		all = append(all, "not there: "+strings.Join(p.Missing, ", "))
	}
	return append(all, p.Notes...)
}
