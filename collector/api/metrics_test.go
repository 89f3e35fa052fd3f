package api

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// Calls are counted whichever way they come, refused ones included.
func TestCallsAreCounted(t *testing.T) {
	w, registry := newWorld(t), prometheus.NewRegistry()
	w.service.calls = newCalls(registry)
	w.get("/v1/assets", new(assetsPage))
	w.ask("", "GET", "/v1/assets", "")
	if _, err := adminpb.NewAdminServiceClient(dial(t, w.service)).ListAssets(t.Context(), &adminpb.ListAssetsRequest{}); err == nil {
		t.Error("answered without a token")
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := f.GetName()
			for _, l := range m.GetLabel() {
				key += " " + l.GetValue()
			}
			got[key] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for key, want := range map[string]float64{"rollcall_api_requests_total OK ListAssets": 1, "rollcall_api_requests_total Unauthenticated ListAssets": 2,
		"rollcall_api_request_seconds ListAssets": 3} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v: %v", key, got[key], want, got)
		}
	}
}

// A life of 0 is the usual one.
func TestTokensLiveForTheUsualTimeUnlessTold(t *testing.T) {
	w := newWorld(t)
	for body, want := range map[string]time.Duration{
		`{"kind":"enroll"}`:                     24 * time.Hour,
		`{"kind":"enroll","expires_in":"0s"}`:   24 * time.Hour,
		`{"kind":"enroll","expires_in":"600s"}`: 10 * time.Minute,
	} {
		code, _, b := w.ask(w.admin, http.MethodPost, "/v1/tokens", body)
		var answer struct {
			ExpiresAt time.Time `json:"expires_at"`
		}
		if err := json.Unmarshal(b, &answer); code != http.StatusOK || err != nil {
			t.Fatalf("%s answers %d: %s", body, code, b)
		}
		if life := time.Until(answer.ExpiresAt); life > want || life < want-time.Minute {
			t.Errorf("%s lives for %v, want %v", body, life, want)
		}
	}
	if code, _, b := w.ask(w.admin, http.MethodPost, "/v1/tokens", `{"kind":"enroll","expires_in":"-1s"}`); code != http.StatusBadRequest {
		t.Errorf("a negative life answers %d: %s", code, b)
	}
}
