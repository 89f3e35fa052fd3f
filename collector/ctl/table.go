package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// gap stands between two columns.
const gap = "  "

// column is one column of a table.
type column struct {
	title string
	// least is the width that the column can be cut to; 0 means that it is
	// never cut.
	least int
	// rank orders the columns by how soon they give way on a narrow terminal,
	// the highest first; 0 never does.
	rank int
}

type table struct {
	columns []column
	rows    [][]string
}

// add adds a row; an empty cell is shown as a dash.
func (t *table) add(cells ...string) {
	for i, c := range cells {
		if cells[i] = clean(c); cells[i] == "" {
			cells[i] = "-"
		}
	}
	t.rows = append(t.rows, cells)
}

// write prints the table so that each row is one line of the screen.
func (t *table) write(w io.Writer, on screen) {
	widths := t.widths(on.columns)
	last := 0
	titles := make([]string, len(t.columns))
	for i, c := range t.columns {
		titles[i] = c.title
		if widths[i] > 0 {
			last = i
		}
	}
	for n, row := range append([][]string{titles}, t.rows...) {
		var line strings.Builder
		for i, cell := range row {
			if widths[i] == 0 {
				continue
			}
			cell = cut(cell, widths[i])
			fill := widths[i] - cells(cell)
			if n == 0 {
				cell = on.paint(bold, cell)
			} else {
				cell = on.paint(colourOf(t.columns[i].title, row[i]), cell)
			}
			line.WriteString(cell)
			if i != last {
				line.WriteString(strings.Repeat(" ", fill) + gap)
			}
		}
		fmt.Fprintln(w, line.String())
	}
}

// widths returns the width of each column, 0 for one that gives way.
func (t *table) widths(limit int) []int {
	out := make([]int, len(t.columns))
	for i, c := range t.columns {
		out[i] = cells(c.title)
		for _, row := range t.rows {
			out[i] = max(out[i], cells(row[i]))
		}
	}
	if limit <= 0 {
		return out
	}
	least := func(i int) int {
		if t.columns[i].least == 0 {
			return out[i]
		}
		return min(out[i], max(t.columns[i].least, cells(t.columns[i].title)))
	}
	for sum(out, least) > limit {
		goes := 0
		for i, c := range t.columns {
			if out[i] > 0 && c.rank > t.columns[goes].rank || out[goes] == 0 {
				goes = i
			}
		}
		if t.columns[goes].rank == 0 {
			break // what is left has to be shown, if only in part
		}
		out[goes] = 0
	}
	narrow(out, limit, least)
	narrow(out, limit, func(int) int { return 1 })
	return out
}

// narrow makes the widest columns narrower, none than least says, until a row is
// as wide as limit.
func narrow(widths []int, limit int, least func(int) int) {
	for sum(widths, func(i int) int { return widths[i] }) > limit {
		widest := -1
		for i := range widths {
			if widths[i] > least(i) && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

// sum returns the width of a row whose columns are as wide as of says.
func sum(shown []int, of func(int) int) int {
	total := -len(gap)
	for i, w := range shown {
		if w > 0 {
			total += of(i) + len(gap)
		}
	}
	return total
}

// cut shortens a text to a width and shows that it did.
func cut(s string, to int) string {
	if cells(s) <= to {
		return s
	}
	return cutAt(s, to-1) + "…"
}

// cutAt returns what of a text fits into a width.
func cutAt(s string, to int) string {
	used := 0
	for i, r := range s {
		if used += runeCells(r); used > to {
			return s[:i]
		}
	}
	return s
}

// cells returns how many terminal columns a clean text takes.
func cells(s string) int {
	n := 0
	for _, r := range s {
		n += runeCells(r)
	}
	return n
}

func runeCells(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// clean makes a text from outside fit for a terminal: no control sequences, no
// line breaks, nothing invisible that turns its direction. Host names and the
// like come from devices, and those may be hostile.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || unicode.Is(unicode.Zs, r):
			return ' '
		case unicode.IsGraphic(r):
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, "�"))
	return strings.TrimSpace(s)
}
