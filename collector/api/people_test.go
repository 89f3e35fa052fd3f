package api

import (
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/view"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// staffed is a world with a directory and a device manager, which know Ann, who
// has two laptops, and Bob, who left and kept one.
func staffed(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	w.must("PUT", "/v1/sources/okta", `{"kind":"idp"}`)
	w.must("PUT", "/v1/sources/jamf", `{"kind":"mdm"}`)
	now := time.Now().UTC()
	at, late := now.Format(time.RFC3339), now.Add(-30*24*time.Hour).Format(time.RFC3339)
	got := w.push(
		`{"source":"okta","source_id":"user/1","observed_at":"`+at+`","person":{"name":"Ann Berg","emails":["Ann@Example.com"],"upn":"aberg@corp.example.com","account":"CORP\\ann","employee_id":"1001","status":"active","department":"Sales","location":{"site":"Berlin"},"apps":[{"name":"Salesforce","role":"user"}]}}`,
		`{"source":"okta","source_id":"user/2","observed_at":"`+at+`","person":{"name":"Bob Cole","emails":["bob@example.com"],"status":"departed","department":"sales","title":"Buyer"}}`,
		`{"source":"okta","source_id":"user/3","observed_at":"`+at+`","person":{"name":"Cid Dorn","employee_id":"1003","department":"IT","title":"Clerk"}}`,
		`{"source":"jamf","source_id":"1","observed_at":"`+at+`","device":{"name":"ANN-MBP","class":"laptop","hardware":{"manufacturer":"Apple","serial":"C02AAAAAAAA1"},"os":{"family":"macos","version":"15.1"},"security":{"disk_encryption":{"state":"off"}},"storage":{"system_size_bytes":"1000","system_free_bytes":"50"},"warranty":{"provider":"Apple","end":"2020-01-01"},"owner":{"email":"ann@example.com"}}}`,
		`{"source":"jamf","source_id":"2","observed_at":"`+late+`","device":{"name":"ANN-OLD","hardware":{"manufacturer":"Apple","serial":"C02AAAAAAAA2"},"primary_user":{"email":"aberg@corp.example.com"}}}`,
		`{"source":"jamf","source_id":"3","observed_at":"`+at+`","device":{"name":"BOB-MBP","hardware":{"manufacturer":"Apple","serial":"C02AAAAAAAA3"},"owner":{"email":"bob@example.com"},"primary_user":{"email":"ann@example.com"}}}`,
		`{"source":"jamf","source_id":"4","observed_at":"`+at+`","device":{"name":"EVE-MBP","hardware":{"manufacturer":"Apple","serial":"C02AAAAAAAA4"},"owner":{"email":"eve@example.com"}}}`)
	for i, a := range got {
		if a["error"] != "" || (a["person_id"] != "") != (i < 3) || (a["asset_id"] != "") != (i >= 3) {
			t.Fatalf("line %d is answered %v", i+1, a)
		}
	}
	return w
}

type personOut struct {
	ID, Name, Department, Status string
	Emails                       []string
	DeviceCount                  int `json:"device_count"`
	Apps                         []struct{ Name, Source string }
	Provenance                   map[string]struct{ Source string }
}

func TestPeopleAreListed(t *testing.T) {
	w := staffed(t)
	for query, want := range map[string]string{
		"":                             "Ann Berg, Bob Cole, Cid Dorn",
		"order_by=name+desc":           "Cid Dorn, Bob Cole, Ann Berg",
		"order_by=email":               "Ann Berg, Bob Cole, Cid Dorn", // Cid has none
		"order_by=email+desc":          "Bob Cole, Ann Berg, Cid Dorn",
		"order_by=title":               "Bob Cole, Cid Dorn, Ann Berg", // Ann has none
		"status=departed":              "Bob Cole",
		"department=SALES":             "Ann Berg, Bob Cole",
		"search=aberg":                 "Ann Berg",
		"search=example.com+buyer":     "Bob Cole",
		"search=1003":                  "Cid Dorn",
		"search=berg&status=suspended": "",
	} {
		var names []string
		for token := ""; ; {
			var page struct {
				People        []personOut
				TotalSize     int    `json:"total_size"`
				NextPageToken string `json:"next_page_token"`
			}
			w.get("/v1/people?page_size=1&page_token="+token+"&"+query, &page)
			if n := len(strings.Split(want, ", ")); want != "" && page.TotalSize != n {
				t.Errorf("%s: %d in all, want %d", query, page.TotalSize, n)
			}
			for _, p := range page.People {
				names = append(names, p.Name)
				if count := map[string]int{"Ann Berg": 2, "Bob Cole": 1}[p.Name]; p.DeviceCount != count {
					t.Errorf("%s has %d devices, want %d", p.Name, p.DeviceCount, count)
				}
			}
			if token = page.NextPageToken; token == "" {
				break
			}
		}
		if got := strings.Join(names, ", "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for query, want := range map[string]string{"status=gone": "none of: active", "order_by=shoe_size": "none of: name, email", "page_size=-1": "ask for 1 to 1000", "page_token=x": "page_token", "filter=x": "there is no parameter"} {
		if code, _, b := w.ask(w.admin, "GET", "/v1/people?"+query, ""); code != 400 || !strings.Contains(string(b), want) {
			t.Errorf("%s: %d %s, want %s", query, code, b, want)
		}
	}
}

func TestAPersonAnswersToTheirNames(t *testing.T) {
	w := staffed(t)
	var ann personOut
	w.get("/v1/people/ann@example.com", &ann)
	if ann.Name != "Ann Berg" || ann.DeviceCount != 2 || len(ann.Apps) != 1 || ann.Apps[0].Source != "okta" || ann.Provenance["department"].Source != "okta" {
		t.Errorf("she is %+v", ann)
	}
	for _, name := range []string{ann.ID, "ANN@example.com", "aberg@corp.example.com", `CORP\ann`, "1001"} {
		var p personOut
		if w.get("/v1/people/"+url.PathEscape(name), &p); p.ID != ann.ID {
			t.Errorf("%s is %+v", name, p)
		}
	}
	for _, name := range []string{"nobody@example.com", "9", "01a211b3-c912-7352-adf7-cd59efcaaff6", strings.Repeat("x", 300)} {
		if code, _, b := w.ask(w.admin, "GET", "/v1/people/"+name, ""); code != 404 || !strings.Contains(string(b), "nobody is known as") {
			t.Errorf("%.20s: %d %s", name, code, b)
		}
	}
	w.must("PUT", "/v1/sources/hr", `{"kind":"file"}`)
	at := time.Now().UTC().Format(time.RFC3339)
	for i := range 2 {
		w.push(fmt.Sprintf(`{"source":"hr","source_id":"%d","observed_at":%q,"person":{"name":"P%d","emails":["kiosk@example.com"],"employee_id":"%d"}}`, i, at, i, 2000+i))
	}
	if code, _, b := w.ask(w.admin, "GET", "/v1/people/kiosk@example.com", ""); code != 400 || !strings.Contains(string(b), "not of one person alone") {
		t.Errorf("%d %s", code, b)
	}
}

type contextOut struct {
	Person    personOut
	Location  struct{ Site string }
	Attention []string
	Devices   []struct {
		Name, Relation, Serial string
		AssetID                string  `json:"asset_id"`
		Encryption             string  `json:"disk_encryption"`
		Free                   float64 `json:"system_free_pct"`
	}
}

func TestTheContextOfAPerson(t *testing.T) {
	w := staffed(t)
	code, _, b := w.ask(w.token("servicedesk"), "GET", "/v1/people/ann@example.com:context", "")
	var c contextOut
	if err := json.Unmarshal(b, &c); code != 200 || err != nil {
		t.Fatalf("%d %s", code, b)
	}
	var devices []string
	for _, d := range c.Devices {
		devices = append(devices, d.Name+" "+d.Relation)
	}
	if got := strings.Join(devices, ", "); got != "ANN-MBP owner, ANN-OLD user" || c.Devices[0].Free != 5 || c.Devices[0].Encryption != "off" || c.Location.Site != "Berlin" || len(c.Person.Apps) != 1 {
		t.Errorf("%s: %s", got, b)
	}
	want := []string{"ANN-MBP is not encrypted.", "ANN-MBP has 5.0 % of its system volume free.", "ANN-MBP is out of warranty since 2020-01-01.", "ANN-OLD was last heard of 30 days ago."}
	if !slices.Equal(c.Attention, want) {
		t.Errorf("attention is %q, want %q", c.Attention, want)
	}
	var bob, eve contextOut
	w.get("/v1/people/bob@example.com:context", &bob)
	if len(bob.Attention) == 0 || bob.Attention[0] != "The person left, and a device is still theirs." {
		t.Errorf("attention is %q", bob.Attention)
	}
	// An address that only devices know.
	w.get("/v1/people/eve@example.com:context", &eve)
	if len(eve.Devices) != 1 || eve.Devices[0].Name != "EVE-MBP" || eve.Person.ID != "" {
		t.Errorf("she has %+v", eve)
	}
	for path, want := range map[string]int{"nobody@example.com:context": 404, "ann@example.com:contest": 404} {
		if code, _, b := w.ask(w.admin, "GET", "/v1/people/"+path, ""); code != want {
			t.Errorf("%s: %d %s", path, code, b)
		}
	}
	if code, _, _ := w.ask(w.token("metrics"), "GET", "/v1/people/ann@example.com:context", ""); code != 403 {
		t.Errorf("a scraper reads people: %d", code)
	}
	// A device that goes elsewhere goes at once.
	w.push(`{"source":"jamf","source_id":"1","observed_at":"` + time.Now().UTC().Add(time.Second).Format(time.RFC3339) + `","device":{"name":"ANN-MBP","owner":{"email":"bob@example.com"}}}`)
	w.get("/v1/people/ann@example.com:context", &c)
	w.get("/v1/people/bob@example.com:context", &bob)
	if len(c.Devices) != 1 || len(bob.Devices) != 2 {
		t.Errorf("she has %d devices, he has %d", len(c.Devices), len(bob.Devices))
	}
}

var benchPeople = flag.Int("people-assets", 20_000, "assets of BenchmarkPersonContext; every other person has two")

// BenchmarkPersonContext asks for the context of another person each time.
func BenchmarkPersonContext(b *testing.B) {
	db := memkv.New()
	defer db.Close()
	st, err := store.Open(b.Context(), db)
	if err != nil {
		b.Fatal(err)
	}
	log, v := slog.New(slog.DiscardHandler), view.New()
	c := catalog.New(st, time.Now, log)
	v.Follow(c, st)
	s, err := New(Options{Store: st, Catalog: c, View: v, Logger: log, Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	for id, kind := range map[string]string{"okta": "idp", "jamf": "mdm"} {
		if err := c.DeclareSource(b.Context(), &storagepb.SourceRecord{Id: id, Kind: kind}); err != nil {
			b.Fatal(err)
		}
	}
	file := func(o *pb.Observation) {
		o.ObservedAt = timestamppb.Now()
		if _, err := c.Accept(b.Context(), o); err != nil {
			b.Fatal(err)
		}
	}
	staff := *benchPeople * 2 / 3
	for i := range staff {
		file(&pb.Observation{Source: "okta", SourceId: fmt.Sprint("user/", i), Subject: &pb.Observation_Person{Person: &pb.Profile{Name: fmt.Sprint("Person ", i), Emails: []string{fmt.Sprintf("p%d@example.com", i)},
			EmployeeId: fmt.Sprint(10_000 + i), Status: "active", Department: fmt.Sprint("Department ", i%40), Apps: []*pb.AppAccess{{Name: "Salesforce"}, {Name: "Slack"}, {Name: "Workday"}}}}})
	}
	for i := range *benchPeople {
		file(&pb.Observation{Source: "jamf", SourceId: fmt.Sprint(i), Subject: &pb.Observation_Device{Device: &pb.Device{Name: fmt.Sprint("MAC-", i), Class: "laptop",
			Hardware: &pb.Hardware{Manufacturer: "Apple", Serial: fmt.Sprintf("C02Q%07d", i)}, Os: &pb.Os{Family: "macos", Version: "15.1"},
			Owner: &pb.Owner{Email: fmt.Sprintf("p%d@example.com", i%staff)}}}})
	}
	b.Run("context", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			got, err := s.GetPersonContext(b.Context(), &adminpb.GetPersonContextRequest{Id: fmt.Sprintf("p%d@example.com", i*7919%staff)})
			if err != nil || len(got.GetDevices()) == 0 || got.GetDevices()[0].GetRelation() != "owner" {
				b.Fatal(got, err)
			}
		}
	})
	b.Run("search", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			got, err := s.ListPeople(b.Context(), &adminpb.ListPeopleRequest{Search: fmt.Sprintf("p%d@", i*7919%staff), OrderBy: "department"})
			if err != nil || got.GetTotalSize() == 0 {
				b.Fatal(got, err)
			}
		}
	})
}
