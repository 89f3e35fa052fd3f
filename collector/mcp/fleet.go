package mcp

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

var personContext = about{name: "person_context", title: "A person and their devices",
	text: "Tells what a service desk needs of a person at once: who it is, their devices with system, free storage, warranty, encryption, open findings and when each was last seen, applications, location, and under attention what deserves a look." + untrusted}

type personContextArgs struct {
	Person string `json:"person" jsonschema:"e-mail address, user principal name, account, employee id or id of the person"`
}

func (t *tools) personContext(ctx context.Context, in personContextArgs) (map[string]any, error) {
	p, err := t.calls.GetPersonContext(ctx, &adminpb.GetPersonContextRequest{Id: in.Person})
	if err != nil {
		return nil, err
	}
	return tree(p)
}

var listFindings = about{name: "list_findings", title: "List findings",
	text: "Lists rules of compliance and security that assets fail, with what makes them fail and how to remedy it, a page at a time. Without state it lists all that are not resolved. A filter is a condition in CEL on finding (rule, severity, state, detail, decided_by, reason, opened_at, decided_at, waived_until, resolved_at, last_seen) and asset (see asset_fields)." + untrusted}

type listFindingsArgs struct {
	Asset      string `json:"asset,omitempty" jsonschema:"only of the asset with this id"`
	Rule       string `json:"rule,omitempty" jsonschema:"only of the rule with this id"`
	Severity   string `json:"severity,omitempty" jsonschema:"only of this severity"`
	State      string `json:"state,omitempty" jsonschema:"only in this state"`
	Owner      string `json:"owner,omitempty" jsonschema:"only of assets of the owner with this e-mail address"`
	Department string `json:"department,omitempty" jsonschema:"only of assets of this department"`
	Filter     string `json:"filter,omitempty" jsonschema:"condition in CEL on finding and its asset, as in finding.severity in ['critical', 'high'] && age(finding.opened_at) > days(30) && asset.labels.site == 'berlin'"`
	OrderBy    string `json:"order_by,omitempty" jsonschema:"one field of the finding or of the asset, as in severity desc, opened_at or asset.name; by asset and rule where it is empty"`
	Limit      int    `json:"limit,omitempty" jsonschema:"how many to show, 1 to 50; 20 where it is left out"`
	PageToken  string `json:"page_token,omitempty" jsonschema:"next_page_token of the answer before, with the same arguments"`
}

func (t *tools) listFindings(ctx context.Context, in listFindingsArgs) (map[string]any, error) {
	limit, err := limited(in.Limit, defaultLimit, maxLimit)
	if err != nil {
		return nil, err
	}
	return pages(limit, func(limit int32) (*adminpb.ListFindingsResponse, error) {
		return t.calls.ListFindings(ctx, &adminpb.ListFindingsRequest{Asset: in.Asset, Rule: in.Rule, Severity: in.Severity, State: in.State, Owner: in.Owner,
			Department: in.Department, Filter: in.Filter, OrderBy: in.OrderBy, PageSize: limit, PageToken: in.PageToken})
	})
}

var searchSoftware = about{name: "search_software", title: "Search software",
	text: "Finds software by a part of its name, the most installed first, with versions and how many assets have each. software_assets tells which assets these are." + untrusted}

type searchSoftwareArgs struct {
	Name      string `json:"name,omitempty" jsonschema:"text that the name contains; empty lists all"`
	Limit     int    `json:"limit,omitempty" jsonschema:"how many to show, 1 to 50; 20 where it is left out"`
	PageToken string `json:"page_token,omitempty" jsonschema:"next_page_token of the answer before, with the same name"`
}

func (t *tools) searchSoftware(ctx context.Context, in searchSoftwareArgs) (map[string]any, error) {
	limit, err := limited(in.Limit, defaultLimit, maxLimit)
	if err != nil {
		return nil, err
	}
	return pages(limit, func(limit int32) (*adminpb.ListSoftwareResponse, error) {
		return t.calls.ListSoftware(ctx, &adminpb.ListSoftwareRequest{Search: in.Name, PageSize: limit, PageToken: in.PageToken})
	})
}

