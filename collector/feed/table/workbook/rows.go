package workbook

import (
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Merge is a block of cells that a sheet shows as one; rows and columns count
// from 1.
type Merge struct{ Top, Left, Bottom, Right int }

// Merges returns the merged cells of a sheet, from the top.
func (w *Workbook) Merges(s Sheet) ([]Merge, error) {
	var all []Merge
	err := w.walk(s.part, maxSheet, func(_ *tokens, e xml.StartElement) error {
		if e.Name.Local != "mergeCell" {
			return nil
		}
		from, to, _ := strings.Cut(attribute(e, "ref"), ":")
		m := Merge{}
		var ok1, ok2 bool
		m.Left, m.Top, ok1 = position(from)
		m.Right, m.Bottom, ok2 = position(to)
		if !ok1 || !ok2 || m.Top > m.Bottom || m.Left > m.Right {
			return fmt.Errorf("%.40q are no cells to merge", attribute(e, "ref"))
		}
		if all = append(all, m); len(all) > maxMerges {
			return fmt.Errorf("more than %d merged cells", maxMerges)
		}
		return nil
	})
	slices.SortStableFunc(all, func(a, b Merge) int { return a.Top - b.Top })
	return all, err
}

// position reads the name of a cell, as in AB12.
func position(s string) (column, row int, ok bool) {
	i := 0
	for ; i < len(s) && s[i] >= 'A' && s[i] <= 'Z' && column <= maxColumns; i++ {
		column = column*26 + int(s[i]-'A') + 1
	}
	row, err := strconv.Atoi(s[i:])
	return column, row, err == nil && column >= 1 && column <= maxColumns && row >= 1 && row <= maxRows
}

// ErrEnough, returned by the function given to Rows, ends the reading without
// an error.
var ErrEnough = errors.New("no more rows are wanted")

// Rows calls each for the rows of a sheet that are written, from the top; what
// merged cells show stands in each of them. The cells are good until the next
// call.
func (w *Workbook) Rows(s Sheet, merges []Merge, each func(row int, cells []Cell) error) error {
	r := &rows{w: w, merges: merges, each: each}
	err := w.walk(s.part, maxSheet, r.element)
	if err == nil {
		err = r.flush()
	}
	if errors.Is(err, ErrEnough) {
		err = nil
	}
	return err
}

// rows collects the cells of one row after the other.
type rows struct {
	w      *Workbook
	merges []Merge
	each   func(row int, cells []Cell) error
	// open are merged cells that the row is within, with what they show.
	open []shown

	row, column int
	began       bool
	cells       []Cell
}

// shown is a block of merged cells and what it shows.
type shown struct {
	Merge
	cell Cell
}

func (r *rows) element(t *tokens, e xml.StartElement) error {
	switch e.Name.Local {
	case "row":
		return r.begin(attribute(e, "r"))
	case "c":
		return r.cell(t, e)
	case "mergeCells", "sheetProtection", "autoFilter":
		// These stand below the rows.
		return errStop
	}
	return nil
}

// begin begins a row; one without a number follows the one before.
func (r *rows) begin(number string) error {
	if err := r.flush(); err != nil {
		return err
	}
	next := r.row + 1
	if number != "" {
		n, err := strconv.Atoi(number)
		if err != nil || n < next {
			return fmt.Errorf("row %.20q follows row %d", number, r.row)
		}
		next = n
	}
	if next > maxRows {
		return fmt.Errorf("row %d: a sheet has at most %d", next, maxRows)
	}
	r.row, r.column, r.began, r.cells = next, 0, true, r.cells[:0]
	return nil
}

// cell reads a cell of the row that has begun.
func (r *rows) cell(t *tokens, e xml.StartElement) error {
	if !r.began {
		return errors.New("a cell stands outside of any row")
	}
	column := r.column + 1
	if ref := attribute(e, "r"); ref != "" {
		at, _, ok := position(ref)
		if !ok || at < column {
			return fmt.Errorf("row %d: cell %.20q is out of order", r.row, ref)
		}
		column = at
	}
	if column > maxColumns {
		return fmt.Errorf("row %d has more than %d cells", r.row, maxColumns)
	}
	r.column = column
	style, err := strconv.Atoi(attribute(e, "s"))
	if err != nil {
		style = 0
	}
	c, err := r.w.cell(t, attribute(e, "t"), style)
	if err != nil {
		return fmt.Errorf("row %d: %w", r.row, err)
	}
	if c == (Cell{}) {
		return nil
	}
	for len(r.cells) < column-1 {
		r.cells = append(r.cells, Cell{})
	}
	r.cells = append(r.cells, c)
	return nil
}

// cell reads the content of a cell.
func (w *Workbook) cell(t *tokens, kind string, style int) (Cell, error) {
	raw, inline := "", ""
	for {
		token, err := t.next()
		if err != nil {
			return Cell{}, unexpected(err)
		}
		switch x := token.(type) {
		case xml.EndElement:
			return w.value(kind, style, raw, inline)
		case xml.StartElement:
			s, err := t.text("rPh")
			if err != nil {
				return Cell{}, err
			}
			switch x.Name.Local {
			case "v":
				raw = s
			case "is":
				inline = s
			}
		}
	}
}

// value makes a cell of what stands in it. What a formula came to stands there
// as if it had been written.
func (w *Workbook) value(kind string, style int, raw, inline string) (Cell, error) {
	raw = strings.TrimSpace(raw)
	switch kind {
	case "inlineStr":
		return Cell{Text: unescape(inline)}, nil
	case "str":
		return Cell{Text: unescape(raw)}, nil
	case "e":
		return Cell{}, nil
	case "s":
		n, err := strconv.Atoi(raw)
		if err != nil || n < 0 || n >= len(w.texts) {
			return Cell{}, fmt.Errorf("there is no text %.20q", raw)
		}
		return Cell{Text: w.texts[n]}, nil
	case "b":
		return Cell{Text: map[string]string{"0": "FALSE", "1": "TRUE"}[raw], Typed: true}, nil
	case "d":
		return Cell{Text: raw, Typed: true}, nil
	}
	if raw == "" {
		return Cell{}, nil
	}
	return Cell{Text: w.number(raw, style), Typed: true}, nil
}

// flush hands the row on, with what merged cells show.
func (r *rows) flush() error {
	if !r.began {
		return nil
	}
	r.began = false
	for len(r.merges) > 0 && r.merges[0].Top <= r.row {
		m := r.merges[0]
		r.merges = r.merges[1:]
		s := shown{Merge: m}
		if m.Top == r.row && m.Left <= len(r.cells) {
			s.cell = r.cells[m.Left-1]
		}
		r.open = append(r.open, s)
	}
	r.open = slices.DeleteFunc(r.open, func(s shown) bool { return s.Bottom < r.row })
	if len(r.open) > maxColumns {
		return fmt.Errorf("row %d is within more than %d merged cells", r.row, maxColumns)
	}
	for _, s := range r.open {
		if s.cell == (Cell{}) {
			continue
		}
		// A block that reaches far to the right is a heading over the sheet.
		for column := s.Left; column <= min(s.Right, s.Left+1000); column++ {
			for len(r.cells) < column {
				r.cells = append(r.cells, Cell{})
			}
			r.cells[column-1] = s.cell
		}
	}
	return r.each(r.row, r.cells)
}
