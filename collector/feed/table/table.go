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
}

// New returns a table; the file is not read yet.
func New(m *manifest.Table, settings map[string]string) (*Table, error) {
	file, err := m.File.Fill(func(name string) (string, error) {
		v, ok := settings[name]
		if !ok {
			return "", fmt.Errorf("there is no value for ${%s}", name)
		}
		return v, nil
	}, nil)
	if err != nil {
		return nil, err
	}
	return &Table{m, file}, nil
}

// Plan is how a file will be read: what was learnt by reading it once.
type Plan struct {
	Encoding  string
	Delimiter rune
	// Columns are the names of the columns, in order; a heading that no name is
	// given for keeps its own.
	Columns []string
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
	err := t.scan(ctx, p, func(_ int, cells []string) error {
		p.Rows++
		for i, c := range learning {
			if i < len(cells) {
				c.learn(cells[i])
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
	err = t.scan(ctx, &Plan{}, func(row int, cells []string) error {
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
func (p *Plan) record(row int, cells []string) map[string]any {
	r := map[string]any{RowKey: int64(row)}
	for i, name := range p.Columns {
		if i >= len(cells) || name == "" {
			continue
		}
		cell := strings.TrimSpace(cells[i])
		if f, ok := p.forms[i]; ok {
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
func (t *Table) scan(ctx context.Context, p *Plan, each func(row int, cells []string) error, headed func()) (err error) {
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
	text, err := t.decode(f, p)
	if err != nil {
		return fmt.Errorf("table %s: %w", t.file, err)
	}
	rows := csv.NewReader(text)
	rows.Comma, rows.FieldsPerRecord, rows.LazyQuotes, rows.ReuseRecord = p.Delimiter, -1, true, true
	for n := 1; ; n++ {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		cells, err := rows.Read()
		if errors.Is(err, io.EOF) {
			if p.Columns == nil {
				return fmt.Errorf("table %s has no headings", t.file)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("table %s: %w", t.file, err)
		}
		switch line, _ := rows.FieldPos(0); {
		case n <= t.m.Skip:
		case p.Columns == nil:
			if err := t.headings(p, cells); err != nil {
				return fmt.Errorf("table %s: %w", t.file, err)
			}
			headed()
		case blank(cells):
		default:
			if i := slices.IndexFunc(cells, func(c string) bool { return len(c) > maxCell }); i >= 0 {
				return fmt.Errorf("table %s: row %d: a cell has more than %d bytes: is a quote not closed?", t.file, line, maxCell)
			}
			if err := each(line, cells); err != nil {
				return err
			}
		}
	}
}

func blank(cells []string) bool {
	return !slices.ContainsFunc(cells, func(c string) bool { return strings.TrimSpace(c) != "" })
}

// headings names the columns. Of several columns with one heading the first
// has it; the others keep it with a number.
func (t *Table) headings(p *Plan, cells []string) error {
	if len(cells) > maxColumns {
		return fmt.Errorf("%d columns, at most %d are read", len(cells), maxColumns)
	}
	known := make(map[string]string)
	for name, aliases := range t.m.Columns {
		known[squeeze(name)] = name
		for _, a := range aliases {
			known[squeeze(a)] = name
		}
	}
	p.Columns = make([]string, len(cells))
	used := make(map[string]int)
	for i, c := range cells {
		name := strings.TrimSpace(c)
		if ours, ok := known[squeeze(name)]; ok {
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

// squeeze makes headings alike that differ in case, spaces and punctuation.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" _-./#:\t\ufeff\u00a0", r) {
			return -1
		}
		return r
	}, strings.ToLower(s))
}
