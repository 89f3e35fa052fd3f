package table

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
)

func write(t testing.TB, content []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "po.csv")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func read(t testing.TB, m manifest.Table, content []byte) ([]any, *Plan, error) {
	t.Helper()
	m.File = manifest.Template(write(t, content))
	tab, err := New(&m, nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := tab.Plan(t.Context())
	if err != nil {
		return nil, nil, err
	}
	var all []any
	err = tab.Read(t.Context(), func(rows []any, total int) error {
		all = append(all, rows...)
		if total != plan.Rows {
			t.Errorf("total %d of %d", total, plan.Rows)
		}
		return nil
	})
	return all, plan, err
}

func utf16le(s string) []byte {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b
}

func TestFormsOfOneTable(t *testing.T) {
	columns := map[string][]string{"serial": {"Serial Number", "S/N"}, "price": {"Cost"}, "note": {"Bemerkung"}}
	want := []any{map[string]any{"#": int64(2), "serial": "C02X", "price": "12.50", "note": "Müller, Ann"}, map[string]any{"#": int64(4), "serial": "0042", "price": nil, "note": nil}}
	text := "serial number,Cost,Bemerkung\nC02X,12.50,\"Müller, Ann\"\n,,\n0042,,\n"
	for name, c := range map[string]struct {
		content   []byte
		encoding  string
		delimiter rune
	}{
		"utf-8":            {[]byte(text), "utf-8", ','},
		"byte order mark":  {[]byte("\ufeff" + text), "utf-8", ','},
		"carriage returns": {[]byte(strings.ReplaceAll(text, "\n", "\r")), "utf-8", ','},
		"windows lines":    {[]byte(strings.ReplaceAll(text, "\n", "\r\n")), "utf-8", ','},
		"windows-1252":     {[]byte(strings.ReplaceAll(text, "ü", "\xfc")), "windows-1252", ','},
		"utf-16":           {utf16le(text), "utf-16le", ','},
		"semicolons":       {[]byte(strings.ReplaceAll(strings.ReplaceAll(text, ",", ";"), "Müller;", "Müller,")), "utf-8", ';'},
		"tabs":             {[]byte(strings.ReplaceAll(strings.ReplaceAll(text, ",", "\t"), "Müller\t", "Müller,")), "utf-8", '\t'},
	} {
		got, plan, err := read(t, manifest.Table{Columns: columns}, c.content)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" || plan.Encoding != c.encoding || plan.Delimiter != c.delimiter {
			t.Errorf("%s: %s %q\n%s", name, plan.Encoding, plan.Delimiter, diff)
		}
	}
}

func TestColumnsTellHowTheyAreWritten(t *testing.T) {
	m := manifest.Table{Dates: []string{"day"}, Numbers: []string{"price"}}
	for name, c := range map[string]struct {
		day, price  [2]string
		order, mark string
		want        [4]string
		notes       int
	}{
		"european":  {[2]string{"1.2.2026", "23.1.2026"}, [2]string{"1.299", "12,50"}, "", "", [4]string{"2026-02-01", "2026-01-23", "1299", "12.50"}, 0},
		"american":  {[2]string{"1/2/26", "1/23/26"}, [2]string{"1,299", "$12.50"}, "", "", [4]string{"2026-01-02", "2026-01-23", "1299", "$12.50"}, 0},
		"iso":       {[2]string{"2026-01-02", "2026-1-23 00:00"}, [2]string{"5", "6"}, "", "", [4]string{"2026-01-02", "2026-01-23", "5", "6"}, 0},
		"open":      {[2]string{"1/2/2026", "3/4/2026"}, [2]string{"1,299", "5"}, "", "", [4]string{"1/2/2026", "3/4/2026", "1,299", "5"}, 2},
		"told":      {[2]string{"1/2/2026", "3/4/2026"}, [2]string{"1,299", "5"}, "dmy", "point", [4]string{"2026-02-01", "2026-04-03", "1299", "5"}, 0},
		"two marks": {[2]string{"23/1/2026", "1/23/2026"}, [2]string{"1,5", "1.5"}, "", "", [4]string{"23/1/2026", "1/23/2026", "1,5", "1.5"}, 2},
		"millions":  {[2]string{"", ""}, [2]string{"1.234.567", "1.299"}, "", "", [4]string{"", "", "1234567", "1299"}, 0},
	} {
		m.DayOrder, m.Decimal = c.order, c.mark
		got, plan, err := read(t, m, []byte("day;price\n"+c.day[0]+";"+c.price[0]+"\n"+c.day[1]+";"+c.price[1]+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		text := func(row int, key string) string { s, _ := got[row].(map[string]any)[key].(string); return s }
		if diff := cmp.Diff(c.want, [4]string{text(0, "day"), text(1, "day"), text(0, "price"), text(1, "price")}); diff != "" || len(plan.Notes) != c.notes {
			t.Errorf("%s: %v\n%s", name, plan.Notes, diff)
		}
	}
}

func TestWhatIsNoTableIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"broken":        {"PK\x03\x04rest", "no Excel workbook"},
		"old workbook":  {"\xd0\xcf\x11\xe0rest", "save it as .xlsx"},
		"empty":         {"", "no headings"},
		"other columns": {"a,b\n1,2\n", "none of the columns is there: it has a, b"},
		"open quote":    {"serial\n\"" + strings.Repeat("x\n", 40000), "is a quote not closed?"},
	} {
		if _, _, err := read(t, manifest.Table{Columns: map[string][]string{"serial": nil}}, []byte(c.content)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want one that says %q", name, err, c.want)
		}
	}
}

func TestDoubledHeadings(t *testing.T) {
	got, plan, err := read(t, manifest.Table{Columns: map[string][]string{"category": nil, "gone": nil}}, []byte("Category,Company,Category\na,b,c\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{map[string]any{"#": int64(2), "category": "a", "Company": "b", "category 2": "c"}}, got); diff != "" || len(plan.Missing) != 1 {
		t.Error(plan.Missing, diff)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("a,b\n1,2\n"))
	f.Add([]byte("\xff\xfea\x00,\x00b\x00\n\x001\x00"))
	f.Add([]byte("day;price\r1.2.26;1.299,00\r"))
	f.Add([]byte("a\n\"x\n\"\"\",y\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, plan, err := read(t, manifest.Table{Dates: []string{"a", "day"}, Numbers: []string{"b", "price"}}, b)
		if err == nil && len(got) != plan.Rows {
			t.Errorf("%d rows of %d", len(got), plan.Rows)
		}
	})
}

func TestTitlesAboveTheHeadings(t *testing.T) {
	got, plan, err := read(t, manifest.Table{Columns: map[string][]string{"serial": {"Serial Number"}, "price": {"Cost"}}},
		[]byte("Purchases of 2026\n\nSerial Number;Cost;Notes\nC02X;12;\"a, b\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{map[string]any{"#": int64(4), "serial": "C02X", "price": "12", "Notes": "a, b"}}, got); diff != "" || plan.Head != 3 {
		t.Error(plan.Head, diff)
	}
}
