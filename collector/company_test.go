package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var companySize = flag.Int("company", 200, "devices of the company in TestOneCompanyThroughItsSystems")

// company answers as six systems of one company, every other device a Mac.
type company struct{ devices int }

func serialOf(i int) string {
	if i%2 == 0 {
		return fmt.Sprintf("C02Q%07d", i)
	}
	return fmt.Sprintf("%07s", strings.ToUpper(strconv.FormatInt(int64(i)*7919+60466176, 36)))
}

// some returns the devices that a system knows, from one on and no more than
// limit.
func (c company) some(from, limit int, knows func(i int) bool, record func(i int) any) (page []any, all int) {
	page = []any{}
	for i := range c.devices {
		if !knows(i) {
			continue
		}
		if all >= from && len(page) < limit {
			page = append(page, record(i))
		}
		all++
	}
	return page, all
}

func mac(i int) bool     { return i%2 == 0 }
func windows(i int) bool { return i%2 == 1 }
func anyone(int) bool    { return true }

// ServeHTTP answers for all six: their paths do not meet.
func (c company) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	number := func(name string) int { n, _ := strconv.Atoi(q.Get(name)); return n }
	next := func(to int) string { return fmt.Sprintf("http://%s%s?after=%d", r.Host, r.URL.Path, to) }
	answer := map[string]any{}
	switch r.URL.Path {
	case "/api/v2/computers-inventory":
		size := number("page-size")
		answer["results"], answer["totalCount"] = c.some(number("page")*size, size, mac, func(i int) any {
			return map[string]any{"id": strconv.Itoa(i), "general": map[string]any{"name": fmt.Sprint("MAC-", i), "reportDate": "2026-11-19T18:04:13Z", "remoteManagement": map[string]any{"managed": true}},
				"hardware": map[string]any{"make": "Apple", "model": "MacBook Pro (14-inch, 2023)", "serialNumber": serialOf(i)}, "userAndLocation": map[string]any{"email": fmt.Sprintf("user%d@example.com", i)}}
		})
	case "/api/v2/mobile-devices/detail":
		answer["results"], answer["totalCount"] = []any{}, 0
	case "/v1.0/deviceManagement/managedDevices":
		page, all := c.some(number("after"), 1000, windows, func(i int) any {
			return map[string]any{"id": fmt.Sprintf("683dbff1-c8ff-4996-91ae-%012x", i), "azureADDeviceId": fmt.Sprintf("783dbff1-c8ff-4996-91ae-%012x", i), "deviceName": fmt.Sprint("PC-", i), "serialNumber": serialOf(i), "manufacturer": "Dell Inc.", "model": "Latitude 7440",
				"operatingSystem": "Windows", "osVersion": "10.0.22631.4460", "isEncrypted": i%4 == 1, "lastSyncDateTime": "2026-11-19T00:24:15Z", "enrolledDateTime": "2025-02-17T16:24:45Z", "userPrincipalName": fmt.Sprintf("user%d@example.com", i)}
		})
		if answer["value"] = page; number("after")+1000 < all {
			answer["@odata.nextLink"] = next(number("after") + 1000)
		}
	case "/devices/queries/devices-scroll/v1":
		page, all := c.some(number("offset"), 2000, anyone, func(i int) any { return fmt.Sprintf("%032x", i+1) })
		answer["resources"], answer["meta"] = page, map[string]any{"pagination": map[string]any{"total": all, "offset": strconv.Itoa(number("offset") + len(page))}}
	case "/devices/entities/devices/v2":
		var asked struct{ IDs []string }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		hosts := []any{}
		for _, id := range asked.IDs {
			n, _ := strconv.ParseInt(id, 16, 64)
			i := int(n) - 1
			hosts = append(hosts, map[string]any{"device_id": id, "hostname": fmt.Sprint("host-", i), "serial_number": strings.ToLower(serialOf(i)), "system_manufacturer": map[bool]string{true: "Apple Inc.", false: "Dell Inc."}[mac(i)],
				"platform_name": map[bool]string{true: "Mac", false: "Windows"}[mac(i)], "status": "normal", "last_seen": "2026-11-19T15:54:42Z", "modified_timestamp": "2026-11-19T15:54:42Z"})
		}
		answer["resources"] = hosts
	case "/PROD/sbil/eapi/v5/asset-entitlements":
		var all []any
		for _, tag := range strings.Split(q.Get("servicetags"), ",") {
			all = append(all, map[string]any{"serviceTag": tag, "shipDate": "2024-10-18T23:00:00Z", "entitlements": []any{map[string]any{"startDate": "2024-10-30T00:00:00Z", "endDate": "2027-10-30T23:59:59Z", "serviceLevelCode": "NU", "serviceLevelDescription": "ProSupport"}}})
		}
		c.write(w, all)
		return
	case "/api/v1/devices":
		page, all := c.some(number("after"), 200, anyone, func(i int) any {
			return map[string]any{"id": fmt.Sprintf("guo%017d", i), "status": "ACTIVE", "lastUpdated": "2026-11-02T18:03:07.000Z", "profile": map[string]any{"displayName": fmt.Sprint("dev-", i), "serialNumber": serialOf(i), "managed": true, "diskEncryptionType": "ALL_INTERNAL_VOLUMES"}}
		})
		if number("after")+200 < all {
			w.Header().Set("Link", "<"+next(number("after")+200)+`>; rel="next"`)
		}
		c.write(w, page)
		return
	case "/api/v1/users":
		page, all := c.some(number("after"), 200, anyone, func(i int) any {
			return map[string]any{"id": fmt.Sprintf("00u%d", i), "status": map[bool]string{true: "DEPROVISIONED", false: "ACTIVE"}[i%50 == 3],
				"profile": map[string]any{"firstName": "User", "lastName": strconv.Itoa(i), "email": fmt.Sprintf("user%d@example.com", i), "login": fmt.Sprintf("user%d@example.com", i), "department": fmt.Sprint("Team ", i%9)}}
		})
		if number("after")+200 < all {
			w.Header().Set("Link", "<"+next(number("after")+200)+`>; rel="next"`)
		}
		c.write(w, page)
		return
	default:
		answer["access_token"], answer["expires_in"] = "t", 3600
	}
	c.write(w, answer)
}

