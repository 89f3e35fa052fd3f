package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// A saved view answers wherever assets are found, and what is asked beside it
// must hold too.
func TestSavedViewsAnswer(t *testing.T) {
	w := newSites(t)
	made := w.must("POST", "/v1/views", `{"id":"berlin","title":"Laptops in Berlin","filter":"asset.labels.site == \"berlin\" // ours","order_by":"name desc","fields":"name","group_by":"class","shared":true}`)
	if made["owner"] == "" || made["created_at"] == nil || made["shared"] != true {
		t.Errorf("made: %v", made)
	}
	for _, tc := range []struct{ path, want string }{
		{"/v1/assets?view=berlin", "map[assets:[map[name:ANN-2] map[name:ANN-1]] total_size:2]"},
		{"/v1/assets?view=berlin&order_by=name&fields=class,name", "map[assets:[map[class:laptop name:ANN-1] map[class:laptop name:ANN-2]] total_size:2]"},
		{"/v1/assets?view=berlin&filter=asset.name.endsWith(%222%22)", "map[assets:[map[name:ANN-2]] total_size:1]"},
		{"/v1/assets?view=berlin&filter=asset.name.endsWith(%222%22)||asset.name.endsWith(%223%22)", "map[assets:[map[name:ANN-2]] total_size:1]"},
		{"/v1/assets?view=berlin&search=C02AAAAAAAA1", "map[assets:[map[name:ANN-1]] total_size:1]"},
		{"/v1/assets:group?view=berlin", "map[groups:[map[count:2 value:laptop]] total_groups:1 total_size:2]"},
		{"/v1/assets:group?view=berlin&by=name", "map[groups:[map[count:1 value:ANN-1] map[count:1 value:ANN-2]] total_groups:2 total_size:2]"},
	} {
		if got := fmt.Sprint(w.must("GET", tc.path, "")); got != tc.want {
			t.Errorf("%s answers %s, want %s", tc.path, got, tc.want)
		}
	}
	if code, _, b := w.ask(w.admin, "GET", "/v1/assets:export?view=berlin&format=csv", ""); code != 200 || len(strings.Fields(string(b))) != 3 || strings.Contains(string(b), "OUTSIDE") {
		t.Errorf("export: %d %q", code, b)
	}
	// It is what its caller may see that it finds.
	w.must("PATCH", "/v1/views/berlin", `{"fields":"filter,order_by"}`)
	if n := w.total(w.admin, "/v1/assets?view=berlin"); n != 3 {
		t.Errorf("without its filter it finds %d", n)
	}
	if n := w.total(w.reader, "/v1/assets?view=berlin"); n != 2 {
		t.Errorf("for who sees berlin it finds %d", n)
	}
	first := w.must("GET", "/v1/assets?view=berlin&page_size=1", "")
	w.must("PATCH", "/v1/views/berlin", `{"view":{"filter":"asset.class == \"laptop\""}}`)
	if code, _, b := w.ask(w.admin, "GET", "/v1/assets?view=berlin&page_size=1&page_token="+first["next_page_token"].(string), ""); code != 400 {
		t.Errorf("a page of what the view was before: %d %s", code, b)
	}
}

// What a view is, is checked when it is kept, with the words that the question
// itself would get.
func TestSavedViewsAreChecked(t *testing.T) {
	w := newWorld(t)
	w.must("POST", "/v1/views", `{"id":"good"}`)
	for _, tc := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"POST", "/v1/views", `{"id":"Bad Id"}`, 400, "lower-case"},
		{"POST", "/v1/views", `{}`, 400, "id"},
		{"POST", "/v1/views", `{"id":"good"}`, 409, "PATCH /v1/views/good"},
		{"POST", "/v1/views", `{"id":"x","filter":"asset.os.familly == \"linux\""}`, 400, "column 9"},
		{"POST", "/v1/views", `{"id":"x","filter":"asset.name"}`, 400, "filter"},
		{"POST", "/v1/views", `{"id":"x","order_by":"seriel"}`, 400, "order_by"},
		{"POST", "/v1/views", `{"id":"x","fields":"hardware.seriel"}`, 400, "hardware.serial"},
		{"POST", "/v1/views", `{"id":"x","group_by":"hardware"}`, 400, "hardware"},
		{"POST", "/v1/views", `{"id":"x","search":"` + strings.Repeat("x", 300) + `"}`, 400, "search"},
		{"POST", "/v1/views", `{"id":"x","title":"two\nlines"}`, 400, "title"},
		{"POST", "/v1/views", `{"id":"x","titel":"no"}`, 400, "titel"},
		{"PATCH", "/v1/views/good", `{"view":{"filter":"1"}}`, 400, "filter"},
		{"PATCH", "/v1/views/good", `{}`, 400, "nothing is to be changed"},
		{"PATCH", "/v1/views/good", `{"view":{"title":"t"},"fields":"owner"}`, 400, "owner"},
		{"PATCH", "/v1/views/none", `{"view":{"title":"t"}}`, 404, "/v1/views"},
		{"DELETE", "/v1/views/none", ``, 404, "/v1/views"},
		{"GET", "/v1/assets?view=none", ``, 404, "/v1/views"},
		{"GET", "/v1/assets:group?view=good", ``, 400, "by"},
		{"GET", "/v1/assets?view=good&as_of=2026-01-01T00:00:00Z", ``, 400, "as_of"},
		{"GET", "/v1/views?page_token=forged", ``, 400, "next_page_token"},
	} {
		if code, _, b := w.ask(w.admin, tc.method, tc.path, tc.body); code != tc.code || !strings.Contains(string(b), tc.want) {
			t.Errorf("%s %s %s: %d, want %d and %q: %s", tc.method, tc.path, tc.body, code, tc.code, tc.want, b)
		}
	}
}

