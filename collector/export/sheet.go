package export

import (
	"archive/zip"
	"bufio"
	"encoding/csv"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// lines writes NDJSON: what it is handed is JSON.
type lines struct {
	w    io.Writer
	line []byte
}

func (l *lines) write(cells []cell) error {
	_, err := io.WriteString(l.w, cells[0].text)
	return err
}

// software writes the line of one piece of software. What is common to all that
// have it is joined with what is not.
func (l *lines) software(asset, title []byte, installed, used time.Time) error {
	b := append(append(append(l.line[:0], `{"asset":`...), asset...), `,"software":`...)
	b = append(b, title[:len(title)-1]...)
	comma := len(title) > len("{}")
	for _, t := range []struct {
		name string
		at   time.Time
	}{{"installed_at", installed}, {"last_used_at", used}} {
		if t.at.IsZero() {
			continue
		}
		if comma {
			b = append(b, ',')
		}
		comma = true
		b = append(append(append(b, '"'), t.name...), `":"`...)
		b = append(t.at.UTC().AppendFormat(b, time.RFC3339), '"')
	}
	l.line = append(b, "}}\n"...)
	_, err := l.w.Write(l.line)
	return err
}

func (l *lines) close() error { return nil }

// csvSheet writes CSV (RFC 4180).
type csvSheet struct {
	w      *csv.Writer
	fields []string
}

func newCSV(w io.Writer) *csvSheet {
	out := &csvSheet{w: csv.NewWriter(w)}
	out.w.UseCRLF = true
	return out
}

func (s *csvSheet) write(cells []cell) error {
	s.fields = s.fields[:0]
	for _, c := range cells {
		s.fields = append(s.fields, c.text)
	}
	return s.w.Write(s.fields)
}

func (s *csvSheet) close() error {
	s.w.Flush()
	return s.w.Error()
}

// Bounds of a worksheet (ECMA-376 and Excel's own limits).
const (
	maxSheetRows = 1 << 20
	maxCellText  = 32767
)

// xlsxSheet writes a workbook (ECMA-376, SpreadsheetML) whose parts go out as
// they are made: the worksheets first, what names them last. Texts stand in the
// cells themselves, so that no table of them has to be held.
type xlsxSheet struct {
	zip    *zip.Writer
	out    *bufio.Writer
	head   []cell
	sheets int
	// rows counts those of the sheet under way.
	rows int
	line []byte
}

func newXLSX(w io.Writer) *xlsxSheet { return &xlsxSheet{zip: zip.NewWriter(w)} }

const (
	spreadsheetML = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
	relationships = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	packageTypes  = "http://schemas.openxmlformats.org/package/2006/"
	sheetMIME     = "application/vnd.openxmlformats-officedocument.spreadsheetml."
)

func (s *xlsxSheet) write(cells []cell) error {
	if s.out == nil {
		s.head = append(s.head, cells...)
		return s.begin()
	}
	if s.rows == maxSheetRows {
		if err := s.end(); err != nil {
			return err
		}
		if err := s.begin(); err != nil {
			return err
		}
	}
	return s.row(cells)
}

// begin begins a worksheet with the names of the columns.
func (s *xlsxSheet) begin() error {
	s.sheets++
	s.rows = 0
	w, err := s.zip.Create(fmt.Sprintf("xl/worksheets/sheet%d.xml", s.sheets))
	if err != nil {
		return fmt.Errorf("begin a worksheet: %w", err)
	}
	s.out = bufio.NewWriterSize(w, 64<<10)
	fmt.Fprintf(s.out, `%s<worksheet xmlns=%q><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><sheetData>`,
		xml.Header, spreadsheetML)
	return s.row(s.head)
}

func (s *xlsxSheet) row(cells []cell) error {
	s.rows++
	b := append(s.line[:0], "<row>"...)
	for _, c := range cells {
		switch c.kind {
		case empty:
			b = append(b, "<c/>"...)
		case number:
			b = append(append(append(b, "<c><v>"...), c.text...), "</v></c>"...)
		case boolean:
			b = append(append(append(b, `<c t="b"><v>`...), strconv.Itoa(strings.Index("ft", c.text[:1]))...), "</v></c>"...)
		case text:
			b = appendXML(append(b, `<c t="inlineStr"><is><t xml:space="preserve">`...), c.text)
			b = append(b, "</t></is></c>"...)
		}
	}
	s.line = append(b, "</row>"...)
	_, err := s.out.Write(s.line)
	return err
}

// appendXML appends a text as XML 1.0 can hold it, as long as a cell may be.
func appendXML(b []byte, s string) []byte {
	n := 0
	for _, r := range s {
		if n++; n > maxCellText {
			break
		}
		switch {
		case r == '&':
			b = append(b, "&amp;"...)
		case r == '<':
			b = append(b, "&lt;"...)
		case r == '>':
			b = append(b, "&gt;"...)
		case r == '\r':
			b = append(b, "&#13;"...)
		case r == '\t' || r == '\n' || r >= ' ' && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r > 0xffff:
			b = utf8.AppendRune(b, r)
		default:
			b = append(b, "\uFFFD"...)
		}
	}
	return b
}

func (s *xlsxSheet) end() error {
	fmt.Fprint(s.out, "</sheetData></worksheet>")
	return s.out.Flush()
}

// close ends the last worksheet and writes what names them all.
func (s *xlsxSheet) close() error {
	if err := s.end(); err != nil {
		return err
	}
	var types, sheets, links strings.Builder
	for i := range s.sheets {
		fmt.Fprintf(&types, `<Override PartName="/xl/worksheets/sheet%d.xml" ContentType="%sworksheet+xml"/>`, i+1, sheetMIME)
		fmt.Fprintf(&sheets, `<sheet name="Rollcall %d" sheetId="%d" r:id="rId%d"/>`, i+1, i+1, i+1)
		fmt.Fprintf(&links, `<Relationship Id="rId%d" Type="%s/worksheet" Target="worksheets/sheet%d.xml"/>`, i+1, relationships, i+1)
	}
	for _, part := range []struct{ name, content string }{
		{"[Content_Types].xml", fmt.Sprintf(`<Types xmlns="%scontent-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="%ssheet.main+xml"/>%s</Types>`,
			packageTypes, sheetMIME, types.String())},
		{"_rels/.rels", fmt.Sprintf(`<Relationships xmlns="%srelationships"><Relationship Id="rId1" Type="%s/officeDocument" Target="xl/workbook.xml"/></Relationships>`, packageTypes, relationships)},
		{"xl/workbook.xml", fmt.Sprintf(`<workbook xmlns=%q xmlns:r=%q><sheets>%s</sheets></workbook>`, spreadsheetML, relationships, sheets.String())},
		{"xl/_rels/workbook.xml.rels", fmt.Sprintf(`<Relationships xmlns="%srelationships">%s</Relationships>`, packageTypes, links.String())},
	} {
		w, err := s.zip.Create(part.name)
		if err == nil {
			_, err = io.WriteString(w, xml.Header+part.content)
		}
		if err != nil {
			return fmt.Errorf("complete the workbook: %w", err)
		}
	}
	return s.zip.Close()
}
