package systest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// company answers as the systems of one company, every other device a Mac. Their
// records are as bad as real ones:
//
//   - one PC in 50 was enrolled anew, and Intune still lists the record from before;
//   - one PC in 100 has a board that nobody gave a number, which says "System
//     Serial Number" to Intune, CrowdStrike and Okta;
//   - two neighbours in 25 have one host name;
//   - one Mac in 40 is not in Okta; purchasing types numbers with spaces, in
//     lower case now and then.
type company struct{ devices int }

func mac(i int) bool      { return i%2 == 0 }
func pc(i int) bool       { return i%2 == 1 }
func anything(int) bool   { return true }
func inOkta(i int) bool   { return i%80 != 0 }
func renewed(i int) bool  { return i%100 == 7 }
func nameless(i int) bool { return i%200 == 31 }
func departed(i int) bool { return i%50 == 3 }
func hostOf(i int) string {
	return fmt.Sprintf("%s-%d", map[bool]string{true: "MAC", false: "PC"}[mac(i)], i-i%50/48*(i%2))
}
func ownerOf(i int) string { return fmt.Sprintf("user%d@example.com", i) }

// serialOf is what is printed on a device.
func serialOf(i int) string {
	if mac(i) {
		return fmt.Sprintf("C02Q%07d", i)
	}
	return fmt.Sprintf("%07s", strings.ToUpper(strconv.FormatInt(int64(i)*7919+60466176, 36)))
}

// firmwareSerial is what a device says its number is.
func firmwareSerial(i int) string {
	if nameless(i) {
		return "System Serial Number"
	}
	return serialOf(i)
}

// part is one page of what a system lists.
type part struct{ from, limit int }

// of returns the page and how many records there are in all.
func (p part) of(devices int, knows func(i int) bool, record func(i int) any) (page []any, all int) {
	page = []any{}
	for i := range devices {
		if !knows(i) {
			continue
		}
		if all >= p.from && len(page) < p.limit {
			page = append(page, record(i))
		}
		all++
	}
	return page, all
}

// ServeHTTP answers for all of them: their paths do not meet.
func (c company) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case path == "/api/v2/computers-inventory":
		c.jamf(w, r)
	case path == "/api/v2/mobile-devices/detail":
		c.write(w, map[string]any{"results": []any{}, "totalCount": 0})
	case path == "/v1.0/deviceManagement/managedDevices":
		c.intune(w, r)
	case path == "/devices/queries/devices-scroll/v1":
		page, all := part{number(r, "offset"), 2000}.of(c.devices, anything, func(i int) any { return fmt.Sprintf("%032x", i+1) })
		c.write(w, map[string]any{"resources": page, "meta": map[string]any{"pagination": map[string]any{"total": all, "offset": strconv.Itoa(number(r, "offset") + len(page))}}})
	case path == "/devices/entities/devices/v2":
		c.falcon(w, r)
	case path == "/api/v1/devices":
		c.oktaPage(w, r, inOkta, oktaDevice)
	case path == "/api/v1/users":
		c.oktaPage(w, r, anything, oktaUser)
	case path == "/v1/orgDevices":
		page, all := part{number(r, "after"), 1000}.of(c.devices, mac, appleDevice)
		c.write(w, map[string]any{"data": page, "links": c.next(r, all, 1000)})
	case strings.HasSuffix(path, "/appleCareCoverage"):
		c.write(w, map[string]any{"data": []any{map[string]any{"type": "appleCareCoverage", "id": "1",
			"attributes": map[string]any{"description": "Limited Warranty", "startDateTime": "2026-02-03T00:00:00Z", "endDateTime": "2027-02-02T00:00:00Z", "isCanceled": false}}}})
	case path == "/PROD/sbil/eapi/v5/asset-entitlements":
		c.dell(w, r)
	default:
		c.write(w, map[string]any{"access_token": "t", "expires_in": 3600})
	}
}

func number(r *http.Request, name string) int {
	n, _ := strconv.Atoi(r.URL.Query().Get(name))
	return n
}

// next is the link to the page after one of some size, as Apple has it.
func (c company) next(r *http.Request, all, size int) map[string]any {
	if number(r, "after")+size >= all {
		return map[string]any{}
	}
	return map[string]any{"next": fmt.Sprintf("http://%s%s?after=%d", r.Host, r.URL.Path, number(r, "after")+size)}
}

func (company) write(w http.ResponseWriter, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(http.ErrAbortHandler)
	}
}

func (c company) jamf(w http.ResponseWriter, r *http.Request) {
	size := number(r, "page-size")
	page, all := part{number(r, "page") * size, size}.of(c.devices, mac, func(i int) any {
		return map[string]any{"id": strconv.Itoa(i), "udid": fmt.Sprintf("55900BDC-347C-58B1-D249-%012X", i),
			"general":         map[string]any{"name": hostOf(i), "reportDate": "2026-11-19T18:04:13Z", "lastContactTime": "2026-11-19T19:01:44Z", "remoteManagement": map[string]any{"managed": true}},
			"hardware":        map[string]any{"make": "Apple", "model": "MacBook Pro (14-inch, 2023)", "modelIdentifier": "Mac14,9", "serialNumber": serialOf(i), "totalRamMegabytes": 16384, "macAddress": fmt.Sprintf("60:F8:1D:%02X:%02X:%02X", i>>16&0xff, i>>8&0xff, i&0xff)},
			"operatingSystem": map[string]any{"name": "macOS", "version": "15.1.1", "build": "24B91"}, "userAndLocation": map[string]any{"email": ownerOf(i)}}
	})
	c.write(w, map[string]any{"results": page, "totalCount": all})
}

