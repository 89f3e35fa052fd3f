package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What a change makes of an asset is in the API and in the metrics within a second,
// of a machine that has a second for it: the best of some changes counts.
func TestAFindingIsSeenSoon(t *testing.T) {
	r := start(t, testSettings(t.TempDir()), io.Discard)
	r.ask(t, "PUT", "/v1/sources/cmdb", `{"kind":"mdm"}`, nil)
	base := "http://" + r.http.Addr().String()
	// says waits until an answer has a text or no longer has it.
	says := func(path, text string, want bool) {
		t.Helper()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(time.Minute); ; <-tick.C {
			code, body := get(t, http.DefaultClient, base+path, r.token)
			if code == 200 && strings.Contains(body, text) == want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s answers %d without an end", path, code)
			}
		}
	}
	best := time.Hour
	for i, state := range []string{"on", "off", "on", "off"} {
		begun := time.Now()
		r.push(t, fmt.Sprintf(`{"source":"cmdb","source_id":"1","observed_at":%q,"device":{"name":"a","class":"laptop","security":{"disk_encryption":{"state":%q}}}}`,
			begun.UTC().Format(time.RFC3339Nano), state))
		says("/v1/findings?rule=disk-encryption", `"rule":"disk-encryption"`, state == "off")
		says("/metrics", `rollcall_findings_open{rule="disk-encryption",severity="critical"} 1`, state == "off")
		if took := time.Since(begun); i > 0 { // the first one comes while all begins
			t.Logf("seen after %v", took)
			best = min(best, took)
		}
	}
	if best > time.Second {
		t.Errorf("seen after %v at best", best)
	}
}
