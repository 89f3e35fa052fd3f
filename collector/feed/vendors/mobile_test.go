package vendors_test

import (
	"testing"

	"github.com/rollcall-itam/rollcall/collector/feed/feedtest"
)

// googleMobile are the managed mobile devices of Google Workspace.
func googleMobile(t *testing.T) feedtest.Vendor {
	k := key(t, "RS256")
	return feedtest.Vendor{
		Manifest: "google_workspace", Stream: "mobile",
		Settings: func(a string) map[string]string {
			return map[string]string{"admin": "admin@example.com", "account": "feed@project.iam.gserviceaccount.com", "private_key": k, "api": a, "token_url": a + "/token"}
		},
		SignIn:     &feedtest.SignIn{Path: "/token", Check: feedtest.Form(map[string]string{"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": jwtShape})},
		Authorized: feedtest.Bearer,
		List: feedtest.Pages{At: "/admin/directory/v1/customer/my_customer/devices/mobile", Records: "mobiledevices", Size: "maxResults", Most: 100, Number: "pageToken", Token: []string{"nextPageToken"}, Lacks: true,
			Query: feedtest.Query{"projection": "FULL"}, Extra: map[string]any{"kind": "admin#directory#mobiledevices", "etag": "x"}},
		Device: func(i int) map[string]any {
			return object(`{"kind": "admin#directory#mobiledevice", "resourceId": "AFiQxQ8Qgd-%d", "deviceId": "3c7e%06d", "name": ["Ann"], "email": ["ann@example.com"], "model": "Pixel 8", "os": "Android 14", "type": "ANDROID", "status": "APPROVED", "serialNumber": %q, "imei": "", "wifiMacAddress": "147ddaadac71",
				"firstSync": "2025-02-17T16:24:45.000Z", "lastSync": "2026-11-19T00:24:15.000Z", "encryptionStatus": "Encrypted", "deviceCompromisedStatus": "No compromise detected", "manufacturer": "Google", "brand": "google", "buildNumber": "UQ1A.240205.004"}`, i, i, feedtest.Serial(i))
		},
		Forget: forget("resourceId"),
	}
}
