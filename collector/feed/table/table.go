// Package table reads files of rows, as purchasing departments and spreadsheets
// write them.
package table

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/table/workbook"
)

const (
	// pageRows is how many rows are handed on at once.
	pageRows = 500
	// Bounds of a file, and of one cell in bytes.
	maxFile    = 1 << 30
	maxColumns = 1000
	maxCell    = 32 << 10
)

// RowKey is the column under which each record has the number of its row.
const RowKey = "#"

// Table is a file of rows.
type Table struct {
	m    *manifest.Table
	file string
	// sheetName names the sheet of a workbook, if somebody chose one.
	sheetName string
	// names are the columns' names by what their headings may be.
	names map[string]string
}

// New returns a table; the file is not read yet.
func New(m *manifest.Table, settings map[string]string) (*Table, error) {
	value := func(name string) (string, error) {
		v, ok := settings[name]
		if !ok {
			return "", fmt.Errorf("there is no value for ${%s}", name)
		}
		return v, nil
	}
	file, err := m.File.Fill(value, nil)
	if err != nil {
		return nil, err
	}
	sheet, err := m.Sheet.Fill(value, nil)
	if err != nil {
		return nil, err
	}
	t := &Table{m: m, file: file, sheetName: strings.TrimSpace(sheet), names: make(map[string]string)}
	for name, aliases := range m.Columns {
		for _, a := range append([]string{name}, aliases...) {
			t.names[squeeze(a)] = name
		}
	}
	return t, nil
}

// Plan is how a file will be read: what was learnt by reading it once.
type Plan struct {
	// Encoding and Delimiter are those of a text, Sheet is that of a workbook.
	Encoding  string
	Delimiter rune
	Sheet     string
	// Head is the number of the row with the headings, the last where there are
	// several.
	Head int
	// Columns are the names of the columns, in order; a heading that no name is
	// given for keeps its own.
	Columns []string
	// Headings are the columns' headings as they stand in the file.
	Headings []string
	// Missing are named columns that the file does not have.
	Missing []string
	Rows    int
	// Notes say what the file leaves open.
	Notes []string

	forms map[int]form
}

// Plan reads the file once and says how it will be read.
func (t *Table) Plan(ctx context.Context) (*Plan, error) {
	p := &Plan{forms: make(map[int]form)}
	learning := make(map[int]*column)
	err := t.scan(ctx, p, func(_ int, cells []workbook.Cell) error {
		p.Rows++
		for i, c := range learning {
			if i < len(cells) && !cells[i].Typed {
				c.learn(cells[i].Text)
			}
		}
		return nil
	}, func() {
		for i, name := range p.Columns {
			switch {
			case slices.Contains(t.m.Dates, name):
				learning[i] = newColumn(false)
			case slices.Contains(t.m.Numbers, name):
				learning[i] = newColumn(true)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for i, c := range learning {
		f, note := c.decide(t.m)
		p.forms[i] = f
		if note != "" {
			p.Notes = append(p.Notes, "column "+p.Columns[i]+": "+note)
		}
	}
	slices.Sort(p.Notes)
	return p, nil
}

// Read hands on the rows of the file, some hundred at once, with how many
// there are in all.
func (t *Table) Read(ctx context.Context, yield func(rows []any, total int) error) error {
	p, err := t.Plan(ctx)
	if err != nil {
		return err
	}
	var page []any
	flush := func() error {
		full := page
		page = nil
		return yield(full, p.Rows)
	}
	err = t.scan(ctx, &Plan{}, func(row int, cells []workbook.Cell) error {
		page = append(page, p.record(row, cells))
		if len(page) < pageRows {
			return nil
		}
		return flush()
	}, func() {})
	if err != nil {
		return err
	}
	return flush()
}

// record makes a record of a row. Cells without a heading are left out.
func (p *Plan) record(row int, cells []workbook.Cell) map[string]any {
	r := map[string]any{RowKey: int64(row)}
	for i, name := range p.Columns {
		if i >= len(cells) || name == "" {
			continue
		}
		cell := strings.TrimSpace(cells[i].Text)
		if f, ok := p.forms[i]; ok && !cells[i].Typed {
			cell = f.plain(cell)
		}
		if cell == "" {
			r[name] = nil
			continue
		}
		r[name] = cell
	}
	return r
}

// scan reads the file: headed is called after the headings, each for every row
// below that holds something.
func (t *Table) scan(ctx context.Context, p *Plan, each func(row int, cells []workbook.Cell) error, headed func()) (err error) {
	f, err := os.Open(t.file)
	if err != nil {
		return fmt.Errorf("open the table: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open the table: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return fmt.Errorf("%s is no file of at most %d bytes", t.file, maxFile)
	}
	h := &heading{t: t, p: p, each: each, headed: headed}
	rows := func(row func(n int, cells []workbook.Cell) error) error { return t.text(ctx, f, p, row) }
	if isWorkbook(f) {
		rows = func(row func(n int, cells []workbook.Cell) error) error {
			return t.workbook(ctx, f, info.Size(), h, row)
		}
	}
	if err = rows(h.row); err == nil {
		err = h.end()
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("table %s: %w", t.file, err)
	}
	return err
}

// text reads the rows of a text of values.
func (t *Table) text(ctx context.Context, f io.Reader, p *Plan, row func(n int, cells []workbook.Cell) error) error {
	text, err := t.decode(f, p)
	if err != nil {
		return err
	}
	rows := csv.NewReader(text)
	rows.Comma, rows.FieldsPerRecord, rows.LazyQuotes, rows.ReuseRecord = p.Delimiter, -1, true, true
	var line []workbook.Cell
	for n := 1; ; n++ {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		cells, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n <= t.m.Skip {
			continue
		}
		at, _ := rows.FieldPos(0)
		line = line[:0]
		for _, c := range cells {
			if len(c) > maxCell {
				return fmt.Errorf("row %d: a cell has more than %d bytes: is a quote not closed?", at, maxCell)
			}
			line = append(line, workbook.Cell{Text: c})
		}
		if err := row(at, line); err != nil {
			return err
		}
	}
}

func blank(cells []workbook.Cell) bool {
	return !slices.ContainsFunc(cells, func(c workbook.Cell) bool { return strings.TrimSpace(c.Text) != "" })
}

// squeeze makes headings alike that differ in case, spaces and punctuation.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" _-./#:\t\n\r\ufeff\u00a0", r) {
			return -1
		}
		return r
	}, strings.ToLower(s))
}
