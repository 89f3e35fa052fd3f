package vendors_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/rollcall-itam/rollcall/collector/feed/feedtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	timeShape = `[0-9T:.Z-]+`
	jwtShape  = `[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`
)

func settings(more map[string]string) func(string) map[string]string {
	return func(address string) map[string]string {
		s := map[string]string{}
		for k, v := range more {
			if v == "URL" {
				v = address
			}
			s[k] = v
		}
		return s
	}
}

func forget(key string) func(map[string]any) { return func(d map[string]any) { delete(d, key) } }

// object reads a record as the vendor writes it.
func object(format string, args ...any) map[string]any {
	var o map[string]any
	if err := json.Unmarshal(fmt.Appendf(nil, format, args...), &o); err != nil {
		panic(err)
	}
	return o
}

func key(t testing.TB, alg string) string {
	t.Helper()
	var k any
	var err error
	if k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); alg == "RS256" {
		k, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// entra is how Microsoft gives tokens.
func entra(scope string) *feedtest.SignIn {
	return &feedtest.SignIn{Path: "/contoso/oauth2/v2.0/token", Check: feedtest.Form(map[string]string{"grant_type": "client_credentials", "client_id": "app", "client_secret": "secret", "scope": scope})}
}

func TestVendors(t *testing.T) {
	for _, v := range everyVendor(t) {
		t.Run(v.Manifest+"/"+v.Stream, func(t *testing.T) { feedtest.Run(t, v) })
	}
}

func deviceManagers(t *testing.T) []feedtest.Vendor {
	return []feedtest.Vendor{
		{
			Manifest: "jamf_pro", Stream: "computer", Expired: 403,
			Settings:   settings(map[string]string{"url": "URL", "client_id": "app", "client_secret": "secret"}),
			SignIn:     &feedtest.SignIn{Path: "/api/oauth/token", Check: feedtest.Form(map[string]string{"grant_type": "client_credentials", "client_id": "app", "client_secret": "secret"})},
			Authorized: feedtest.Bearer,
			List: feedtest.Pages{At: "/api/v2/computers-inventory", Records: "results", Size: "page-size", Most: 2000, Number: "page", Numbered: true, Total: "totalCount",
				Query: feedtest.Query{"section": "[A-Z_]+", "sort": "id:asc", "filter": `general\.reportDate=ge="` + timeShape + `"`}},
			Device: func(i int) map[string]any {
				return object(`{"id": "%d", "udid": "4C4C4544-0031-3310-8052-B4C04F%06X", "general": {"name": "MAC-%d", "platform": "Mac", "lastContactTime": "2026-11-19T18:04:13Z", "reportDate": "2026-11-19T18:04:13Z", "supervised": true,
					"remoteManagement": {"managed": true}, "site": {"id": "1", "name": "Berlin"}}, "hardware": {"make": "Apple", "model": "MacBook Pro (14-inch, 2023)", "modelIdentifier": "Mac15,3", "serialNumber": %q, "macAddress": "6A:2C:4B:B7:65:B5", "totalRamMegabytes": 16384, "coreCount": 8},
					"operatingSystem": {"name": "macOS", "version": "15.1", "build": "24B83"}, "diskEncryption": {"bootPartitionEncryptionDetails": {"partitionFileVault2State": "ENCRYPTED"}}, "storage": {"bootDriveAvailableSpaceMegabytes": 3072, "disks": []},
					"userAndLocation": {"username": "ann", "realname": "Ann", "email": "ann@example.com"}, "purchasing": {"poNumber": "53-1", "poDate": "2024-01-01", "purchasePrice": "$500", "warrantyDate": "2027-01-01"}, "applications": [{"name": "Safari.app", "version": "18.1", "bundleId": "com.apple.Safari"}]}`,
					i, i, i, feedtest.Serial(i))
			},
			Forget: forget("id"),
		},
		{
			Manifest: "jamf_pro", Stream: "mobile", Expired: 403,
			Settings:   settings(map[string]string{"url": "URL", "client_id": "app", "client_secret": "secret"}),
			SignIn:     &feedtest.SignIn{Path: "/api/oauth/token", Check: feedtest.Form(map[string]string{"grant_type": "client_credentials", "client_id": "app", "client_secret": "secret"})},
			Authorized: feedtest.Bearer,
			List: feedtest.Pages{At: "/api/v2/mobile-devices/detail", Records: "results", Size: "page-size", Most: 2000, Number: "page", Numbered: true, Total: "totalCount",
				Query: feedtest.Query{"section": "[A-Z_]+", "sort": "mobileDeviceId:asc"}},
			Device: func(i int) map[string]any {
				return object(`{"mobileDeviceId": "%d", "deviceType": "ios", "general": {"udid": "0dad565fb40b010a9e490440188063a37872%04x", "displayName": "iPad %d", "osVersion": "18.1", "managed": true, "supervised": true, "lastContactDate": "2026-11-17T11:48:56.307Z"},
					"hardware": {"serialNumber": %q, "wifiMacAddress": "ee:00:7c:f0:e5:ff", "model": "iPad 7th Generation (Wi-Fi)", "modelIdentifier": "iPad7,11", "capacityMb": 32000}, "userAndLocation": {"emailAddress": "ann@example.com", "realName": "Ann"}, "applications": []}`, i, i, i, feedtest.Serial(i))
			},
			Forget: forget("mobileDeviceId"),
		},
		{
			Manifest: "intune", Stream: "device",
			Settings:   settings(map[string]string{"tenant": "contoso", "client_id": "app", "client_secret": "secret", "graph": "URL", "login": "URL"}),
			SignIn:     entra(`http://127\.0\.0\.1:[0-9]+/\.default`),
			Authorized: feedtest.Bearer,
			List: feedtest.Pages{At: "/v1.0/deviceManagement/managedDevices", Records: "value", Size: "$top", Most: 1000, Number: "$skiptoken", NextURL: []string{"@odata.nextLink"},
				Query: feedtest.Query{"$select": "[A-Za-z,]+", "$filter": "lastSyncDateTime ge " + timeShape}, Extra: map[string]any{"@odata.context": "https://graph.microsoft.com/v1.0/$metadata"}},
			Device: func(i int) map[string]any {
				return object(`{"id": "683dbff1-c8ff-4996-91ae-%012x", "azureADDeviceId": "783dbff1-c8ff-4996-91ae-%012x", "deviceName": "PC-%d", "managedDeviceOwnerType": "company", "enrolledDateTime": "2025-02-17T16:24:45Z", "lastSyncDateTime": "2026-11-19T00:24:15Z", "operatingSystem": "Windows",
					"osVersion": "10.0.22631.4460", "complianceState": "compliant", "isEncrypted": true, "isSupervised": false, "manufacturer": "LENOVO", "model": "21CB000CGE", "serialNumber": %q, "wiFiMacAddress": "147DDAADAC71", "ethernetMacAddress": null, "totalStorageSpaceInBytes": 68719476736,
					"freeStorageSpaceInBytes": 15092154368, "physicalMemoryInBytes": 0, "emailAddress": "", "userPrincipalName": "ann@example.com", "userDisplayName": "Ann", "imei": "", "udid": null, "deviceCategoryDisplayName": "Unknown"}`, i, i, i, feedtest.Serial(i))
			},
			Forget: forget("id"),
		},
		{
			Manifest: "kandji", Stream: "device",
			Settings:   settings(map[string]string{"url": "URL", "token": "secret"}),
			Authorized: feedtest.Header("Authorization", "Bearer secret"),
			List:       feedtest.Pages{At: "/api/v1/devices", Size: "limit", Most: 300, Number: "offset", Offset: true},
			Device: func(i int) map[string]any {
				return object(`{"device_id": "d7532562-0fbd-47f5-9609-%012x", "device_name": "MBP-%d", "model": "MacBook Air (13-inch, M2, 2022)", "serial_number": %q, "platform": "Mac", "os_version": "15.1", "last_check_in": "2026-11-19T12:39:21.576048Z", "user": {"email": "ann@example.com", "name": "Ann"}, "asset_tag": "",
					"blueprint_name": "Default", "mdm_enabled": true, "is_removed": false, "first_enrollment": "2022-06-24 14:20:19.961496+00:00", "last_enrollment": "2022-06-24 14:20:19.961496+00:00"}`, i, i, feedtest.Serial(i))
			},
			Forget: forget("device_id"),
		},
		{
			Manifest: "workspace_one", Stream: "device",
			Settings: func(a string) map[string]string {
				return map[string]string{"url": a, "token_url": a + "/connect/token", "client_id": "app", "client_secret": "secret", "api_key": "tenant-code"}
			},
			SignIn: &feedtest.SignIn{Path: "/connect/token", Check: feedtest.Form(map[string]string{"grant_type": "client_credentials", "client_id": "app", "client_secret": "secret"})},
			Authorized: func(r *http.Request, token string) error {
				if err := feedtest.Header("aw-tenant-code", "tenant-code")(r, token); err != nil {
					return err
				}
				return feedtest.Bearer(r, token)
			},
			List: feedtest.Pages{At: "/API/mdm/devices/search", Records: "Devices", Size: "pagesize", Most: 500, Number: "page", Numbered: true, Total: "Total", Nothing: 204},
			Device: func(i int) map[string]any {
				return object(`{"Udid": "%040x", "SerialNumber": %q, "MacAddress": "147DDAADAC71", "Imei": "", "AssetNumber": "A-%d", "DeviceFriendlyName": "ann iPad", "LocationGroupName": "Berlin", "UserName": "ann", "UserEmailAddress": "ann@example.com", "Ownership": "C", "Platform": "Apple", "Model": "iPad Pro", "OperatingSystem": "18.1",
					"LastSeen": "2026-11-18T04:35:20.150", "EnrollmentStatus": "Enrolled", "ComplianceStatus": "Compliant", "LastEnrolledOn": "2025-06-23T12:44:21.720", "LastComplianceCheckOn": "0001-01-01T00:00:00.000", "IsSupervised": true, "OSBuildVersion": "22B83", "Id": {"Value": %d}, "Uuid": "uuid-%d"}`, i+1, feedtest.Serial(i), i, i, i)
			},
			Forget: forget("Uuid"),
		},
		{
			Manifest: "google_workspace", Stream: "chromeos",
			Settings: func() func(string) map[string]string {
				k := key(t, "RS256")
				return func(a string) map[string]string {
					return map[string]string{"admin": "admin@example.com", "account": "feed@project.iam.gserviceaccount.com", "private_key": k, "api": a, "token_url": a + "/token"}
				}
			}(),
			SignIn:     &feedtest.SignIn{Path: "/token", Check: feedtest.Form(map[string]string{"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": jwtShape})},
			Authorized: feedtest.Bearer,
			List: feedtest.Pages{At: "/admin/directory/v1/customer/my_customer/devices/chromeos", Records: "chromeosdevices", Size: "maxResults", Most: 300, Number: "pageToken", Token: []string{"nextPageToken"}, Lacks: true,
				Query: feedtest.Query{"projection": "FULL", "orderBy": "serialNumber"}, Extra: map[string]any{"kind": "admin#directory#chromeosdevices", "etag": "x"}},
			Device: func(i int) map[string]any {
				return object(`{"deviceId": "06d4fd60-bed5-4fe2-8d82-%012x", "serialNumber": %q, "status": "ACTIVE", "lastSync": "2026-11-19T16:14:15.759Z", "annotatedUser": "ann", "model": "Samsung Galaxy Chromebook", "osVersion": "131.0.6778.59", "platformVersion": "16063.1.0 (Official Build)", "macAddress": "2cdb07af9a83", "bootMode": "Verified",
					"lastEnrollmentTime": "2025-05-19T13:33:02.539Z", "orgUnitPath": "/", "systemRamTotal": "8218046464", "autoUpdateExpiration": "1843455600000", "tpmVersionInfo": {"family": "322e3000"}, "recentUsers": [{"type": "USER_TYPE_MANAGED", "email": "ann@example.com"}], "cpuInfo": [{"model": "Intel", "architecture": "x86_64"}]}`, i, feedtest.Serial(i))
			},
			Forget: forget("deviceId"),
		},
		googleMobile(t),
	}
}

func sensors() []feedtest.Vendor {
	return []feedtest.Vendor{
		{
			Manifest: "crowdstrike", Stream: "host",
			Settings:   settings(map[string]string{"url": "URL", "client_id": "app", "client_secret": "secret"}),
			SignIn:     &feedtest.SignIn{Path: "/oauth2/token", Code: 201, Check: feedtest.Form(map[string]string{"grant_type": "client_credentials", "client_id": "app", "client_secret": "secret"})},
			Authorized: feedtest.Bearer,
			List: feedtest.Scroll{At: "/devices/queries/devices-scroll/v1", Entities: "/devices/entities/devices/v2", ID: "device_id", Most: 5000,
				Query: feedtest.Query{"limit": "[0-9]{1,4}", "filter": "modified_timestamp:>='" + timeShape + "'"}},
			Device: func(i int) map[string]any {
				return object(`{"device_id": "%032x", "cid": "9e09b297082d49bb8209de043d880d14", "agent_version": "7.18.0.1", "bios_manufacturer": "LENOVO", "bios_version": "N3A", "external_ip": "203.0.113.9", "mac_address": "14-7d-da-ad-ac-71", "hostname": "PC-%d", "first_seen": "2024-12-02T15:54:42Z", "last_seen": "2026-11-19T15:54:42Z", "local_ip": "10.0.2.15",
					"os_version": "Windows 11", "platform_name": "Windows", "product_type_desc": "Workstation", "chassis_type": "10", "serial_number": %q, "status": "normal", "system_manufacturer": "LENOVO", "system_product_name": "21CB000CGE", "modified_timestamp": "2026-11-19T15:57:03Z", "reduced_functionality_mode": "no", "applied_date": null, "groups": []}`, i+1, i, feedtest.Serial(i))
			},
			Forget: forget("device_id"),
		},
		{
			Manifest: "sentinelone", Stream: "agent",
			Settings:   settings(map[string]string{"url": "URL", "token": "secret"}),
			Authorized: feedtest.Header("Authorization", "ApiToken secret"),
			List: feedtest.Pages{At: "/web/api/v2.1/agents", Records: "data", Size: "limit", Most: 1000, Number: "cursor", Token: []string{"pagination", "nextCursor"},
				Query: feedtest.Query{"isDecommissioned": "false", "sortBy": "id"}},
			Device: func(i int) map[string]any {
				return object(`{"id": "%d", "uuid": "f431b0a1a8744d2a8a92fc88%08x", "computerName": "PC-%d", "serialNumber": %q, "modelName": "LENOVO - 21CB000CGE", "osName": "Windows 11 Pro", "osRevision": "22631", "osType": "windows", "osStartTime": "2026-11-01T08:00:31Z", "lastActiveDate": "2026-11-19T00:26:33.955830Z", "agentVersion": "24.1.3.38", "isActive": true,
					"isDecommissioned": false, "isUninstalled": false, "networkStatus": "connected", "domain": "WORKGROUP", "lastLoggedInUserName": "", "networkInterfaces": [{"name": "Ethernet", "physical": "06:35:e6:62:53:2e", "inet": ["172.31.43.13"], "inet6": []}], "machineType": "laptop", "totalMemory": 16035, "encryptedApplications": true, "firewallEnabled": "True", "cloudProviders": {}, "cpuCount": 1, "coreCount": 8}`,
					657613730168123595+i, i, i, feedtest.Serial(i))
			},
			Forget: forget("id"),
		},
		{
			Manifest: "defender_endpoint", Stream: "machine",
			Settings:   settings(map[string]string{"tenant": "contoso", "client_id": "app", "client_secret": "secret", "url": "URL", "login": "URL"}),
			SignIn:     entra(`https://api\.securitycenter\.microsoft\.com/\.default`),
			Authorized: feedtest.Bearer,
			List: feedtest.Pages{At: "/api/machines", Records: "value", Size: "$top", Most: 10000, Number: "$skip", Offset: true, Nothing: 404,
				Query: feedtest.Query{"$filter": "lastSeen ge " + timeShape}, Extra: map[string]any{"@odata.context": "x"}},
			Device: func(i int) map[string]any {
				return object(`{"id": "%040x", "mergedIntoMachineId": null, "computerDnsName": "pc-%d.example.com", "firstSeen": "2024-04-24T19:36:08.1494633Z", "lastSeen": "2026-11-19T19:36:08.1494633Z", "osPlatform": "Windows11", "osProcessor": "x64", "version": "23H2", "lastIpAddress": "10.15.0.11", "lastExternalIpAddress": null, "agentVersion": "10.8750",
					"osBuild": 22631, "healthStatus": "Active", "onboardingStatus": "Onboarded", "isAadJoined": true, "aadDeviceId": "783dbff1-c8ff-4996-91ae-%012x", "defenderAvStatus": "Updated", "ipAddresses": [{"ipAddress": "10.15.0.11", "macAddress": "7C1E5218618A", "type": "Ethernet", "operationalStatus": "Up"}], "vmMetadata": null}`, i+1, i, i)
			},
			Forget: forget("id"),
		},
	}
}

func others(t *testing.T) []feedtest.Vendor {
	return []feedtest.Vendor{
		{
			Manifest: "entra_id", Stream: "device",
			Settings:   settings(map[string]string{"tenant": "contoso", "client_id": "app", "client_secret": "secret", "graph": "URL", "login": "URL"}),
			SignIn:     entra(`http://127\.0\.0\.1:[0-9]+/\.default`),
			Authorized: feedtest.Bearer,
			List: feedtest.Pages{At: "/v1.0/devices", Records: "value", Size: "$top", Most: 999, Number: "$skiptoken", NextURL: []string{"@odata.nextLink"},
				Query: feedtest.Query{"$expand": `registeredOwners\(\$select=[A-Za-z,]+\)`}},
			Device: func(i int) map[string]any {
				return object(`{"id": "5dad13b9-d1c4-41ff-baf4-%012x", "accountEnabled": true, "approximateLastSignInDateTime": "2026-11-01T21:43:00Z", "deviceId": "783dbff1-c8ff-4996-91ae-%012x", "deviceOwnership": "Company", "displayName": "PC-%d", "isCompliant": null, "isManaged": true, "manufacturer": null, "model": null, "operatingSystem": "Windows",
					"operatingSystemVersion": "10.0.22631.4460", "trustType": "AzureAd", "registeredOwners": [{"id": "x", "displayName": "Ann", "mail": null, "userPrincipalName": "ann@example.com"}]}`, i, i, i)
			},
			Forget: forget("id"),
		},
		{
			Manifest: "okta", Stream: "device",
			Settings:   settings(map[string]string{"url": "URL", "token": "secret"}),
			Authorized: feedtest.Header("Authorization", "SSWS secret"),
			List: feedtest.Pages{At: "/api/v1/devices", Size: "limit", Most: 200, Number: "after", Link: true,
				Query: feedtest.Query{"expand": "user|userSummary", "search": `lastUpdated gt "` + timeShape + `"`}},
			Device: func(i int) map[string]any {
				return object(`{"id": "guo4a5u7YAHhjXrMK%d", "status": "ACTIVE", "created": "2024-10-02T18:03:07.000Z", "lastUpdated": "2026-11-02T18:03:07.000Z", "profile": {"displayName": "PC-%d", "platform": "WINDOWS", "manufacturer": "LENOVO", "model": "21CB", "osVersion": "10.0.22631", "serialNumber": %q, "sid": "S-1-11-111", "registered": true, "managed": true, "diskEncryptionType": "ALL_INTERNAL_VOLUMES"},
					"_embedded": {"users": [{"managementStatus": "MANAGED", "user": {"id": "00u", "profile": {"login": "ann@example.com", "email": "ann@example.com", "displayName": "Ann", "department": "IT"}}}]}}`, i, i, feedtest.Serial(i))
			},
			Forget: forget("id"),
		},
		{
			Manifest: "apple_business", Stream: "device",
			Settings: func() func(string) map[string]string {
				k := key(t, "ES256")
				return func(a string) map[string]string {
					return map[string]string{"client_id": "BUSINESSAPI.1", "key_id": "k1", "private_key": k, "api": a, "account": a}
				}
			}(),
			SignIn: &feedtest.SignIn{Path: "/auth/oauth2/token", Check: feedtest.Form(map[string]string{"grant_type": "client_credentials", "client_id": "BUSINESSAPI.1", "scope": "business.api",
				"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion": jwtShape})},
			Authorized: feedtest.Bearer,
			List:       coverages{feedtest.Pages{At: "/v1/orgDevices", Records: "data", Size: "limit", Most: 1000, Number: "cursor", NextURL: []string{"links", "next"}, Extra: nil}},
			Device: func(i int) map[string]any {
				return object(`{"type": "orgDevices", "id": %q, "attributes": {"serialNumber": %q, "addedToOrgDateTime": "2025-04-30T22:05:14.192Z", "updatedDateTime": "2025-05-01T15:33:54.164Z", "deviceModel": "MacBook Air 13\"", "productFamily": "Mac", "productType": "Mac14,2", "orderNumber": "1234567890", "status": "ASSIGNED",
					"orderDateTime": "2025-04-15T07:00:00Z", "imei": [], "purchaseSourceType": "APPLE"}}`, feedtest.Serial(i), feedtest.Serial(i))
			},
			Forget: forget("id"),
		},
	}
}

// coverages is Apple's list of devices, and the coverage of each.
type coverages struct{ feedtest.Pages }

// Answer implements feedtest.Listing.
func (c coverages) Answer(w http.ResponseWriter, r *http.Request, all []any, limit int) error {
	if r.URL.Path == c.At {
		return c.Pages.Answer(w, r, all, limit)
	}
	for _, d := range all {
		if r.Method == http.MethodGet && r.URL.Path == fmt.Sprintf("%s/%v/appleCareCoverage", c.At, d.(map[string]any)["id"]) {
			_, err := fmt.Fprint(w, `{"data": [{"type": "appleCareCoverage", "id": "x", "attributes": {"description": "Limited Warranty", "startDateTime": "2025-02-02T00:00:00Z", "endDateTime": "2026-02-02T00:00:00Z", "isCanceled": false}}]}`)
			return err
		}
	}
	w.WriteHeader(http.StatusNotFound)
	return nil
}