func (company) write(w http.ResponseWriter, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// purchases is the company's purchase list, with serial numbers as people type
// them.
func (c company) purchases(t *testing.T) string {
	var b strings.Builder
	b.WriteString("Serial Number;Make;PO Number;Purchase Date;Purchase Cost;Cost Center\n")
	for i := range c.devices {
		fmt.Fprintf(&b, " %s ;%s;PO-%d;%d.%d.2026;1.%03d,00;CC-%d\n", serialOf(i), map[bool]string{true: "Apple", false: "Dell"}[mac(i)], i/25, i%28+1, i%12+1, i%1000, i%7)
	}
	name := filepath.Join(t.TempDir(), "po.csv")
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestOneCompanyThroughItsSystems reads one company through Jamf Pro, Intune,
// Okta, CrowdStrike, a purchase list and Dell: every device is one asset of all
// the systems that know it.
func TestOneCompanyThroughItsSystems(t *testing.T) {
	c := company{*companySize}
	systems := httptest.NewServer(c)
	defer systems.Close()
	u := systems.URL
	secret := map[string]string{"client_id": "app", "client_secret": "s3cret"}
	with := func(more ...string) map[string]string {
		all := map[string]string{}
		for k, v := range secret {
			all[k] = v
		}
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	s := testSettings(filepath.Join(t.TempDir(), "data"))
	s.Feeds = []feedSettings{
		{Name: "jamf", Vendor: "jamf_pro", Settings: with("url", u), AllowPrivate: true},
		{Name: "intune", Vendor: "intune", Settings: with("tenant", "contoso", "graph", u, "login", u), AllowPrivate: true},
		{Name: "okta", Vendor: "okta", Settings: map[string]string{"url": u, "token": "s3cret"}, AllowPrivate: true},
		{Name: "falcon", Vendor: "crowdstrike", Settings: with("url", u), AllowPrivate: true},
		{Name: "po", Vendor: "csv_assets", Settings: map[string]string{"file": c.purchases(t)}},
		{Name: "dell", Vendor: "dell", Settings: with("url", u), AllowPrivate: true},
	}
	for i := range s.Feeds {
		s.Feeds[i].Paused = true // they run as this test starts them
	}
	read := make(linesWith, 64)
	r := start(t, s, read)
	for _, f := range s.Feeds {
		r.ask(t, "POST", "/v1/feeds/"+f.Name+":run", `{"full":true}`, nil)
		<-read
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	t.Logf("%d devices; heap from the system %d MiB", c.devices, stats.HeapSys>>20)
	checkCompany(t, r, c)
	checkStaff(t, r, c)
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

// checkStaff holds the owners of devices to what Okta knows of people.
func checkStaff(t *testing.T, r *running, c company) {
	t.Helper()
	var page struct {
		Assets []struct {
			Owner struct {
				Email, Name, Department string
				Active                  bool
			}
		}
	}
	r.ask(t, "GET", "/v1/assets?page_size=1000", "", &page)
	known := 0
	for _, a := range page.Assets {
		if a.Owner.Email == "" {
			continue
		}
		known++
		i, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(a.Owner.Email, "user"), "@example.com"))
		if a.Owner.Name != fmt.Sprint("User ", i) || a.Owner.Department != fmt.Sprint("Team ", i%9) || a.Owner.Active != (i%50 != 3) {
			t.Errorf("the owner of user%d's device is %+v", i, a.Owner)
		}
	}
	if known < min(c.devices, 1000)/2 {
		t.Errorf("%d of %d devices have an owner", known, c.devices)
	}
}

type companyAsset struct {
	ID       string
	Hardware struct{ Serial string }
	Sources  []struct{ Source string }
	Purchase struct{ Price struct{ Amount string } }
	Warranty struct{ End string }
}

func checkCompany(t *testing.T, r *running, c company) {
	t.Helper()
	found := 0
	for token := ""; ; {
		var page struct {
			Assets    []companyAsset
			NextToken string `json:"next_page_token"`
		}
		r.ask(t, "GET", "/v1/assets?page_size=500&page_token="+token, "", &page)
		for _, a := range page.Assets {
			found++
			if found < 20 || a.Purchase.Price.Amount == "" {
				checkCompanyAsset(t, a)
			}
		}
		if token = page.NextToken; token == "" {
			break
		}
	}
	if found != c.devices {
		t.Errorf("%d assets, want %d", found, c.devices)
	}
}

func checkCompanyAsset(t *testing.T, a companyAsset) {
	t.Helper()
	var sources []string
	for _, s := range a.Sources {
		sources = append(sources, s.Source)
	}
	slices.Sort(sources)
	want := "dell falcon intune okta po"
	if strings.HasPrefix(a.Hardware.Serial, "C02Q") {
		want = "falcon jamf okta po"
	}
	if strings.Join(sources, " ") != want || a.Purchase.Price.Amount == "" {
		t.Errorf("%s is an asset of %v with the price %q, want one of %s", a.Hardware.Serial, sources, a.Purchase.Price.Amount, want)
	}
	if (a.Warranty.End != "") != strings.HasPrefix(want, "dell") {
		t.Errorf("%s has a warranty until %q", a.Hardware.Serial, a.Warranty.End)
	}
}