var softwareAssets = about{name: "software_assets", title: "Assets with a software",
	text: "Finds the assets that have a software, in any version or in one, a page at a time. For ranges of versions use search_assets with has_software(name, \"< 2.0\"). Filters are those of search_assets." + untrusted}

type softwareAssetsArgs struct {
	ID        string   `json:"id" jsonschema:"id of the software, from search_software"`
	Version   string   `json:"version,omitempty" jsonschema:"exactly this version; any where it is empty"`
	Filter    string   `json:"filter,omitempty" jsonschema:"condition in CEL on asset; empty finds all"`
	OrderBy   string   `json:"order_by,omitempty" jsonschema:"one field, as in last_seen desc; by id where it is empty"`
	Fields    []string `json:"fields,omitempty" jsonschema:"paths of fields to show; a summary where it is empty"`
	Limit     int      `json:"limit,omitempty" jsonschema:"how many to show, 1 to 50; 20 where it is left out"`
	PageToken string   `json:"page_token,omitempty" jsonschema:"next_page_token of the answer before, with the same arguments"`
}

func (t *tools) softwareAssets(ctx context.Context, in softwareAssetsArgs) (map[string]any, error) {
	limit, err := limited(in.Limit, defaultLimit, maxLimit)
	if err != nil {
		return nil, err
	}
	fields, err := masked(in.Fields, brief)
	if err != nil {
		return nil, err
	}
	return pages(limit, func(limit int32) (*adminpb.ListAssetsResponse, error) {
		return t.calls.ListSoftwareAssets(ctx, &adminpb.ListSoftwareAssetsRequest{Id: in.ID, Version: in.Version, Filter: in.Filter, OrderBy: in.OrderBy, Fields: fields,
			PageSize: limit, PageToken: in.PageToken})
	})
}

var groupAssets = about{name: "group_assets", title: "Count assets",
	text: "Counts assets by the values of one field, the largest group first; a group without value is of those that do not state it. total_size is how many were counted, other_size how many are in groups beyond limit. Filters are those of search_assets." + untrusted}

type groupAssetsArgs struct {
	By     string `json:"by" jsonschema:"a field with one value, as in os.version, owner.department or labels.site"`
	Filter string `json:"filter,omitempty" jsonschema:"condition in CEL on asset: which to count; all where it is empty"`
	Search string `json:"search,omitempty" jsonschema:"words that must be found in the asset"`
	Limit  int    `json:"limit,omitempty" jsonschema:"how many groups to show, 1 to 200; 20 where it is left out"`
}

func (t *tools) groupAssets(ctx context.Context, in groupAssetsArgs) (map[string]any, error) {
	limit, err := limited(in.Limit, defaultLimit, maxGroups)
	if err != nil {
		return nil, err
	}
	g, err := t.calls.GroupAssets(ctx, &adminpb.GroupAssetsRequest{By: strings.TrimPrefix(in.By, "asset."), Filter: in.Filter, Search: in.Search, Limit: limit})
	if err != nil {
		return nil, err
	}
	return tree(g)
}

var fleetSummary = about{name: "fleet_summary", title: "The fleet in numbers",
	text: "Tells how many assets there are, by class, stage and family of operating system, and how many findings are not resolved, by severity. Parts that the token may not see are named under not_shown." + untrusted}

func (t *tools) fleetSummary(ctx context.Context, _ struct{}) (map[string]any, error) {
	out := make(map[string]any)
	for name, by := range map[string]string{"by_class": "class", "by_stage": "stage", "by_os_family": "os.family"} {
		g, err := t.calls.GroupAssets(ctx, &adminpb.GroupAssetsRequest{By: by, Limit: defaultLimit})
		if err != nil {
			return nil, err
		}
		of, err := tree(g)
		if err != nil {
			return nil, err
		}
		out["assets"], out[name] = of["total_size"], of["groups"]
	}
	g, err := t.calls.GroupFindings(ctx, &adminpb.GroupFindingsRequest{By: "severity"})
	if status.Code(err) == codes.PermissionDenied {
		out["not_shown"] = []any{"findings_by_severity"}
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	of, err := tree(g)
	out["findings_by_severity"] = of["groups"]
	return out, err
}
