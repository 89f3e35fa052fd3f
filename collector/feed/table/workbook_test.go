package table

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
)

// orders describes the purchases in testdata.
func orders() manifest.Table {
	return manifest.Table{
		Columns: map[string][]string{"serial": {"Serial Number"}, "day": {"Purchase Date"}, "price": {"Cost"}, "order": {"Bestellnummer"}, "tag": {"Asset Tag"}, "end": {"Warranty End"}},
		Dates:   []string{"day", "end"}, Numbers: []string{"price"},
	}
}

func TestWorkbook(t *testing.T) {
	content, err := os.ReadFile("testdata/orders.xlsx")
	if err != nil {
		t.Fatal(err)
	}
	got, plan, err := read(t, orders(), content)
	if err != nil {
		t.Fatal(err)
	}
	row := func(n int64, serial, day, price, order, tag, used string) map[string]any {
		return map[string]any{"#": n, "serial": serial, "day": day, "price": price, "order": order, "tag": tag, "end": "2029-01-31", "Used": used}
	}
	want := []any{
		row(5, "C02XK1", "2026-02-01", "1299", "PO-7", "000042", "TRUE"),
		row(6, "C02XK2", "2026-01-23", "19.99", "PO-7", "000043", "FALSE"),
		row(7, "C02XK3", "2026-01-23", "1299.50", "PO-7", "000044", "TRUE"),
		row(8, "6.37702000000012E+18", "2026-03-01", "5", "PO-8", "000045", "FALSE"),
		row(9, "4711001234", "2026-03-02", "0.3", "PO-9", "000046", "TRUE"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	described := strings.Join(plan.Describe(), "\n")
	for _, s := range []string{`workbook, sheet "Orders 2026"; headings in row 4, 5 rows below`, `column "Purchase Date" is day, days written dmy`, `column "Purchase Cost" is price, decimal mark ','`, `column "Used"`, "of its sheets (Read me, Orders 2026) one is read"} {
		if !strings.Contains(described, s) {
			t.Errorf("%q is not said:\n%s", s, described)
		}
	}
}

func TestSheetByName(t *testing.T) {
	content, err := os.ReadFile("testdata/orders.xlsx")
	if err != nil {
		t.Fatal(err)
	}
	for sheet, want := range map[string]string{"orders 2026": "", "Read me": "none of the columns is there", "Orders 2027": "it has Read me, Orders 2026"} {
		m := orders()
		m.Sheet = manifest.Template(sheet)
		_, _, err := read(t, m, content)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", sheet, err)
		}
	}
}
