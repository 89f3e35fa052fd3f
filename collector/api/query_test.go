package api

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// estate reports six machines, whose names are returned by asset id.
func estate(w *world) map[string]string {
	w.t.Helper()
	byID := make(map[string]string)
	for i := range 6 {
		name := fmt.Sprintf("host%d", i)
		software := []*pb.Software{{Kind: "deb", Name: "bash", Version: "5.2", Publisher: "GNU"}}
		if i%2 == 0 {
			software = append(software, &pb.Software{Kind: "deb", Name: "OpenSSL", Version: fmt.Sprintf("3.0.%d", i)})
		}
		byID[w.report(name, software...)] = name
	}
	return byID
}

func query(pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return "?" + q.Encode()
}

func TestListAssetsFinds(t *testing.T) {
	w := newWorld(t)
	names := estate(w)
	for _, tc := range []struct {
		query string
		want  []string
	}{
		{query("filter", `has_software("openssl", "< 3.0.3")`, "order_by", "name"), []string{"host0", "host2"}},
		{query("filter", `asset.os.family == "linux"`, "order_by", "name desc"), []string{"host5", "host4", "host3", "host2", "host1", "host0"}},
		{query("search", "serial-HOST3"), []string{"host3"}},
		{query("search", "openssl host", "order_by", "name"), []string{"host0", "host2", "host4"}},
		{query("filter", `asset.os.family == "windows"`), nil},
	} {
		var got []string
		for token := ""; ; {
			var p assetsPage
			w.get("/v1/assets"+tc.query+"&page_size=2&page_token="+token, &p)
			for _, a := range p.Assets {
				got = append(got, names[a["id"].(string)])
			}
			if p.TotalSize != len(tc.want) {
				t.Errorf("%s: total_size %d, want %d", tc.query, p.TotalSize, len(tc.want))
			}
			if token = p.NextPageToken; token == "" {
				break
			}
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.query, diff)
		}
	}
}

func TestGroupAssets(t *testing.T) {
	w := newWorld(t)
	estate(w)
	type answer struct {
		Groups []struct {
			Value *string
			Count int
		}
		TotalSize   int `json:"total_size"`
		TotalGroups int `json:"total_groups"`
		OtherSize   int `json:"other_size"`
	}
	var got answer
	w.get("/v1/assets:group?by=hardware.serial&limit=4", &got)
	if len(got.Groups) != 4 || got.TotalSize != 6 || got.TotalGroups != 6 || got.OtherSize != 2 {
		t.Errorf("by serial number: %+v", got)
	}
	got = answer{}
	w.get("/v1/assets:group"+query("by", "os.version", "filter", `has_software("openssl")`), &got)
	if len(got.Groups) != 1 || got.Groups[0].Value != nil || got.Groups[0].Count != 3 {
		t.Errorf("by what nobody states: %+v", got)
	}
}

func TestSoftwareOfAllAssets(t *testing.T) {
	w := newWorld(t)
	names := estate(w)
	type title struct {
		ID, Kind, Name, Publisher string
		Installs                  int
		Versions                  []struct {
			Version  string
			Installs int
		}
	}
	var all []title
	for token := ""; ; {
		var p struct {
			Software      []title
			NextPageToken string `json:"next_page_token"`
			TotalSize     int    `json:"total_size"`
		}
		w.get("/v1/software?page_size=1&page_token="+token, &p)
		all = append(all, p.Software...)
		if p.TotalSize != 2 {
			t.Errorf("total_size %d", p.TotalSize)
		}
		if token = p.NextPageToken; token == "" {
			break
		}
	}
	if len(all) != 2 || all[0].Name != "bash" || all[0].Installs != 6 || all[0].Publisher != "GNU" || all[1].Name != "OpenSSL" || all[1].Installs != 3 || len(all[1].Versions) != 3 {
		t.Fatalf("software: %+v", all)
	}
	for version, want := range map[string][]string{"": {"host0", "host2", "host4"}, "3.0.2": {"host2"}, "9": nil} {
		var p assetsPage
		w.get("/v1/software/"+all[1].ID+"/assets"+query("version", version, "order_by", "name"), &p)
		var got []string
		for _, a := range p.Assets {
			got = append(got, names[a["id"].(string)])
		}
		if !slices.Equal(got, want) {
			t.Errorf("version %q is on %v, want %v", version, got, want)
		}
	}
}

