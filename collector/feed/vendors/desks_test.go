package vendors_test

import (
	"fmt"
	"net/http"

	"github.com/rollcall-itam/rollcall/collector/feed/feedtest"
)

// desks are the service desks whose tables of assets are imported.
func desks() []feedtest.Vendor {
	return []feedtest.Vendor{
		jiraAssets(),
		{
			Manifest: "servicenow", Stream: "asset",
			Settings:   settings(map[string]string{"url": "URL", "user": "ann", "password": "secret"}),
			Authorized: feedtest.Header("Authorization", "Basic YW5uOnNlY3JldA=="),
			List: feedtest.Pages{At: "/api/now/table/alm_hardware", Records: "result", Size: "sysparm_limit", Most: 10000, Number: "sysparm_offset", Offset: true, TotalHeader: "X-Total-Count",
				Query: feedtest.Query{"sysparm_query": `(sys_updated_on>=[0-9: -]+\^)?ORDERBYsys_id`, "sysparm_fields": "[a-z_.,]+", "sysparm_display_value": "false", "sysparm_exclude_reference_link": "true"}},
			Device: func(i int) map[string]any {
				return object(`{"sys_id": "%032x", "asset_tag": "P10%d", "serial_number": %q, "display_name": "P10 - Apple MacBook Pro", "install_status": "1", "substatus": "", "model.name": "MacBook Pro", "model.manufacturer.name": "Apple", "model_category.name": "Computer", "assigned_to.email": "ann@example.com", "assigned_to.name": "Ann",
					"assigned": "2024-05-09 23:23:56", "department.name": "IT", "location.name": "", "purchase_date": "2024-01-02", "cost": "1799.99", "vendor.name": "", "po_number": "", "warranty_expiration": "2027-01-02", "sys_updated_on": "2026-05-09 23:23:56"}`, i+1, i, feedtest.Serial(i))
			},
			Forget: forget("sys_id"),
		},
		{
			Manifest: "snipe_it", Stream: "asset",
			Settings:   settings(map[string]string{"url": "URL", "token": "secret"}),
			Authorized: feedtest.Header("Authorization", "Bearer secret"),
			List: feedtest.Pages{At: "/api/v1/hardware", Records: "rows", Size: "limit", Most: 500, Number: "offset", Offset: true, Total: "total",
				Query: feedtest.Query{"sort": "id", "order": "asc"}},
			Device: func(i int) map[string]any {
				return object(`{"id": %d, "name": "", "asset_tag": "%05d", "serial": %q, "model": {"id": 1, "name": "MacBook Pro"}, "model_number": "A2141", "status_label": {"name": "Ready", "status_meta": "deployed"}, "category": {"name": "Laptops"}, "manufacturer": {"name": "Apple"}, "supplier": null, "order_number": null, "location": {"name": "Berlin"},
					"assigned_to": {"type": "user", "name": "Ann", "email": "ann@example.com"}, "purchase_date": {"date": "2024-02-03", "formatted": "x"}, "purchase_cost": "1,299.00", "warranty_expires": null, "deleted_at": null}`, i+1, i, feedtest.Serial(i))
			},
			Forget: forget("id"),
		},
		{
			Manifest: "freshservice", Stream: "asset",
			Settings:   settings(map[string]string{"url": "URL", "api_key": "secret"}),
			Others:     explained(),
			Authorized: feedtest.Header("Authorization", "Basic c2VjcmV0Olg="),
			List: feedtest.Pages{At: "/api/v2/assets", Records: "assets", Size: "per_page", Most: 100, Number: "page", Numbered: true, First: 1,
				Query: feedtest.Query{"include": "type_fields", "order_by": "id", "order_type": "asc"}},
			Device: func(i int) map[string]any {
				return object(`{"id": %d, "display_id": %d, "name": "Laptop %d", "asset_type_id": 21002421523, "asset_tag": "ASSET-%d", "user_id": 21000418006, "assigned_on": null, "type_fields": {"serial_number_21000550019": %q, "cost_21000550016": 1200.5, "acquisition_date_21000550016": "2024-01-02T00:00:00Z"}}`, 21001118373+i, i, i, i, feedtest.Serial(i))
			},
			Forget: forget("id"),
		},
	}
}

