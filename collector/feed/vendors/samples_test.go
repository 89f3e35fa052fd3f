package vendors_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/feed/mapping"
	"github.com/rollcall-itam/rollcall/collector/feed/record"
	"github.com/rollcall-itam/rollcall/collector/feed/vendors"
)

// samples is where collected answers of vendors lie that cannot be part of this
// repository for their licences.
const samples = "../../../../shared/data/feeds"

// TestCollectedSamples maps every collected sample of a device: none may lack
// an id, and no value may be a problem.
func TestCollectedSamples(t *testing.T) {
	if _, err := os.Stat(samples); err != nil {
		t.Skip("the collected samples are not here: ", err)
	}
	for _, c := range []struct {
		vendor, stream, file string
		// bodies is the path of the answers in the file, records that of the
		// records in each answer.
		bodies, records string
		// least is how many records there are at least.
		least int
	}{
		{"jamf_pro", "computer", "jamf_pro/mock_computer_inventory_validate_list.json", "", "results", 2},
		{"jamf_pro", "computer", "jamf_pro/mock_computer_inventory_validate_list_v4.json", "", "results", 2},
		{"jamf_pro", "computer", "jamf_pro/mock_computer_inventory_validate_get.json", "", "", 1},
		{"jamf_pro", "mobile", "jamf_pro/mock_mobile_devices_validate_detail_list.json", "", "results", 1},
		{"intune", "device", "intune/recorded_managed_devices_with_ad.json", "recorded_exchanges.-1.response.body", "value", 2},
		{"intune", "device", "intune/recorded_managed_devices_no_ad.json", "recorded_exchanges.-1.response.body", "value", 1},
		{"kandji", "device", "kandji/recorded_devices.json", "recorded_exchanges.0.response.body", "", 1},
		{"okta", "device", "okta/elastic_devices.json", "", "", 2},
		{"okta", "user", "okta/recorded_sync.json", "recorded_exchanges.1.response.body", "", 1},
		{"okta", "user", "okta/recorded_sync.json", "recorded_exchanges.2.response.body", "", 1},
		{"entra_id", "user", "entra_id/recorded_users.json", "recorded_exchanges.-1.response.body", "value", 2},
		{"crowdstrike", "host", "crowdstrike/recorded_devices_scroll_paged.json", "recorded_exchanges.2.response.body", "resources", 1},
		{"sentinelone", "agent", "sentinelone/demisto_agents.json", "", "", 1},
		{"sentinelone", "agent", "sentinelone/cartography_agent.json", "", "*", 5},
		{"defender_endpoint", "machine", "defender_endpoint/recorded_fetchMachines.json", "recorded_exchanges.-1.response.body", "value", 9},
		{"entra_id", "device", "entra_id/recorded_devices_registeredUsers.json", "recorded_exchanges.-1.response.body", "value", 1},
		{"google_workspace", "chromeos", "google_workspace/recorded_chromeos_devices.json", "recorded_exchanges.1.response.body", "chromeosdevices", 1},
		{"workspace_one", "device", "workspace_one/demisto_devices_search.json", "", "Devices", 2},
		{"apple_business", "device", "apple_business/axm_devices_get_organization_devices.json", "", "data", 1},
		{"freshservice", "asset", "freshservice/demisto_asset_list.json", "", "assets", 3},
		{"dell", "asset", "dell/asset_entitlements_latitude5410.json", "", "", 1},
		{"dell", "asset", "dell/asset_entitlements_latitude5530.json", "", "", 1},
		{"lenovo", "asset", "lenovo/warranty_single.json", "", "", 1},
	} {
		t.Run(c.file, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join(samples, c.file))
			if err != nil {
				t.Fatal(err)
			}
			v, err := record.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			var records []any
			for _, body := range find(t, c.bodies, v) {
				found, _ := path(t, c.records).List(body)
				records = append(records, found...)
			}
			if len(records) < c.least {
				t.Fatalf("%d records, want %d", len(records), c.least)
			}
			m, err := vendors.Load(c.vendor)
			if err != nil {
				t.Fatal(err)
			}
			mapped, err := mapping.Compile(m.Stream(c.stream), nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range records {
				checkSample(t, mapped, r)
			}
		})
	}
}

func checkSample(t *testing.T, m *mapping.Mapping, r any) {
	t.Helper()
	o, ok := r.(map[string]any)
	if !ok || len(o) < 3 {
		return // a list beside the records, or an excerpt
	}
	res, err := m.Apply("sample", r, time.Now())
	if err != nil {
		b, _ := json.Marshal(r)
		t.Errorf("%v: %.200s", err, b)
		return
	}
	for _, p := range res.Observation.GetProblems() {
		t.Errorf("%s: %s: %s", res.SourceID, p.GetFact(), p.GetError())
	}
}

func path(t *testing.T, s string) record.Path {
	t.Helper()
	p, err := record.ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func find(t *testing.T, s string, v any) []any { return path(t, s).All(v) }

// TestCollectedTable reads a table of assets as another system exports it.
func TestCollectedTable(t *testing.T) {
	file := filepath.Join(samples, "csv_purchase/assets-sample.csv")
	if _, err := os.Stat(file); err != nil {
		t.Skip("the collected samples are not here: ", err)
	}
	m, err := vendors.Load("csv_assets")
	if err != nil {
		t.Fatal(err)
	}
	tried, err := feed.Try(t.Context(), feed.Config{Name: "csv", Manifest: m, Settings: map[string]string{"file": file}}, feed.Options{Logger: slog.New(slog.DiscardHandler), Now: time.Now, Getenv: os.Getenv}, 0)
	if err != nil || len(tried) < 20 {
		t.Fatal(len(tried), err)
	}
	dated := 0
	for _, one := range tried {
		if one.Err != nil || len(one.Result.Observation.GetProblems()) > 0 {
			t.Error(one.Record, one.Err, one.Result.Observation.GetProblems())
		}
		if one.Result.Observation.GetDevice().GetPurchase().GetOrderedAt() != "" {
			dated++
		}
	}
	if dated < len(tried)/2 {
		t.Errorf("%d of %d rows have the day of their purchase", dated, len(tried))
	}
}
