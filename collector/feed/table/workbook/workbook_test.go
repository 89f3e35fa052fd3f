package workbook

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	rootRels = `<Relationships><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>`
	bookRels = `<Relationships><Relationship Id="r1" Type="http://x/relationships/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="http://x/relationships/styles" Target="/xl/styles.xml"/>
<Relationship Id="r3" Type="http://x/relationships/sharedStrings" Target="sharedStrings.xml"/></Relationships>`
	book   = `<workbook xmlns:r="x"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>`
	styles = `<styleSheet><numFmts><numFmt numFmtId="164" formatCode="[$-407]d/m/yy;@"/><numFmt numFmtId="165" formatCode="0000"/><numFmt numFmtId="166" formatCode="0&quot; days&quot;"/></numFmts>
<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/><xf numFmtId="166"/><xf numFmtId="22"/></cellXfs></styleSheet>`
	texts = `<sst><si><t>plain</t></si><si><r><t>rich </t></r><r><t>text</t></r><rPh><t>said</t></rPh></si><si><t>a_x000A_b</t></si></sst>`
)

// pack makes a workbook with one sheet; parts replaces or adds some of it.
func pack(t testing.TB, sheet string, parts map[string]string) *bytes.Reader {
	t.Helper()
	all := map[string]string{"_rels/.rels": rootRels, "xl/workbook.xml": book, "xl/_rels/workbook.xml.rels": bookRels, "xl/styles.xml": styles, "xl/sharedStrings.xml": texts, "xl/worksheets/sheet1.xml": sheet}
	for name, content := range parts {
		all[name] = content
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range all {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes())
}

func rowsOf(r *bytes.Reader) (map[int][]string, error) {
	w, err := Open(r, r.Size())
	if err != nil {
		return nil, err
	}
	got := make(map[int][]string)
	for _, s := range w.Sheets {
		merges, err := w.Merges(s)
		if err != nil {
			return nil, err
		}
		err = w.Rows(s, merges, func(n int, cells []Cell) error {
			for _, c := range cells {
				got[n] = append(got[n], c.Text)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return got, nil
}

func TestCells(t *testing.T) {
	got, err := rowsOf(pack(t, `<worksheet><sheetData>
<row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c><c r="D1" t="s"><v>2</v></c></row>
<row r="3"><c t="inlineStr"><is><t>in </t><t>line</t></is></c><c t="str"><f>A1&amp;"x"</f><v>plainx</v></c><c t="e"><v>#N/A</v></c><c t="b"><v>1</v></c></row>
<row><c s="1"><v>46044</v></c><c s="2"><v>46044.5</v></c><c s="3"><v>7</v></c><c s="4"><v>7</v></c><c s="5"><v>0.25</v></c><c><v>1.2345E4</v></c><c s="99"><v>19.989999999999998</v></c></row>
<row r="9"/></sheetData><mergeCells><mergeCell ref="A1:B1"/><mergeCell ref="C1:C3"/></mergeCells></worksheet>`, nil))
	if err != nil {
		t.Fatal(err)
	}
	want := map[int][]string{
		1: {"plain", "plain", "rich text", "a\nb"},
		3: {"in line", "plainx", "rich text", "TRUE"},
		4: {"2026-01-22", "2026-01-22T12:00:00", "0007", "7", "06:00:00", "12345", "19.99"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got, err = rowsOf(pack(t, `<worksheet><sheetData><row><c s="1"><v>44582</v></c></row></sheetData></worksheet>`,
		map[string]string{"xl/workbook.xml": strings.Replace(book, "<sheets>", `<workbookPr date1904="1"/><sheets>`, 1)}))
	if err != nil || got[1][0] != "2026-01-22" {
		t.Error(got, err)
	}
}

func TestBrokenAndHostileWorkbooksAreRefused(t *testing.T) {
	data := func(s string) string { return "<worksheet><sheetData>" + s + "</sheetData></worksheet>" }
	for name, c := range map[string]struct {
		sheet string
		parts map[string]string
		want  string
	}{
		"no workbook":      {"", map[string]string{"_rels/.rels": "<Relationships/>"}, "save it as .xlsx"},
		"binary workbook":  {"", map[string]string{"_rels/.rels": strings.Replace(rootRels, "workbook.xml", "workbook.bin", 1)}, "save it as .xlsx"},
		"no sheet":         {"", map[string]string{"xl/workbook.xml": "<workbook/>"}, "no sheet with cells"},
		"part that lacks":  {"", map[string]string{"xl/_rels/workbook.xml.rels": strings.Replace(bookRels, "sheet1", "sheet2", 1)}, "lacks its part"},
		"text that lacks":  {data(`<row><c t="s"><v>3</v></c></row>`), nil, "there is no text"},
		"cut off":          {`<worksheet><sheetData><row><c><v>1`, nil, "unexpected EOF"},
		"one long text":    {data(`<row><c t="str"><v>` + strings.Repeat("x", 2<<20) + `</v></c></row>`), nil, "one element has more than"},
		"many short texts": {data(`<row><c t="str"><v>` + strings.Repeat("xxxxxxxxxxxxxxx<b/>", 1<<17) + `</v></c></row>`), nil, "a text has more than"},
		"rows backwards":   {data(`<row r="2"/><row r="1"/>`), nil, "follows row 2"},
		"cells backwards":  {data(`<row r="1"><c r="B1"/><c r="A1"/></row>`), nil, "out of order"},
		"far right":        {data(`<row r="1"><c r="ZZZZZZZ1"><v>1</v></c></row>`), nil, "out of order"},
		"far below":        {data(`<row r="1048577"/>`), nil, "at most"},
		"backwards merge":  {`<worksheet><sheetData/><mergeCells><mergeCell ref="B2:A1"/></mergeCells></worksheet>`, nil, "no cells to merge"},
		"bomb of texts":    {data(""), map[string]string{"xl/sharedStrings.xml": "<sst>" + strings.Repeat("<si><t>"+strings.Repeat("x", 1000)+"</t></si>", 70_000) + "</sst>"}, "its texts have more than"},
		"bomb of styles":   {data(""), map[string]string{"xl/styles.xml": "<styleSheet>" + strings.Repeat(" ", maxPart) + "</styleSheet>"}, "more than"},
	} {
		if got, err := rowsOf(pack(t, c.sheet, c.parts)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, %v, want an error that says %q", name, got, err, c.want)
		}
	}
	if _, err := rowsOf(bytes.NewReader([]byte("no zip"))); !errors.Is(err, ErrNoWorkbook) {
		t.Error(err)
	}
}

func FuzzWorkbook(f *testing.F) {
	if content, err := os.ReadFile("../testdata/orders.xlsx"); err == nil {
		f.Add(content, "")
	}
	f.Add([]byte("PK"), `<worksheet><sheetData><row r="1"><c r="B1" s="1" t="s"><v>1</v></c></row></sheetData><mergeCells><mergeCell ref="A1:B2"/></mergeCells></worksheet>`)
	f.Fuzz(func(t *testing.T, archive []byte, sheet string) {
		if sheet != "" {
			archive = make([]byte, 0)
			r := pack(t, sheet, nil)
			archive = append(archive, make([]byte, r.Size())...)
			if _, err := r.ReadAt(archive, 0); err != nil {
				t.Fatal(err)
			}
		}
		rows, err := rowsOf(bytes.NewReader(archive))
		for n, cells := range rows {
			if err == nil && (n < 1 || len(cells) > maxColumns) {
				t.Errorf("row %d has %d cells", n, len(cells))
			}
		}
	})
}
