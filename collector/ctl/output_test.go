package main

import (
	"bufio"
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// rowsOf reads CSV into a map by column for each row.
func rowsOf(t *testing.T, out string) (columns []string, rows []map[string]string) {
	t.Helper()
	all, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	must(t, err)
	if len(all) == 0 {
		return nil, nil
	}
	for _, r := range all[1:] {
		row := make(map[string]string)
		for i, v := range r {
			if v != "" {
				row[all[0][i]] = v
			}
		}
		rows = append(rows, row)
	}
	return all[0], rows
}

func TestCSV(t *testing.T) {
	w := newWorld(t)
	none, _ := rowsOf(t, w.ok("assets", "list", "-o", "csv"))
	evil := laptop("PF3ABCDE")
	evil.Hardware.Model = "+49\t30"
	evil.Labels["site"] = "@SUM(1+1)*cmd|' /C calc'!A0"
	id := w.report("=HYPERLINK(\"http://evil.example\")", evil)

	columns, rows := rowsOf(t, w.ok("assets", "list", "-o", "csv"))
	if diff := cmp.Diff(none, columns); diff != "" || len(columns) == 0 {
		t.Errorf("the columns depend on what is found (-none +one):\n%s", diff)
	}
	want := map[string]string{"id": id, "name": "'=HYPERLINK(\"http://evil.example\")", "class": "laptop", "last_seen": "2026-11-24T12:00:00Z", "software_count": "2",
		"os.name": "Debian GNU/Linux 13", "os.version": "13", "os.family": "linux", "hardware.serial": "PF3ABCDE", "hardware.manufacturer": "LENOVO", "hardware.model": "'+49\t30"}
	if diff := cmp.Diff([]map[string]string{want}, rows); diff != "" {
		t.Errorf("the list (-want +got):\n%s", diff)
	}
	columns, rows = rowsOf(t, w.ok("assets", "list", "-o", "csv", "--fields", "name, labels.site,hardware.disks.name,hardware.memory_bytes"))
	want = map[string]string{"name": "'=HYPERLINK(\"http://evil.example\")", "labels.site": "'@SUM(1+1)*cmd|' /C calc'!A0", "hardware.disks.name": "nvme0n1", "hardware.memory_bytes": "17179869184"}
	if diff := cmp.Diff([]map[string]string{want}, rows); diff != "" || !slices.Equal(columns, []string{"name", "labels.site", "hardware.disks.name", "hardware.memory_bytes"}) {
		t.Errorf("chosen fields %v (-want +got):\n%s", columns, diff)
	}
	columns, rows = rowsOf(t, w.ok("assets", "show", id, "-o", "csv"))
	if len(rows) != 1 || rows[0]["security.firewall.name"] != "nftables" || rows[0]["labels"] != "site=@SUM(1+1)*cmd|' /C calc'!A0" || !strings.HasPrefix(rows[0]["hardware.disks"], `[{"`) || !slices.Contains(columns, "warranty.end") {
		t.Errorf("the asset is %v in the columns %v", rows, columns)
	}
	if _, rows = rowsOf(t, w.ok("group", "os.family", "-o", "csv")); cmp.Diff([]map[string]string{{"value": "linux", "count": "1"}}, rows) != "" {
		t.Errorf("groups are %v", rows)
	}
	if _, rows = rowsOf(t, w.ok("version", "-o", "csv")); len(rows) != 1 || rows[0]["version"] == "" {
		t.Errorf("the version is %v", rows)
	}
	if out := w.ok("watch", "--cursor", "oldest", "--once", "-o", "csv"); !strings.Contains(strings.SplitN(out, "\n", 2)[0], "asset_id") || strings.Count(out, "\n") < 2 {
		t.Errorf("events are\n%s", out)
	}
	for args, want := range map[string]string{"-o csv": "id,name,", "-o json": `{"id":`, "-o csv --format ndjson": `{"id":`} {
		if out := w.ok(append([]string{"export"}, strings.Fields(args)...)...); !strings.HasPrefix(out, want) {
			t.Errorf("export %s writes %.60s", args, out)
		}
	}
	if _, errs, code := w.call("export", "-o", "yaml"); code != exitUsage || !strings.Contains(errs, "ndjson") {
		t.Errorf("export as YAML exits with %d: %s", code, errs)
	}
	must(t, w.catalog.DeclareSource(t.Context(), &storagepb.SourceRecord{Id: "operator", Kind: "operator"}))
	if out := w.ok("set", id, "stage=retired", "-o", "csv"); !strings.Contains(out, "retired") {
		t.Errorf("the changed asset is %s", out)
	}
}

func TestCells(t *testing.T) {
	for give, want := range map[string]string{`"-5"`: "-5", `-5`: "-5", `"-5+1"`: "'-5+1", `["=1","b"]`: "'=1; b", `{"b":"2","a":1.50}`: "a=1.50; b=2", `[{"a":"<=1"}]`: `[{"a":"<=1"}]`,
		`null`: "", `true`: "true", `{"a":{"b":1}}`: `{"a":{"b":1}}`, `12345678901234567890`: "12345678901234567890", `{"=1":"x"}`: "'=1=x", `[]`: ""} {
		var b strings.Builder
		out := bufio.NewWriter(&b)
		must(t, newCSVEncoder(out, nil, []string{"x"}).object([]byte(`{"x":`+give+`}`), nil))
		must(t, out.Flush())
		if _, rows := rowsOf(t, b.String()); len(rows) > 0 && rows[0]["x"] != want {
			t.Errorf("%s becomes %q, want %q", give, rows[0]["x"], want)
		}
	}
}

// An asset of which a part is itself of the same type would have no end of columns.
func TestColumnsEnd(t *testing.T) {
	for _, c := range leaves((*pb.Asset)(nil).ProtoReflect().Descriptor(), "") {
		if strings.Count(c, ".") > 4 {
			t.Errorf("the column %s is deep", c)
		}
	}
}

// One place renders: a command that asks for the format has a switch of its own.
func TestOnePlaceRenders(t *testing.T) {
	files, err := filepath.Glob("*.go")
	must(t, err)
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") || slices.Contains([]string{"output.go", "main.go"}, f) {
			continue
		}
		b, err := os.ReadFile(f)
		must(t, err)
		for _, word := range []string{"s.format", "formatTable", "formatJSON", "formatYAML", "formatCSV"} {
			if strings.Contains(string(b), word) {
				t.Errorf("%s asks for %s", f, word)
			}
		}
	}
	w := newWorld(t)
	if _, errs, code := w.call("assets", "list", "-o", "xml"); code != exitUsage || !strings.Contains(errs, `"table","json","yaml","csv"`) {
		t.Errorf("an unknown format exits with %d: %s", code, errs)
	}
}
