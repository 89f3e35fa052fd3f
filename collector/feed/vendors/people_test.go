package vendors_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/feed/feedtest"
	"github.com/rollcall-itam/rollcall/collector/feed/vendors"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// accesses is a list of people, and the applications of each.
type accesses struct {
	feedtest.Pages
	// of ends the path at which the applications of a person are asked for, and
	// answer is what comes.
	of, answer string
}

// Answer implements feedtest.Listing.
func (a accesses) Answer(w http.ResponseWriter, r *http.Request, all []any, limit int) error {
	if r.URL.Path == a.At {
		return a.Pages.Answer(w, r, all, limit)
	}
	for _, p := range all {
		if r.Method == http.MethodGet && r.URL.Path == fmt.Sprintf("%s/%v/%s", a.At, p.(map[string]any)["id"], a.of) {
			_, err := fmt.Fprint(w, a.answer)
			return err
		}
	}
	w.WriteHeader(http.StatusNotFound)
	return nil
}

func TestPeopleOfVendors(t *testing.T) {
	for _, v := range people(t) {
		t.Run(v.Manifest, func(t *testing.T) { feedtest.Run(t, v) })
	}
}

// people are the systems that list people.
func people(t *testing.T) []feedtest.Vendor {
	return []feedtest.Vendor{
		{
			Manifest: "okta", Stream: "user",
			Settings:   settings(map[string]string{"url": "URL", "token": "secret", "applications": "yes"}),
			Authorized: feedtest.Header("Authorization", "SSWS secret"),
			List: accesses{feedtest.Pages{At: "/api/v1/users", Size: "limit", Most: 200, Number: "after", Link: true, Query: feedtest.Query{"search": `status eq "[A-Z_]+"( or status eq "[A-Z_]+")*`}},
				"appLinks", `[{"id": "00ub0oNGTSWTBKOLGLNR", "label": "Google Apps Mail", "linkUrl": "https://{yourOktaDomain}/home/google/0oa3omz2i9XRNSRIHBZO/50", "appName": "google", "appInstanceId": "0oa3omz2i9XRNSRIHBZO", "appAssignmentId": "0ua3omz7weMMMQJERBKY"}]`},
			Device: func(i int) map[string]any {
				return object(`{"id": "00u1cagurdhtxqBdf4x%d", "status": "ACTIVE", "lastUpdated": "2026-11-02T17:18:55.000Z", "profile": {"firstName": "Max", "lastName": "Vance", "mobilePhone": null, "secondEmail": null, "login": "u%d@example.com", "email": "u%d@example.com", "department": "IT", "employeeNumber": "%d", "userType": "Employee"}}`, i, i, i, 1000+i)
			},
			Forget: forget("id"),
		},
		{
			Manifest: "entra_id", Stream: "user",
			Settings:   settings(map[string]string{"graph": "URL", "login": "URL", "tenant": "contoso", "client_id": "app", "client_secret": "secret", "applications": "yes"}),
			SignIn:     entra("http.+/.default"),
			Authorized: feedtest.Bearer,
			List: accesses{feedtest.Pages{At: "/v1.0/users", Records: "value", Size: "$top", Most: 999, Number: "$skiptoken", NextURL: []string{"@odata.nextLink"},
				Query: feedtest.Query{"$select": "[A-Za-z,]+", "$expand": `manager\(\$select=[A-Za-z,]+\)`}},
				"appRoleAssignments", `{"value": [{"id": "41W1zT6z1U-kJxf62svfp1HFE8pMZhxDun-ThPczmJE", "createdDateTime": "2021-02-02T04:22:45Z", "resourceDisplayName": "Salesforce", "resourceId": "a9d4b1b2-3f7e-4a39-9a0a-5f5a0a3f7f11", "principalType": "User"}]}`},
			Device: func(i int) map[string]any {
				return object(`{"id": "eaca2822-9c62-4244-9c01-%012x", "displayName": "Lee Adler", "givenName": null, "surname": null, "mail": "lee%d@example.com", "userPrincipalName": "lee%d@corp.example.com", "proxyAddresses": ["SMTP:lee%d@example.com"], "onPremisesSamAccountName": "lee%d", "onPremisesDomainName": "corp.example.com",
					"employeeId": null, "employeeHireDate": "2024-01-02T00:00:00Z", "userType": "Member", "accountEnabled": true, "department": "Sales", "employeeOrgData": {"costCenter": "CC-1", "division": null}, "manager": {"mail": "bob@example.com"}}`, i, i, i, i, i)
			},
			Forget: forget("id"),
		},
		{
			Manifest: "google_workspace", Stream: "user",
			Settings: func() func(string) map[string]string {
				k := key(t, "RS256")
				return func(a string) map[string]string {
					return map[string]string{"admin": "admin@example.com", "account": "feed@project.iam.gserviceaccount.com", "private_key": k, "api": a, "token_url": a + "/token", "applications": "yes"}
				}
			}(),
			SignIn:     &feedtest.SignIn{Path: "/token", Check: feedtest.Form(map[string]string{"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": jwtShape})},
			Authorized: feedtest.Bearer,
			List: accesses{feedtest.Pages{At: "/admin/directory/v1/users", Records: "users", Size: "maxResults", Most: 500, Number: "pageToken", Token: []string{"nextPageToken"}, Lacks: true,
				Query: feedtest.Query{"customer": "my_customer", "projection": "full", "orderBy": "email"}, Extra: map[string]any{"kind": "admin#directory#users", "etag": "x"}},
				"tokens", `{"kind": "admin#directory#tokenList", "etag": "x"}`},
			Device: func(i int) map[string]any {
				return object(`{"kind": "admin#directory#user", "id": "1071%d", "primaryEmail": "u%d@example.com", "aliases": ["a%d@example.com"], "name": {"fullName": "Ann Berg", "givenName": "Ann", "familyName": "Berg"}, "suspended": false, "archived": false, "isEnrolledIn2Sv": true, "orgUnitPath": "/",
					"externalIds": [{"value": "%d", "type": "organization"}], "relations": [{"value": "bob@example.com", "type": "manager"}], "organizations": [{"title": "Buyer", "department": "Sales", "primary": true}]}`, i, i, i, 1000+i)
			},
			Forget: forget("id"),
		},
	}
}

