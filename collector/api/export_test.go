package api

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func (w *world) export(query string) string {
	w.t.Helper()
	code, _, b := w.ask(w.admin, "GET", "/v1/assets:export?"+query, "")
	if code != 200 {
		w.t.Fatalf("export %s answers %d: %s", query, code, b)
	}
	return string(b)
}

// An export has what lists have: as many assets, and each as GET has it.
func TestExportIsWhatListsSay(t *testing.T) {
	w := newWorld(t)
	rows := 0
	for i := range 230 {
		var software []*pb.Software
		for j := range i % 4 {
			software = append(software, &pb.Software{Kind: "deb", Name: fmt.Sprint("pkg", j), Version: fmt.Sprint(i % 7)})
			rows++
		}
		w.report(fmt.Sprintf("host%03d", i), software...)
	}
	if err := w.service.View.Load(t.Context(), w.service.Store); err != nil { // which catches up with the software
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(w.export("")), "\n")
	if len(lines) != 230 {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines[:3] {
		var exported, shown map[string]any
		if err := json.Unmarshal([]byte(line), &exported); err != nil {
			t.Fatal(err)
		}
		w.get("/v1/assets/"+exported["id"].(string), &shown)
		if fmt.Sprint(exported) != fmt.Sprint(shown) {
			t.Errorf("exported\n%v\nshown\n%v", exported, shown)
		}
	}
	filter := url.QueryEscape(`has_software("pkg2") && asset.name < "host1"`)
	var p assetsPage
	w.get("/v1/assets?fields=id&page_size=1&filter="+filter, &p)
	all, err := csv.NewReader(strings.NewReader(w.export("format=csv&fields=name,hardware.serial&filter=" + filter))).ReadAll()
	if err != nil || len(all) != 1+p.TotalSize || p.TotalSize == 0 || all[1][1] != "SERIAL-"+all[1][0] {
		t.Errorf("%d rows, %d in a list: %v %v", len(all)-1, p.TotalSize, all[:2], err)
	}
	if got := strings.Count(w.export("software=true"), "\n"); got != rows {
		t.Errorf("%d rows of software, want %d", got, rows)
	}
	if all, err = csv.NewReader(strings.NewReader(w.export("software=true&format=csv&search=host003"))).ReadAll(); err != nil || len(all) != 4 {
		t.Errorf("software of one: %v %v", all, err)
	}
	if book := w.export("format=xlsx"); !strings.HasPrefix(book, "PK") {
		t.Errorf("a workbook begins with %.4q", book)
	}
	if over := overGRPC(t, w, &adminpb.ExportAssetsRequest{Format: "csv"}); over != w.export("format=csv") {
		t.Error("gRPC and HTTP give different files")
	}
}

func overGRPC(t *testing.T, w *world, r *adminpb.ExportAssetsRequest) string {
	t.Helper()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+w.admin)
	stream, err := adminpb.NewAdminServiceClient(dial(t, w.service)).ExportAssets(ctx, r)
	var all strings.Builder
	for err == nil {
		var c *adminpb.ExportChunk
		if c, err = stream.Recv(); err == nil {
			all.Write(c.GetData())
		}
	}
	if err != io.EOF {
		t.Fatal(err)
	}
	return all.String()
}

func TestExportErrors(t *testing.T) {
	w := newWorld(t)
	for query, want := range map[string]string{"format=pdf": "ndjson, csv, xlsx", "fields=nam": "meant is perhaps name", "filter=nope": "filter", "colour=red": "fields, filter", "search=" + strings.Repeat("x", 300): "256"} {
		code, _, b := w.ask(w.admin, "GET", "/v1/assets:export?"+query, "")
		if code != 400 || !strings.Contains(string(b), want) {
			t.Errorf("%s answers %d: %s", query, code, b)
		}
	}
	for range maxExports {
		w.service.exports <- struct{}{}
	}
	if code, h, _ := w.ask(w.admin, "GET", "/v1/assets:export", ""); code != http.StatusTooManyRequests || h.Get("Retry-After") == "" {
		t.Errorf("one too many answers %d", code)
	}
}

// An export that fails half-way must not look whole.
func TestExportIsCutOffWhereItFails(t *testing.T) {
	w := newWorld(t)
	for i := range 3 * exportBatch {
		w.report(fmt.Sprintf("host%03d", i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	e, err := w.service.newExport(ctx, &adminpb.ExportAssetsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.done()
	cancel()
	if err := e.write(ctx, io.Discard); err == nil {
		t.Error("it says that all went well")
	}
}