// A change of the software alone is seen by who asks next.
func TestSoftwareChangesAreSeen(t *testing.T) {
	w := newWorld(t)
	estate(w)
	_, err := w.catalog.Accept(t.Context(), &pb.Observation{Source: "agent", SourceId: "host1", ObservedAt: timestamppb.New(w.service.Now()),
		Subject: &pb.Observation_Device{Device: &pb.Device{Name: "host1", Class: "server", Software: []*pb.Software{{Kind: "deb", Name: "zsh", Version: "5.9"}},
			Hardware: &pb.Hardware{Serial: "SERIAL-host1", Manufacturer: "Dell Inc."}, Os: &pb.Os{Family: "linux", Name: "Debian"}}}})
	if err != nil {
		t.Fatal(err)
	}
	for filter, want := range map[string]int{`has_software("zsh")`: 1, `has_software("bash")`: 5, `!has_software("bash")`: 1} {
		var p assetsPage
		w.get("/v1/assets"+query("filter", filter), &p)
		if p.TotalSize != want {
			t.Errorf("%s finds %d, want %d", filter, p.TotalSize, want)
		}
	}
}

func TestWrongQuestionsSaySo(t *testing.T) {
	w := newWorld(t)
	estate(w)
	var first assetsPage
	w.get("/v1/assets"+query("order_by", "name", "page_size", "2"), &first)
	for path, want := range map[string]string{
		"/v1/assets" + query("filter", `asset.os.famly == "linux"`):                           "filter: column 9: there is no field \"famly\" here: did you mean family?",
		"/v1/assets" + query("filter", `asset.os.family`):                                     "a condition, true or false",
		"/v1/assets" + query("filter", `asset.provenance["os.family"].source == "x"`):         ":explain",
		"/v1/assets" + query("filter", `asset.findings.open > 0`):                             "/v1/findings",
		"/v1/assets" + query("filter", `record.latest_version == "x"`):                        "for rules only",
		"/v1/assets" + query("filter", strings.Repeat("x", 9000)):                             "bytes long",
		"/v1/assets" + query("filter", "true", "as_of", "2026-01-01T00:00:00Z"):               "as_of",
		"/v1/assets" + query("search", strings.Repeat("x", 300)):                              "256",
		"/v1/assets" + query("order_by", "os.familly"):                                        "meant is perhaps os.family",
		"/v1/assets" + query("order_by", "name down"):                                         "desc",
		"/v1/assets" + query("order_by", "hardware.disks"):                                    "list",
		"/v1/assets" + query("order_by", "class", "page_token", first.NextPageToken):          "page_token",
		"/v1/assets" + query("order_by", "name", "page_token", first.NextPageToken[:9]+"AAA"): "page_token",
		"/v1/assets:group":                                             "by=os.version",
		"/v1/assets:group" + query("by", "labels"):                     "name a key",
		"/v1/assets:group" + query("by", "os.family", "limit", "-1"):   "1 to 10000",
		"/v1/software/nope/assets":                                     "/v1/software",
		"/v1/software" + query("page_token", first.NextPageToken):      "page_token",
		"/v1/software" + query("page_size", "-1"):                      "1 to 1000",
		"/v1/assets" + query("filter", `size(software) > 1 && "x"`):    "column",
		"/v1/assets" + query("filter", `asset.os.family == "linux" &`): "not an expression",
	} {
		code, _, b := w.ask(w.admin, "GET", path, "")
		if code != 400 && code != 404 || !strings.Contains(strings.ReplaceAll(string(b), `\"`, `"`), want) {
			t.Errorf("%.120s answers %d %s, want %q", path, code, b, want)
		}
	}
}

// Every example of docs/api.md is taken.
func TestExamplesOfTheDocumentation(t *testing.T) {
	w := newWorld(t)
	estate(w)
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "<!-- examples: a test asks each of these of a collector -->\n```text\n")
	examples, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatal("docs/api.md has no examples")
	}
	for filter := range strings.Lines(examples) {
		var p assetsPage
		w.get("/v1/assets"+query("filter", strings.TrimSpace(filter)), &p)
	}
}