func TestAListOfPeople(t *testing.T) {
	file := filepath.Join(t.TempDir(), "people.csv")
	rows := "Personalnummer;Vorname;Nachname;E-Mail;Abteilung;Manager Email;Employment Status;Eintritt;Austritt\n" +
		"1001;Ann;Berg;Ann@Example.com;Vertrieb;bob@example.com;Active;01.02.2024;\n" +
		"1002;Cid;Dorn;;Lager;;Terminated;15.03.2020;31.10.2026\n"
	if err := os.WriteFile(file, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := vendors.Load("csv_people")
	if err != nil {
		t.Fatal(err)
	}
	tried, err := feed.Try(t.Context(), feed.Config{Name: "hr", Manifest: m, Settings: map[string]string{"file": file}}, feed.Options{Logger: slog.New(slog.DiscardHandler), Now: time.Now, Getenv: os.Getenv}, 0)
	if err != nil || len(tried) != 2 {
		t.Fatal(len(tried), err)
	}
	var got []*pb.Profile
	for _, one := range tried {
		if one.Err != nil || len(one.Result.Observation.GetProblems()) > 0 {
			t.Fatal(one.Err, one.Result.Observation.GetProblems())
		}
		got = append(got, one.Result.Observation.GetPerson())
	}
	ann, cid := got[0], got[1]
	if ann.GetName() != "Ann Berg" || strings.Join(ann.GetEmails(), " ") != "ann@example.com" || ann.GetEmployeeId() != "1001" || ann.GetDepartment() != "Vertrieb" || ann.GetManager() != "bob@example.com" || ann.GetStatus() != "active" || ann.GetStartDate() != "2024-02-01" {
		t.Errorf("read %v", ann)
	}
	if len(cid.GetEmails()) != 0 || cid.GetStatus() != "departed" || cid.GetEndDate() != "2026-10-31" {
		t.Errorf("read %v", cid)
	}
}