// intune lists a PC that was enrolled anew twice, the old record at the end.
func (c company) intune(w http.ResponseWriter, r *http.Request) {
	record := func(i int, id, synced, enrolled string) any {
		return map[string]any{"id": id, "azureADDeviceId": "7" + id[1:], "deviceName": hostOf(i), "serialNumber": firmwareSerial(i), "manufacturer": "Dell Inc.", "model": "Latitude 7440",
			"operatingSystem": "Windows", "osVersion": "10.0.22631.4460", "isEncrypted": i%4 == 1, "lastSyncDateTime": synced, "enrolledDateTime": enrolled, "userPrincipalName": ownerOf(i), "complianceState": "compliant"}
	}
	page, all := part{number(r, "after"), 1000}.of(2*c.devices, func(i int) bool { return i < c.devices && pc(i) || i >= c.devices && renewed(i-c.devices) }, func(i int) any {
		if i >= c.devices {
			return record(i-c.devices, fmt.Sprintf("683dbff1-c8ff-4996-aaaa-%012x", i-c.devices), "2025-02-16T08:00:00Z", "2024-03-01T09:00:00Z")
		}
		return record(i, fmt.Sprintf("683dbff1-c8ff-4996-91ae-%012x", i), "2026-11-19T00:24:15Z", "2025-02-17T16:24:45Z")
	})
	answer := map[string]any{"value": page}
	if link := c.next(r, all, 1000)["next"]; link != nil {
		answer["@odata.nextLink"] = link
	}
	c.write(w, answer)
}

func (c company) falcon(w http.ResponseWriter, r *http.Request) {
	var asked struct{ IDs []string }
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	hosts := []any{}
	for _, id := range asked.IDs {
		n, _ := strconv.ParseInt(id, 16, 64)
		i := int(n) - 1
		hosts = append(hosts, map[string]any{"device_id": id, "hostname": hostOf(i), "serial_number": strings.ToLower(firmwareSerial(i)), "system_manufacturer": map[bool]string{true: "Apple Inc.", false: "Dell Inc."}[mac(i)],
			"platform_name": map[bool]string{true: "Mac", false: "Windows"}[mac(i)], "agent_version": "7.19.18913.0", "status": "normal", "last_seen": "2026-11-19T15:54:42Z", "modified_timestamp": "2026-11-19T15:54:42Z"})
	}
	c.write(w, map[string]any{"resources": hosts})
}

func oktaDevice(i int) any {
	return map[string]any{"id": fmt.Sprintf("guo%017d", i), "status": "ACTIVE", "lastUpdated": "2026-11-02T18:03:07.000Z",
		"profile": map[string]any{"displayName": hostOf(i), "manufacturer": map[bool]string{true: "APPLE", false: "Dell Inc."}[mac(i)], "platform": map[bool]string{true: "MACOS", false: "WINDOWS"}[mac(i)], "serialNumber": firmwareSerial(i), "managed": true, "diskEncryptionType": "ALL_INTERNAL_VOLUMES"}}
}

func oktaUser(i int) any {
	return map[string]any{"id": fmt.Sprintf("00u%d", i), "status": map[bool]string{true: "DEPROVISIONED", false: "ACTIVE"}[departed(i)],
		"profile": map[string]any{"firstName": "User", "lastName": strconv.Itoa(i), "email": ownerOf(i), "login": ownerOf(i), "department": fmt.Sprint("Team ", i%9)}}
}

func (c company) oktaPage(w http.ResponseWriter, r *http.Request, knows func(int) bool, record func(int) any) {
	page, all := part{number(r, "after"), 200}.of(c.devices, knows, record)
	if link, ok := c.next(r, all, 200)["next"]; ok {
		w.Header().Set("Link", fmt.Sprintf("<%s>; rel=\"next\"", link))
	}
	c.write(w, page)
}

func appleDevice(i int) any {
	return map[string]any{"type": "orgDevices", "id": serialOf(i), "attributes": map[string]any{"serialNumber": serialOf(i), "productFamily": "Mac", "deviceModel": "MacBook Pro (14-inch, 2023)", "productType": "Mac14,9",
		"status": "ASSIGNED", "orderNumber": fmt.Sprint("W", 1000000+i/20), "orderDateTime": "2026-02-01T10:00:00Z", "purchaseSourceType": "APPLE"}}
}

func (c company) dell(w http.ResponseWriter, r *http.Request) {
	all := []any{}
	for _, tag := range strings.Split(r.URL.Query().Get("servicetags"), ",") {
		all = append(all, map[string]any{"serviceTag": tag, "systemDescription": "Latitude 7440", "shipDate": "2024-10-18T23:00:00Z",
			"entitlements": []any{map[string]any{"startDate": "2024-10-30T00:00:00Z", "endDate": "2027-10-30T23:59:59Z", "serviceLevelCode": "NU", "serviceLevelDescription": "ProSupport"}}})
	}
	c.write(w, all)
}

// purchases is the company's purchase list, with serial numbers as people type
// them.
func (c company) purchases(t *testing.T) string {
	var b strings.Builder
	b.WriteString("Serial Number;Make;PO Number;Purchase Date;Purchase Cost;Currency;Cost Center\n")
	for i := range c.devices {
		serial := serialOf(i)
		if i%10 == 9 {
			serial = strings.ToLower(serial)
		}
		fmt.Fprintf(&b, " %s ;%s;PO-%d;%d.%d.2026;1.%03d,00;EUR;CC-%d\n", serial, map[bool]string{true: "Apple", false: "Dell"}[mac(i)], i/25, i%28+1, i%12+1, i%1000, i%7)
	}
	name := filepath.Join(t.TempDir(), "po.csv")
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
