package api

import (
	"fmt"
	"strings"
	"testing"
)

const (
	screenSerial = "CN0Y5H4K09PS"
	listing      = `{"source":"jamf","source_id":"%s","observed_at":"2026-01-0%dT00:00:00Z","device":{"name":"%s","class":"laptop","labels":{"site":"%s"},"hardware":{"manufacturer":"Apple","serial":"%s",` +
		`"displays":[{"manufacturer":"SHP","serial":"PANEL123456","connector":"eDP-1"},{"manufacturer":"GSM","serial":"16843009"}%s]}}}`
	screen = `,{"manufacturer":"DEL","model":"DELL U2720Q","serial":"` + screenSerial + `","connector":"DP-1","product":"40a1"}`
)

// A display has a record that leads to its machine, the machine one that leads to
// the display; only good numbers make one, and nobody hands in the collector's own.
func TestDisplaysAreAssetsOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/v1/sources/jamf", `{"kind":"mdm"}`)
	w.must("PUT", "/v1/sources/po", `{"kind":"purchasing"}`)
	host := w.push(fmt.Sprintf(listing, "1", 2, "ann-mbp", "berlin", "C02AAAAAAAA1", screen))[0]["asset_id"]
	m := w.must("GET", "/v1/assets/"+host, "")
	things, _ := m["attached"].([]any)
	if len(things) != 1 {
		t.Fatalf("attached to the machine: %v", m["attached"])
	}
	thing := things[0].(map[string]any)
	if thing["class"] != "display" || thing["serial"] != screenSerial || thing["listed"] != true || thing["last_listed_at"] != "2026-01-02T00:00:00Z" {
		t.Errorf("the machine has %v", thing)
	}
	id := thing["asset_id"].(string)
	d := w.must("GET", "/v1/assets/"+id, "")
	if to := d["attached_to"].(map[string]any); to["asset_id"] != host || to["listed"] != true || to["last_listed_at"] != "2026-01-02T00:00:00Z" {
		t.Errorf("the display is attached to %v", to)
	}
	if from, ok := d["provenance"].(map[string]any)["attached_to"].(map[string]any); !ok || from["source"] != "parts" {
		t.Errorf("provenance %v", d["provenance"])
	}
	if n := w.must("GET", "/v1/assets?filter=asset.class%20%3D%3D%20%22display%22", "")["total_size"]; fmt.Sprint(n) != "1" {
		t.Errorf("%v displays are listed", n)
	}
	if n := w.must("GET", "/v1/assets?filter=asset.attached_to.asset_id%20%3D%3D%20%22"+host+"%22%20%26%26%20known_to(%22host%22)", "")["total_size"]; fmt.Sprint(n) != "1" {
		t.Errorf("%v assets are attached to the machine", n)
	}
	// An order for it unites, in whatever spelling.
	order := `{"source":"po","source_id":"1","observed_at":"2026-01-01T00:00:00Z","device":{"class":"display","hardware":{"manufacturer":"Dell Inc.","serial":"` + strings.ToLower(screenSerial) + `"},"purchase":{"order_number":"PO-7"}}}`
	if got := w.push(order)[0]["asset_id"]; got != id {
		t.Errorf("the order for the display is asset %s, want %s", got, id)
	}
	// Unplugged it stays, with the time.
	w.push(fmt.Sprintf(listing, "1", 3, "ann-mbp", "berlin", "C02AAAAAAAA1", ""))
	if to := w.must("GET", "/v1/assets/"+id, "")["attached_to"].(map[string]any); to["asset_id"] != host || to["listed"] != nil && to["listed"] != false || to["last_listed_at"] == nil {
		t.Errorf("unplugged, it is attached to %v", to)
	}
	if h := w.must("GET", "/v1/assets/"+id+":history", ""); !strings.Contains(fmt.Sprint(h), "attached_to") {
		t.Errorf("the history does not tell: %v", h)
	}
	record := d["sources"].([]any)[0].(map[string]any)["source_id"].(string)
	if code, _, b := w.ask(w.admin, "DELETE", "/v1/observations/parts/"+record, ""); code != 400 {
		t.Errorf("withdrawing the collector's own record answers %d: %s", code, b)
	}
	if code, _, b := w.ask(w.admin, "PUT", "/v1/sources/parts", `{"kind":"file"}`); code != 400 {
		t.Errorf("declaring the collector's own source answers %d: %s", code, b)
	}
	if got := w.push(`{"source":"parts","source_id":"1","observed_at":"2026-01-01T00:00:00Z","device":{}}`)[0]; !strings.Contains(got["error"], "collector's own") {
		t.Errorf("a statement under the collector's own source is answered %v", got)
	}
}

// A display is in the part of the fleet that its own fields put it into: who may
// see its machine only does not see it, and who may see it only not the machine.
func TestAScopeHoldsForWhatIsAttached(t *testing.T) {
	w := newSites(t)
	got := w.push(fmt.Sprintf(listing, "7", 2, "ANN-7", "berlin", "C02AAAAAAAA7", screen))
	host := got[0]["asset_id"]
	id := w.must("GET", "/v1/assets/"+host, "")["attached"].([]any)[0].(map[string]any)["asset_id"].(string)
	if code, m := w.as(w.reader, "GET", "/v1/assets/"+host, ""); code == 200 && m["attached"] != nil {
		t.Errorf("berlin sees the display of no site: %v", m["attached"])
	}
	if code, _ := w.as(w.reader, "GET", "/v1/assets/"+id, ""); code != 404 {
		t.Errorf("berlin reads the display of no site: %d", code)
	}
	w.must("POST", "/v1/assets/"+id+":assert", `{"set":{"labels":{"site":"berlin"}}}`)
	w.push(fmt.Sprintf(listing, "7", 3, "ANN-7", "paris", "C02AAAAAAAA7", screen))
	code, d := w.as(w.reader, "GET", "/v1/assets/"+id, "")
	if code != 200 || d["attached_to"] != nil {
		t.Errorf("berlin's display at a machine of paris: %d, attached to %v", code, d["attached_to"])
	}
}
