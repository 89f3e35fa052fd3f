// Package workbook reads the rows of Excel workbooks (XLSX, ECMA-376) one by
// one, so that memory is bounded by the texts of a workbook and not by its rows.
package workbook

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Bounds of what a workbook unpacks to: a few kilobytes of ZIP can hold
// gigabytes.
const (
	maxParts = 10_000
	// maxSheet bounds the XML of one sheet, maxTexts the shared texts of all, and
	// maxPart any other part.
	maxSheet = 512 << 20
	maxTexts = 64 << 20
	maxPart  = 16 << 20
	// maxToken bounds one element, so that no text of its own fills the memory.
	maxToken   = 1 << 20
	maxSheets  = 200
	maxColumns = 1 << 14
	maxRows    = 1 << 20
	maxMerges  = 100_000
)

// ErrNoWorkbook is wrapped by errors about files that are no Excel workbooks.
var ErrNoWorkbook = errors.New("is no Excel workbook that can be read")

// Cell is what a cell shows, without the ways of writing it that a locale has.
type Cell struct {
	// Text is a number with a point, a day as 2026-01-23, a moment as
	// 2026-01-23T10:00:00, TRUE or FALSE, or a text as it stands. It is empty
	// where there is nothing but an error of a formula.
	Text string
	// Typed tells that the workbook says what it is, rather than a text.
	Typed bool
}

// Sheet is one sheet of a workbook.
type Sheet struct {
	Name   string
	Hidden bool

	part string
}

// Workbook is an open workbook.
type Workbook struct {
	// Sheets are those with cells, in order.
	Sheets []Sheet

	parts  map[string]*zip.File
	styles []format
	texts  []string
	// from1904 counts days as Excel for the first Macs did.
	from1904 bool
}

// Open reads what all sheets share.
func Open(r io.ReaderAt, size int64) (*Workbook, error) {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; one with a password or of the old form (.xls) is to be saved as .xlsx without one", ErrNoWorkbook, err)
	}
	if len(archive.File) > maxParts {
		return nil, fmt.Errorf("%w: %d parts, at most %d are read", ErrNoWorkbook, len(archive.File), maxParts)
	}
	w := &Workbook{parts: make(map[string]*zip.File, len(archive.File))}
	for _, f := range archive.File {
		w.parts[strings.ToLower(strings.TrimPrefix(f.Name, "/"))] = f
	}
	main, err := w.related("", "officeDocument")
	if err != nil {
		return nil, err
	}
	if len(main) != 1 || path.Ext(first(main)) != ".xml" {
		return nil, fmt.Errorf("%w: save it as .xlsx or CSV", ErrNoWorkbook)
	}
	return w, w.load(first(main))
}

// first returns the target of any of some relationships.
func first(targets map[string]string) string {
	for _, t := range targets {
		return t
	}
	return ""
}

// load reads the workbook's own part and those that its sheets share.
func (w *Workbook) load(main string) error {
	sheets, err := w.related(main, "worksheet")
	if err != nil {
		return err
	}
	err = w.walk(main, maxPart, func(t *tokens, e xml.StartElement) error {
		switch e.Name.Local {
		case "workbookPr":
			date1904 := attribute(e, "date1904")
			w.from1904 = date1904 == "1" || date1904 == "true"
		case "sheet":
			// A chart of its own is no sheet of cells.
			if part := sheets[attribute(e, "id")]; part != "" && len(w.Sheets) < maxSheets {
				w.Sheets = append(w.Sheets, Sheet{attribute(e, "name"), strings.Contains(strings.ToLower(attribute(e, "state")), "hidden"), part})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(w.Sheets) == 0 {
		return fmt.Errorf("%w: it has no sheet with cells", ErrNoWorkbook)
	}
	for kind, read := range map[string]func(string) error{"styles": w.readStyles, "sharedStrings": w.readTexts} {
		found, err := w.related(main, kind)
		if err != nil {
			return err
		}
		for _, part := range found {
			if err := read(part); err != nil {
				return err
			}
		}
	}
	return nil
}

// related returns the parts of a kind that a part refers to, by reference.
func (w *Workbook) related(part, kind string) (map[string]string, error) {
	dir, file := path.Split(part)
	name := dir + "_rels/" + file + ".rels"
	found := make(map[string]string)
	if w.parts[strings.ToLower(name)] == nil {
		return found, nil
	}
	err := w.walk(name, maxPart, func(_ *tokens, e xml.StartElement) error {
		// Strict and transitional workbooks differ in all but the last word.
		if e.Name.Local != "Relationship" || path.Base(attribute(e, "Type")) != kind || attribute(e, "TargetMode") == "External" {
			return nil
		}
		target := attribute(e, "Target")
		if !strings.HasPrefix(target, "/") {
			target = "/" + dir + target
		}
		found[attribute(e, "Id")] = strings.TrimPrefix(path.Clean(target), "/")
		return nil
	})
	return found, err
}

// attribute returns the value of an attribute, whatever its prefix.
func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// errStop ends a walk that has found what it looked for.
var errStop = errors.New("found")

// walk calls fn for every element that begins in a part.
func (w *Workbook) walk(part string, most int64, fn func(*tokens, xml.StartElement) error) (err error) {
	f := w.parts[strings.ToLower(part)]
	if f == nil {
		return fmt.Errorf("%w: it lacks its part %.100q", ErrNoWorkbook, part)
	}
	r, err := f.Open()
	if err != nil {
		return fmt.Errorf("read part %.100q of the workbook: %w", part, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	t := newTokens(r, most)
	for {
		token, err := t.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			if e, ok := token.(xml.StartElement); ok {
				err = fn(t, e)
			}
		}
		if errors.Is(err, errStop) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read part %.100q of the workbook: %w", part, err)
		}
	}
}

// tokens reads XML piece by piece and bounds each piece and all of them.
type tokens struct {
	d     *xml.Decoder
	bound bounded
}

func newTokens(r io.Reader, most int64) *tokens {
	t := &tokens{bound: bounded{r: r, left: most}}
	t.d = xml.NewDecoder(&t.bound)
	t.d.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, fmt.Errorf("encoding %.40q is none that workbooks have", charset)
	}
	return t
}

// next returns the next piece, good until the one after it.
func (t *tokens) next() (xml.Token, error) {
	t.bound.token = maxToken
	return t.d.RawToken()
}

// text returns the text within the element that has just begun, without that
// of the elements called skip.
func (t *tokens) text(skip string) (string, error) {
	var b strings.Builder
	for depth, skipped := 1, 0; depth > 0; {
		token, err := t.next()
		if err != nil {
			return "", unexpected(err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			depth++
			if skipped == 0 && skip != "" && x.Name.Local == skip {
				skipped = depth
			}
		case xml.EndElement:
			if depth == skipped {
				skipped = 0
			}
			depth--
		case xml.CharData:
			if b.Len()+len(x) > maxToken {
				return "", fmt.Errorf("a text has more than %d bytes", maxToken)
			}
			if skipped == 0 {
				b.Write(x)
			}
		}
	}
	return b.String(), nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// bounded is a reader of at most left bytes, and token bytes until it is reset.
type bounded struct {
	r     io.Reader
	left  int64
	token int
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	switch {
	case b.left <= 0:
		return 0, errors.New("it unpacks to more than is read")
	case b.token <= 0:
		return 0, fmt.Errorf("one element has more than %d bytes", maxToken)
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	b.token -= n
	return n, err
}
