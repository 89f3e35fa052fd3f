package api

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// The description is valid by the word of a validator that others wrote, and what
// is answered is as it says.
func TestOpenAPI(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/v1/sources/jamf", `{"kind":"mdm","title":"Jamf Pro"}`)
	id := w.report("web1", &pb.Software{Kind: "deb", Name: "bash", Version: "5.2"})
	code, _, b := w.ask("", "GET", "/openapi.json", "")
	if code != 200 {
		t.Fatalf("answers %d: %s", code, b)
	}
	doc, err := openapi3.NewLoader().LoadFromData(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.") {
		t.Errorf("it is version %s", doc.OpenAPI)
	}
	methods := adminpb.File_rollcall_v1_admin_proto.Services().ByName("AdminService").Methods()
	described := make(map[string]bool)
	for path, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			described[op.OperationID] = true
			for _, r := range op.Responses.Map() {
				if len(r.Value.Content) == 0 {
					t.Errorf("%s %s: an answer without content", path, op.OperationID)
				}
			}
		}
	}
	for i := range methods.Len() {
		if name := string(methods.Get(i).Name()); !described[name] {
			t.Errorf("%s is not described", name)
		}
	}
	for path, call := range map[string]string{"/v1/assets": "/v1/assets", "/v1/assets/{id}": "/v1/assets/" + id, "/v1/assets:group": "/v1/assets:group?by=os.name",
		"/v1/software": "/v1/software", "/v1/assets/{id}/software": "/v1/assets/" + id + "/software", "/v1/assets/{id}:history": "/v1/assets/" + id + ":history",
		"/v1/assets/{id}:explain": "/v1/assets/" + id + ":explain", "/v1/sources": "/v1/sources", "/v1/tokens": "/v1/tokens", "/v1/rules": "/v1/rules",
		"/v1/findings": "/v1/findings", "/v1/audit": "/v1/audit", "/v1/server": "/v1/server"} {
		var answer any
		w.get(call, &answer)
		schema := doc.Paths.Find(path).Get.Responses.Value("200").Value.Content["application/json"].Schema.Value
		if err := schema.VisitJSON(answer); err != nil {
			t.Errorf("%s is not answered as described: %v", call, err)
		}
	}
}

func TestDocsNeedNothingFromElsewhere(t *testing.T) {
	w := newWorld(t)
	code, h, b := w.ask("", "GET", "/docs", "")
	page := string(b)
	if code != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/html") {
		t.Fatalf("answers %d", code)
	}
	for _, want := range []string{"/v1/assets:export", `href="#v1Asset"`, `id="v1Asset"`, "Idempotency-Key"} {
		if !strings.Contains(page, want) {
			t.Errorf("nothing of %s", want)
		}
	}
	for _, not := range []string{"<script", "http://", "https://", "ZgotmplZ"} {
		if strings.Contains(page, not) {
			t.Errorf("it has %s", not)
		}
	}
}

func TestWhatEveryAnswerSaysForSafety(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/", "/docs", "/v1/assets", "/nothing"} {
		_, h, _ := w.ask(w.admin, "GET", path, "")
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Content-Security-Policy": "default-src 'none'",
			"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin"} {
			if !strings.Contains(h.Get(name), want) {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
	}
}

// A call that is repeated with its key is done once, and answered as before.
func TestIdempotencyKeys(t *testing.T) {
	w := newWorld(t)
	body := `{"kind":"enroll","name":"once"}`
	do := func(token, key, body string) (int, string, string) {
		t.Helper()
		code, h, b := w.askWith(token, "POST", "/v1/tokens", body, idempotencyKey, key)
		return code, h.Get("Idempotent-Replayed"), string(b)
	}
	code, replayed, first := do(w.admin, "k1", body)
	if code != 200 || replayed != "" {
		t.Fatalf("first: %d %s", code, first)
	}
	if code, replayed, again := do(w.admin, "k1", body); code != 200 || replayed != "true" || again != first {
		t.Errorf("again: %d, replayed %q, %s", code, replayed, again)
	}
	if _, _, other := do(w.admin, "k2", body); other == first {
		t.Error("another key is answered with the same token")
	}
	if code, _, b := do(w.admin, "k1", `{"kind":"enroll","name":"other"}`); code != 422 {
		t.Errorf("the key for another call: %d %s", code, b)
	}
	if code, _, _ := do(w.token("admin"), "k1", body); code != 200 {
		t.Errorf("the key of another token: %d", code)
	}
	var made struct{ Token, ID string }
	_, _, b := w.ask(w.admin, "POST", "/v1/tokens", `{"kind":"api","role":"admin"}`)
	if err := json.Unmarshal(b, &made); err != nil {
		t.Fatal(err)
	}
	do(made.Token, "k3", body)
	w.must("DELETE", "/v1/tokens/"+url.PathEscape(made.ID), "")
	if code, _, b := do(made.Token, "k3", body); code != 401 {
		t.Errorf("a revoked token gets its answer of before: %d %s", code, b)
	}
	// One that failed may be tried again, with the same result here.
	if code, _, _ := do(w.admin, "k4", `{"kind":"nonsense"}`); code != 400 {
		t.Errorf("a wrong call: %d", code)
	}
	if code, _, _ := do(w.admin, strings.Repeat("k", maxIdempotencyKey+1), body); code != 400 {
		t.Errorf("a key that is too long: %d", code)
	}
}