// A private view is its owner's alone; a shared one is everybody's to use, and
// its owner's and administrators' to change.
func TestSavedViewsHaveOwners(t *testing.T) {
	w := newWorld(t)
	ann, bob, op := w.token("viewer"), w.token("viewer"), w.token("operator")
	do := func(token, method, path, body string, want int) string {
		t.Helper()
		code, _, b := w.ask(token, method, path, body)
		if code != want {
			t.Errorf("%s %s %s: %d, want %d: %s", method, path, body, code, want, b)
		}
		return string(b)
	}
	do(ann, "POST", "/v1/views", `{"id":"mine","title":"of Ann"}`, 200)
	do(bob, "POST", "/v1/views", `{"id":"mine","title":"of Bob"}`, 200)
	do(ann, "POST", "/v1/views", `{"id":"all","shared":true}`, 403)
	do(op, "POST", "/v1/views", `{"id":"all","title":"of all","shared":true}`, 200)
	if got := do(ann, "GET", "/v1/views", "", 200); !strings.Contains(got, "of Ann") || strings.Contains(got, "of Bob") || !strings.Contains(got, "of all") {
		t.Errorf("Ann sees %s", got)
	}
	do(ann, "PATCH", "/v1/views/all", `{"view":{"title":"taken"}}`, 403)
	do(ann, "DELETE", "/v1/views/all", "", 403)
	do(w.token("operator"), "DELETE", "/v1/views/all", "", 403)
	// One of her own stands before the shared one.
	do(ann, "POST", "/v1/views", `{"id":"all","title":"her own"}`, 200)
	if got := do(ann, "GET", "/v1/views/all", "", 200); !strings.Contains(got, "her own") {
		t.Errorf("Ann gets %s", got)
	}
	do(ann, "DELETE", "/v1/views/all", "", 200)
	if got := do(ann, "GET", "/v1/views/all", "", 200); !strings.Contains(got, "of all") {
		t.Errorf("Ann gets %s", got)
	}
	// Shared, and private again.
	do(op, "POST", "/v1/views", `{"id":"draft","title":"a draft"}`, 200)
	do(bob, "GET", "/v1/views/draft", "", 404)
	do(op, "PATCH", "/v1/views/draft", `{"view":{"shared":true}}`, 200)
	do(bob, "GET", "/v1/views/draft", "", 200)
	do(w.admin, "PATCH", "/v1/views/draft", `{"view":{},"fields":"shared"}`, 200)
	do(bob, "GET", "/v1/views/draft", "", 404)
	do(op, "GET", "/v1/views/draft", "", 200)
	do(w.admin, "DELETE", "/v1/views/all", "", 200)
	for page, n := "", 0; ; n++ {
		var p struct {
			Views         []struct{ ID string }
			NextPageToken string `json:"next_page_token"`
		}
		w.get("/v1/views?page_size=1&page_token="+page, &p)
		if page = p.NextPageToken; page == "" {
			break
		}
		if len(p.Views) != 1 || n > 5 {
			t.Fatalf("page %d: %+v", n, p)
		}
	}
	var log []string
	for _, e := range w.must("GET", "/v1/audit?action=view", "")["entries"].([]any) {
		entry := e.(map[string]any)
		log = append(log, fmt.Sprint(entry["action"], " ", entry["target"]))
	}
	want := "[view.delete all view.update draft view.update draft view.create draft view.delete all view.create all view.create all view.create mine view.create mine]"
	if fmt.Sprint(log) != want {
		t.Errorf("the audit log has %v", log)
	}
}

func TestSavedViewsAreCounted(t *testing.T) {
	w := newWorld(t)
	err := w.service.Store.Update(t.Context(), func(tx *store.Tx) error {
		for i := range maxSharedViews {
			if err := tx.PutSavedView(store.SharedView, viewRecord(fmt.Sprint("v", i))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if code, _, b := w.ask(w.admin, "POST", "/v1/views", `{"id":"more","shared":true}`); code != http.StatusTooManyRequests || !strings.Contains(string(b), "delete one") {
		t.Errorf("one more: %d %s", code, b)
	}
	w.must("POST", "/v1/views", `{"id":"more"}`)
}

func viewRecord(id string) *storagepb.ViewRecord {
	return &storagepb.ViewRecord{View: &adminpb.SavedView{Id: id, Shared: true, Owner: "token:x"}}
}