const (
	jiraWorkspace = "f1668d0c-828c-470c-b7d1-8c4f48cd345a"
	jiraAQL       = `objectType IN objectTypeAndChildren("Hardware") ORDER BY Key`
)

func jiraAssets() feedtest.Vendor {
	list := feedtest.Pages{At: "/jsm/assets/workspace/" + jiraWorkspace + "/v1/object/aql", Body: `{"qlQuery":"objectType IN objectTypeAndChildren(\"Hardware\") ORDER BY Key"}`,
		Records: "values", Size: "maxResults", Most: 100, Number: "startAt", Offset: true, Query: feedtest.Query{"includeAttributes": "true"},
		Extra: map[string]any{"objectTypeAttributes": []any{object(`{"id": "72", "name": "Serial Number", "label": false, "type": 0}`), object(`{"id": "74", "name": "Owner", "label": false, "type": 2}`)}}}
	return feedtest.Vendor{
		Manifest: "jira_assets", Stream: "object",
		Settings:   settings(map[string]string{"url": "URL", "api": "URL", "email": "ann@example.com", "token": "secret", "aql": jiraAQL}),
		Authorized: feedtest.Header("Authorization", "Basic YW5uQGV4YW1wbGUuY29tOnNlY3JldA=="),
		List:       workspaced{list},
		Device: func(i int) map[string]any {
			return object(`{"workspaceId": %q, "globalId": "%s:%d", "id": "%d", "label": "MBP-%d", "objectKey": "ITA-%d", "objectType": {"id": "23", "name": "Laptops"}, "created": "2024-01-16T20:04:41.527Z", "updated": "2026-11-16T20:04:41.527Z", "hasAvatar": false, "timestamp": 1613505881527,
				"attributes": [{"id": "637", "objectTypeAttributeId": "72", "objectAttributeValues": [{"value": %q, "displayValue": %q, "referencedType": false}]}, {"id": "640", "objectTypeAttributeId": "74", "objectAttributeValues": [{"displayValue": "Ann", "searchValue": "5b10a2", "referencedType": false, "user": {"displayName": "Ann", "emailAddress": "ann@example.com"}}]}]}`,
				jiraWorkspace, jiraWorkspace, i, i, i, i, feedtest.Serial(i), feedtest.Serial(i))
		},
		Forget: forget("id"),
	}
}

// workspaced is Jira's list of objects, and the list of the one workspace.
type workspaced struct{ feedtest.Pages }

// Answer implements feedtest.Listing.
func (l workspaced) Answer(w http.ResponseWriter, r *http.Request, all []any, limit int) error {
	if r.Method == http.MethodGet && r.URL.Path == "/rest/servicedeskapi/assets/workspace" && r.URL.RawQuery == "" {
		_, err := fmt.Fprintf(w, `{"size": 1, "start": 0, "limit": 50, "isLastPage": true, "values": [{"workspaceId": %q}]}`, jiraWorkspace)
		return err
	}
	return l.Pages.Answer(w, r, all, limit)
}

// explained are the lists of Freshservice that say what ids mean.
func explained() map[string]http.HandlerFunc {
	others := make(map[string]http.HandlerFunc)
	for name, row := range map[string]string{"asset_types": "", "products": "", "vendors": "", "departments": "", "locations": "",
		"requesters": `{"id": 21000418006, "first_name": "Andrea", "last_name": "North", "primary_email": "andrea@example.com"}`} {
		others["GET /api/v2/"+name] = func(w http.ResponseWriter, r *http.Request) {
			rows := row
			if r.URL.Query().Get("page") != "1" {
				rows = ""
			}
			fmt.Fprintf(w, `{%q: [%s]}`, name, rows)
		}
	}
	return others
}
