package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

type auditPage struct {
	Entries       []struct{ Sequence, Actor, Action, Target, Detail, Hash string }
	NextPageToken string `json:"next_page_token"`
}

// Whoever changes something is in the log.
func TestChangesAreAudited(t *testing.T) {
	w := newWorld(t)
	id := w.report("web1")
	if err := w.catalog.DeclareOperator(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.must("PUT", "/v1/sources/jamf", `{"kind":"mdm"}`)
	w.must("POST", "/v1/assets/"+id+":assert", `{"set":{"stage":"in_repair"}}`)
	w.push(fmt.Sprintf(pushed, "1", "2026-01-01T00:00:00Z", "ann", "5XK2J93", "14.1"))
	w.must("DELETE", "/v1/observations/jamf/c/1", "")
	w.export("format=csv")
	w.ask("rca_wrong", "GET", "/v1/assets", "")
	var actions []string
	var entries []struct{ Sequence, Actor, Action, Target, Detail, Hash string }
	for token := ""; ; {
		var p auditPage
		w.get("/v1/audit?page_size=2&page_token="+token, &p)
		for _, e := range p.Entries {
			actions = append(actions, e.Action)
		}
		entries = append(entries, p.Entries...)
		if token = p.NextPageToken; token == "" {
			break
		}
	}
	for _, want := range []string{"source.put", "asset.assert", "observations.push", "observation.delete", "asset.export", "signin", "signin.refused", "token.create"} {
		if !slices.Contains(actions, want) {
			t.Errorf("no %s in %v", want, actions)
		}
	}
	for i, e := range entries {
		if len(e.Hash) != 64 || i > 0 && e.Sequence >= entries[i-1].Sequence && len(e.Sequence) == len(entries[i-1].Sequence) {
			t.Errorf("entry %+v after %+v", e, entries[max(i-1, 0)])
		}
		if e.Action == "asset.assert" && (e.Target != id || !strings.HasPrefix(e.Actor, "token:") || !strings.Contains(e.Detail, "in_repair")) {
			t.Errorf("%+v", e)
		}
	}
	var some auditPage
	if w.get("/v1/audit?action=source&actor="+entries[0].Actor, &some); len(some.Entries) > 1 {
		t.Errorf("only sources: %+v", some)
	}
	some = auditPage{}
	if w.get("/v1/audit?since="+time.Now().Add(time.Hour).UTC().Format(time.RFC3339), &some); len(some.Entries) != 0 {
		t.Errorf("of the future: %+v", some)
	}
	var whole struct{ Entries, Hash, Fault string }
	if w.get("/v1/audit:verify", &whole); whole.Fault != "" || len(whole.Hash) != 64 {
		t.Errorf("the log is %+v", whole)
	}
}

// Every call that changes something is recorded, here or where it is done.
func TestEveryWriteIsAudited(t *testing.T) {
	elsewhere := []string{"CreateToken", "RevokeToken", "SignOut", "RevokeSessions", "RevokeAgent", "WaiveFinding", "AcknowledgeFinding", "ReopenFinding", "PutRule", "DeleteRule", "ErasePerson", "DeleteErasure",
		"CreateSubscription", "PauseSubscription", "DeleteSubscription", "RotateSubscriptionSecret", "RetryDeadLetters", "CreateView", "UpdateView", "DeleteView"}
	methods := adminpb.File_rollcall_v1_admin_proto.Services().ByName("AdminService").Methods()
	for i := range methods.Len() {
		name := string(methods.Get(i).Name())
		reads := false
		for _, prefix := range []string{"List", "Get", "Group", "Explain", "Watch", "Verify", "Export", "Test", "Preview", "Try"} {
			reads = reads || strings.HasPrefix(name, prefix)
		}
		if _, ok := audited[adminService+name]; !reads && !ok && !slices.Contains(elsewhere, name) {
			t.Errorf("%s changes something, and nobody will know who did", name)
		}
	}
}

// A token that calls too often is told when to come back; others are not.
func TestRateLimit(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	w.service.limits.now = func() time.Time { return now }
	w.service.limits.rate = 1
	busy, other := w.token("viewer"), w.token("viewer")
	for i := range burstSeconds {
		if code, _, b := w.ask(busy, "GET", "/v1/server", ""); code != 200 {
			t.Errorf("call %d answers %d: %s", i, code, b)
		}
	}
	code, h, b := w.ask(busy, "GET", "/v1/server", "")
	if code != http.StatusTooManyRequests || h.Get("Retry-After") != "1" || !strings.Contains(string(b), "times a second") {
		t.Errorf("one too many answers %d, Retry-After %q: %s", code, h.Get("Retry-After"), b)
	}
	if code, _, _ := w.ask(other, "GET", "/v1/server", ""); code != 200 {
		t.Errorf("another token answers %d", code)
	}
	now = now.Add(time.Second)
	if code, _, _ := w.ask(busy, "GET", "/v1/server", ""); code != 200 {
		t.Errorf("a second later it answers %d", code)
	}
}

// A filter that would keep the collector busy is refused, whatever it is.
func TestExpensiveFiltersAreRefused(t *testing.T) {
	w := newWorld(t)
	w.report("web1")
	nested := `asset.hardware.disks.all(a, asset.hardware.disks.all(b, asset.hardware.disks.all(c, asset.hardware.disks.all(d, a.name == b.name && c.name == d.name))))`
	for _, filter := range []string{nested, strings.Repeat(`asset.name == "x" || `, 2000) + "true"} {
		code, _, b := w.ask(w.admin, "GET", "/v1/assets"+query("filter", filter), "")
		if code != 400 || !strings.Contains(string(b), "filter") {
			t.Errorf("%.40s answers %d: %.300s", filter, code, b)
		}
	}
}

// While the disk is full, questions are answered though nothing can be recorded,
// and who asked is recorded once there is space.
func TestFullDiskKeepsAnswering(t *testing.T) {
	w := newWorld(t)
	w.report("web1")
	var ahead atomic.Int64
	w.service.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	signIns := func() int {
		var p auditPage
		w.get("/v1/audit?action=signin", &p)
		return len(p.Entries)
	}
	w.disk.full.Store(true)
	var page struct{ Assets []json.RawMessage }
	if w.get("/v1/assets", &page); len(page.Assets) != 1 || signIns() != 0 {
		t.Errorf("%d assets, %d sign-ins recorded", len(page.Assets), signIns())
	}
	if code, _, body := w.ask(w.admin, "PUT", "/v1/sources/jamf", `{"kind":"mdm"}`); code != http.StatusServiceUnavailable && code != http.StatusTooManyRequests && code != http.StatusInsufficientStorage {
		t.Errorf("a change answers %d: %s", code, body)
	}
	w.disk.full.Store(false)
	ahead.Store(int64(2 * signInRetry))
	if n := signIns(); n != 1 {
		t.Errorf("%d sign-ins recorded", n)
	}
}
