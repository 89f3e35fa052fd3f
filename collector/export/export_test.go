package export

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

var at = time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)

// hostile is an asset whose texts a spreadsheet program would compute.
func hostile() *pb.Asset {
	return &pb.Asset{Id: "1", Name: `=cmd|' /C calc'!A0`, Class: "laptop", LastSeen: timestamppb.New(at), SoftwareCount: proto.Int32(2),
		Labels: map[string]string{"site": "+berlin", "a.b": "c"}, Hardware: &pb.Hardware{Model: "a\"b,\r\nc<&>\x01", MemoryBytes: proto.Int64(16 << 30),
			Disks: []*pb.Disk{{Model: "-one"}, {Model: "two"}}}, Mdm: &pb.Mdm{Enrolled: proto.Bool(true)}}
}

var fields = []string{"name", "hardware.model", "labels.site", "labels.a.b", "labels", "hardware.memory_bytes", "hardware.disks.model", "hardware.disks", "mdm.enrolled", "last_seen", "os.name", "software_count"}

var cells = []string{`'=cmd|' /C calc'!A0`, "a\"b,\r\nc<&>\x01", "'+berlin", "c", "a.b=c; site=+berlin", "17179869184", "'-one; two", `{"model":"-one"}; {"model":"two"}`, "true", "2026-11-25T10:00:00Z", "", "2"}

func write(t *testing.T, o Options, fn func(*Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := New(&b, o)
	if err == nil {
		err = fn(w)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCSV(t *testing.T) {
	b := write(t, Options{Format: CSV, Fields: fields}, func(w *Writer) error { return w.Asset(hostile()) })
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := make([]string, len(cells))
	for i, c := range cells {
		want[i] = strings.ReplaceAll(c, "\r\n", "\n") // as the reader has it
	}
	if diff := cmp.Diff([][]string{fields, want}, rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The workbook is read by a library that others wrote.
func TestXLSX(t *testing.T) {
	b := write(t, Options{Format: XLSX, Fields: fields}, func(w *Writer) error { return w.Asset(hostile()) })
	f, err := excelize.OpenReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := f.GetRows("Rollcall 1")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.ReplaceAll(strings.Join(cells, "\x00"), "\x01", "\uFFFD"), "\x00")
	want[8] = "TRUE"
	if diff := cmp.Diff([][]string{fields, want}, rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for cell, want := range map[string]excelize.CellType{"A2": excelize.CellTypeInlineString, "F2": excelize.CellTypeUnset, "I2": excelize.CellTypeBool} {
		if got, err := f.GetCellType("Rollcall 1", cell); got != want || err != nil {
			t.Errorf("cell %s is of type %d, want %d, %v", cell, got, want, err)
		}
		if got, err := f.GetCellFormula("Rollcall 1", cell); got != "" || err != nil {
			t.Errorf("cell %s is the formula %q, %v", cell, got, err)
		}
	}
}

// More rows than a worksheet has go on in the next.
func TestXLSXGoesOnInAnotherSheet(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a million rows")
	}
	const n = maxSheetRows + 10
	b := write(t, Options{Format: XLSX, Fields: []string{"name"}}, func(w *Writer) error {
		for i := range n {
			if err := w.Asset(&pb.Asset{Name: fmt.Sprint(i)}); err != nil {
				return err
			}
		}
		return nil
	})
	f, err := excelize.OpenReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := f.GetRows("Rollcall 2")
	if err != nil || len(rows) != 1+11 || rows[0][0] != "name" || rows[11][0] != fmt.Sprint(n-1) {
		t.Errorf("the second sheet is %v, %v", rows, err)
	}
}

func TestSoftwareRows(t *testing.T) {
	title := func() (*pb.Software, error) {
		return &pb.Software{Kind: "deb", Name: "=bash", Version: "5.2", SizeBytes: proto.Int64(7)}, nil
	}
	rows := func(w *Writer) error {
		if err := w.Begin(&pb.Asset{Id: "1", Name: "web"}); err != nil {
			return err
		}
		for range 2 {
			if err := w.Software(1, title, at, time.Time{}); err != nil {
				return err
			}
		}
		return w.Software(2, func() (*pb.Software, error) { return new(pb.Software), nil }, time.Time{}, at)
	}
	all, err := csv.NewReader(bytes.NewReader(write(t, Options{Format: CSV, Software: true}, rows))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"asset.id", "asset.name", "software.kind", "software.name", "software.version", "software.publisher", "software.architecture", "software.location", "software.size_bytes", "software.product_id", "software.installed_at", "software.last_used_at"},
		{"1", "web", "deb", "'=bash", "5.2", "", "", "", "7", "", "2026-11-25T10:00:00Z", ""},
		{"1", "web", "deb", "'=bash", "5.2", "", "", "", "7", "", "2026-11-25T10:00:00Z", ""},
		{"1", "web", "", "", "", "", "", "", "", "", "", "2026-11-25T10:00:00Z"},
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("CSV (-want +got):\n%s", diff)
	}
	var got []map[string]map[string]string
	for d := json.NewDecoder(bytes.NewReader(write(t, Options{Format: NDJSON, Software: true}, rows))); ; {
		var line map[string]map[string]string
		if err := d.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		got = append(got, line)
	}
	asset, bash := map[string]string{"id": "1", "name": "web"}, map[string]string{"kind": "deb", "name": "=bash", "version": "5.2", "size_bytes": "7", "installed_at": "2026-11-25T10:00:00Z"}
	if diff := cmp.Diff([]map[string]map[string]string{{"asset": asset, "software": bash}, {"asset": asset, "software": bash},
		{"asset": asset, "software": {"last_used_at": "2026-11-25T10:00:00Z"}}}, got); diff != "" {
		t.Errorf("NDJSON (-want +got):\n%s", diff)
	}
}

func TestWrongOptions(t *testing.T) {
	for _, o := range []Options{{Format: "pdf"}, {Format: CSV, Fields: []string{"nope"}}, {Format: XLSX, Fields: []string{"last_seen.seconds"}}, {Format: CSV, Fields: []string{"name.x"}}} {
		if _, err := New(io.Discard, o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func FuzzCells(f *testing.F) {
	f.Add("=1+1")
	f.Add("\xff\x00<")
	f.Fuzz(func(t *testing.T, name string) {
		if c := textCell(name); c.text != "" && strings.ContainsAny(c.text[:1], "=+-@\t\r\n") {
			t.Errorf("%q is a formula", c.text)
		}
		b := write(t, Options{Format: XLSX, Fields: []string{"name"}}, func(w *Writer) error { return w.Asset(&pb.Asset{Name: strings.ToValidUTF8(name, "?")}) })
		file, err := excelize.OpenReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.GetRows("Rollcall 1"); err != nil {
			t.Errorf("%q cannot be read: %v", name, err)
		}
		_ = file.Close()
	})
}
