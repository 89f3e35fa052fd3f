package vendors_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/feed/feedtest"
)

// clouds are the systems that list virtual machines.
func clouds(t *testing.T) []feedtest.Vendor { return []feedtest.Vendor{ec2(), azure(), compute(t)} }

func ec2() feedtest.Vendor {
	return feedtest.Vendor{
		Manifest: "aws_ec2", Stream: "instance",
		Settings: settings(map[string]string{"access_key": "AKIAIOSFODNN7EXAMPLE", "secret_key": "wJalrXUtnFEMI/K7MDENG", "endpoint": "URL", "sts": "URL", "regions": "eu-central-1"}),
		Authorized: func(r *http.Request, _ string) error {
			return feedtest.SigV4(r, "ec2", "eu-central-1", map[string]string{"AKIAIOSFODNN7EXAMPLE": "wJalrXUtnFEMI/K7MDENG"})
		},
		List:      reservations{},
		Truncated: "<DescribeInstancesResponse><reservationSet><item>", Odd: "<DescribeInstancesResponse><maintenance>yes</maintenance></DescribeInstancesResponse>",
		Device: func(i int) map[string]any {
			return object(`{"instanceId": "i-%017x", "imageId": "ami-0abcdef1234567890", "instanceState": {"code": "16", "name": "running"}, "privateDnsName": "ip-10-0-0-157.eu-central-1.compute.internal", "instanceType": "t3.nano", "launchTime": "2022-11-15T10:48:59.000Z", "placement": {"availabilityZone": "eu-central-1a", "tenancy": "default"},
				"subnetId": "subnet-04a636d18e83cfacb", "vpcId": "vpc-1234567890abcdef0", "privateIpAddress": "10.0.0.157", "ipAddress": "34.253.223.13", "architecture": "x86_64", "platformDetails": "Linux/UNIX", "cpuOptions": {"coreCount": "1", "threadsPerCore": "2"}, "tagSet": [{"key": "Name", "value": "web-%d"}, {"key": "Owner", "value": "ann@example.com"}],
				"blockDeviceMapping": [{"deviceName": "/dev/xvda", "ebs": {"volumeId": "vol-02e6ccdca7de29cf2"}}],
				"networkInterfaceSet": [{"networkInterfaceId": "eni-1234567890abcdefg", "macAddress": "00:11:22:33:44:55", "ownerId": "104024344472", "privateIpAddress": "10.0.0.157", "privateIpAddressesSet": [{"privateIpAddress": "10.0.0.157"}]}]}`, i, i)
		},
		Forget: forget("instanceId"),
	}
}

// reservations is EC2's list: each instance in a reservation of its own.
type reservations struct{}

// Path implements feedtest.Listing.
func (reservations) Path() string { return "/" }

// Answer implements feedtest.Listing.
func (reservations) Answer(w http.ResponseWriter, r *http.Request, all []any, limit int) error {
	q := r.URL.Query()
	if r.Method != http.MethodGet || r.URL.Path != "/" || q.Get("Action") != "DescribeInstances" || q.Get("Version") != "2016-11-15" {
		return fmt.Errorf("want DescribeInstances, not %s", r.URL)
	}
	for name := range q {
		if !slices.Contains([]string{"Action", "Version", "MaxResults", "NextToken"}, name) {
			return fmt.Errorf("DescribeInstances takes no %s", name)
		}
	}
	if n, err := strconv.Atoi(q.Get("MaxResults")); err != nil || n < 5 || n > 1000 {
		return fmt.Errorf("MaxResults is %q, want 5 to 1000", q.Get("MaxResults"))
	}
	from := 0
	if token := q.Get("NextToken"); token != "" {
		if _, err := fmt.Sscanf(token, "page-%d", &from); err != nil {
			return fmt.Errorf("NextToken %q was not given out", token)
		}
	}
	to := min(from+limit, len(all))
	answer := map[string]any{"requestId": "8f7724cf-496f-496e-8fe3-example", "reservationSet": []any{}}
	for _, d := range all[min(from, to):to] {
		answer["reservationSet"] = append(answer["reservationSet"].([]any), map[string]any{"reservationId": "r-1234567890abcdefg", "ownerId": "111122223333", "groupSet": []any{}, "instancesSet": []any{d}})
	}
	if to < len(all) {
		answer["nextToken"] = fmt.Sprintf("page-%d", to)
	}
	return writeXML(w, "DescribeInstancesResponse", answer)
}

// writeXML writes values as the query protocol of EC2 does.
func writeXML(w http.ResponseWriter, root string, v any) error {
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	e := xml.NewEncoder(w)
	if err := xmlElement(e, root, v); err != nil {
		return err
	}
	return e.Close()
}

func xmlElement(e *xml.Encoder, name string, v any) error {
	start := xml.StartElement{Name: xml.Name{Local: name}}
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	var err error
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if err = xmlElement(e, k, v[k]); err != nil {
				return err
			}
		}
	case []any:
		for _, one := range v {
			if err = xmlElement(e, "item", one); err != nil {
				return err
			}
		}
	case nil:
	default:
		err = e.EncodeToken(xml.CharData(fmt.Sprint(v)))
	}
	if err != nil {
		return err
	}
	return e.EncodeToken(start.End())
}

const subscription = "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590"

func azure() feedtest.Vendor {
	list := feedtest.Pages{At: subscription + "/providers/Microsoft.Compute/virtualMachines", Records: "value", Number: "$skiptoken", NextURL: []string{"nextLink"}, Query: feedtest.Query{"api-version": "2024-07-01"}}
	return feedtest.Vendor{
		Manifest: "azure_vm", Stream: "machine",
		Settings:   settings(map[string]string{"tenant": "contoso", "client_id": "app", "client_secret": "secret", "url": "URL", "login": "URL"}),
		SignIn:     entra(`http://127\.0\.0\.1:[0-9]+/\.default`),
		Authorized: feedtest.Bearer,
		List:       machines{list},
		Main: func(r *http.Request) bool {
			return r.URL.Path == list.At && !r.URL.Query().Has("statusOnly")
		},
		Device: func(i int) map[string]any {
			return object(`{"name": "vm-%d", "id": "%s/resourceGroups/J1DEV/providers/Microsoft.Compute/virtualMachines/vm-%d", "type": "Microsoft.Compute/virtualMachines", "location": "eastus", "tags": {"Owner": "ann@example.com", "CostCenter": "CC-7"}, "zones": ["1"],
				"properties": {"vmId": "A5DACDF7-5185-4C23-A488-%012X", "hardwareProfile": {"vmSize": "Standard_D2s_v3"}, "provisioningState": "Succeeded", "timeCreated": "2024-03-26T13:36:58.9743246+00:00", "storageProfile": {"imageReference": {"publisher": "canonical", "offer": "0001-com-ubuntu-server-focal", "sku": "20_04-lts-gen2", "version": "latest"}, "osDisk": {"osType": "Linux"}, "dataDisks": []},
				"osProfile": {"computerName": "vm-%d", "adminUsername": "azureuser"}, "securityProfile": {"uefiSettings": {"secureBootEnabled": true, "vTpmEnabled": true}}}}`, i, subscription, i, i, i)
		},
		Forget: func(d map[string]any) { delete(d["properties"].(map[string]any), "vmId") },
	}
}

// machines is Azure's list with those that join it.
type machines struct{ feedtest.Pages }

// Answer implements feedtest.Listing.
func (m machines) Answer(w http.ResponseWriter, r *http.Request, all []any, limit int) error {
	side := m.Pages
	var joined []any
	for i, d := range all {
		id := fmt.Sprint(d.(map[string]any)["id"])
		// The same id is written in another case by each of the services.
		switch {
		case r.URL.Query().Has("statusOnly"):
			side.Query = feedtest.Query{"api-version": "2024-07-01", "statusOnly": "true"}
			joined = append(joined, object(`{"id": %q, "properties": {"instanceView": {"osName": "ubuntu", "osVersion": "20.04", "statuses": [{"code": "ProvisioningState/succeeded"}, {"code": "PowerState/deallocated"}]}}}`, strings.ToUpper(id)))
		case strings.HasSuffix(r.URL.Path, "/networkInterfaces"):
			side.At, side.Query = subscription+"/providers/Microsoft.Network/networkInterfaces", feedtest.Query{"api-version": "2024-05-01"}
			joined = append(joined, object(`{"name": "nic-%d", "id": "%s/nic/%d", "properties": {"macAddress": "00-22-48-21-3D-6C", "virtualMachine": {"id": %q}, "ipConfigurations": [{"properties": {"privateIPAddress": "10.15.0.5", "publicIPAddress": {"id": "%s/IP/%d"}}}]}}`, i, subscription, i, strings.ToLower(id), subscription, i))
		case strings.HasSuffix(r.URL.Path, "/publicIPAddresses"):
			side.At, side.Query = subscription+"/providers/Microsoft.Network/publicIPAddresses", feedtest.Query{"api-version": "2024-05-01"}
			joined = append(joined, object(`{"id": "%s/ip/%d", "properties": {"ipAddress": "20.1.2.3"}}`, subscription, i))
		}
	}
	switch {
	case r.URL.Path == "/subscriptions":
		side = feedtest.Pages{At: "/subscriptions", Records: "value", Query: feedtest.Query{"api-version": "2022-12-01"}}
		joined = []any{object(`{"id": %q, "subscriptionId": %q, "displayName": "dev", "state": "Enabled"}`, subscription, strings.TrimPrefix(subscription, "/subscriptions/"))}
	case joined == nil && len(all) > 0:
		return m.Pages.Answer(w, r, all, limit)
	case len(all) == 0:
		side.At, side.Query = r.URL.Path, feedtest.Query{"api-version": ".*", "statusOnly": "true"}
	}
	return side.Answer(w, r, joined, limit)
}

func compute(t *testing.T) feedtest.Vendor {
	k := key(t, "RS256")
	return feedtest.Vendor{
		Manifest: "gcp_compute", Stream: "instance",
		Settings: func(a string) map[string]string {
			return map[string]string{"account": "rollcall@p.iam.gserviceaccount.com", "private_key": k, "api": a, "resource_manager": a, "token_url": a + "/token"}
		},
		SignIn:     &feedtest.SignIn{Path: "/token", Check: feedtest.Form(map[string]string{"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": jwtShape})},
		Authorized: feedtest.Bearer,
		List:       zones{},
		Device: func(i int) map[string]any {
			return object(`{"kind": "compute#instance", "id": "%d", "name": "vm-%d", "status": "RUNNING", "creationTimestamp": "2024-01-02T03:04:05.678-07:00", "lastStartTimestamp": "2024-01-02T03:04:09.678-07:00", "zone": "https://www.googleapis.com/compute/v1/projects/acme-prod/zones/us-central1-a", "machineType": "https://www.googleapis.com/compute/v1/projects/acme-prod/zones/us-central1-a/machineTypes/e2-medium",
				"labels": {"team": "web", "cost-center": "cc-7"}, "cpuPlatform": "Intel Broadwell", "shieldedInstanceConfig": {"enableSecureBoot": false, "enableVtpm": true}, "scheduling": {"provisioningModel": "STANDARD"}, "disks": [{"deviceName": "boot", "diskSizeGb": "10", "architecture": "X86_64", "licenses": ["https://www.googleapis.com/compute/v1/projects/debian-cloud/global/licenses/debian-12-bookworm"]}],
				"networkInterfaces": [{"name": "nic0", "network": "https://www.googleapis.com/compute/v1/projects/acme-prod/global/networks/default", "networkIP": "10.128.0.2", "accessConfigs": [{"type": "ONE_TO_ONE_NAT", "natIP": "34.1.2.3"}]}]}`, 4356273881400950770+i, i)
		},
		Forget: forget("id"),
	}
}

// zones is Google's list: an object by zone, of which one has no instances.
type zones struct{}

// Path implements feedtest.Listing.
func (zones) Path() string { return "/compute/v1/projects/acme-prod/aggregated/instances" }

// Answer implements feedtest.Listing.
func (z zones) Answer(w http.ResponseWriter, r *http.Request, all []any, limit int) error {
	q := r.URL.Query()
	if r.URL.Path == "/v1/projects" {
		return projects(w, q)
	}
	if r.Method != http.MethodGet || r.URL.Path != z.Path() || q.Get("maxResults") != "500" || len(q) > 2 {
		return fmt.Errorf("want %s with maxResults up to 500", z.Path())
	}
	from := 0
	if token := q.Get("pageToken"); token != "" {
		if _, err := fmt.Sscanf(token, "page-%d", &from); err != nil {
			return fmt.Errorf("pageToken %q was not given out", token)
		}
	}
	empty := map[string]any{"warning": map[string]any{"code": "NO_RESULTS_ON_PAGE"}}
	items := map[string]any{"zones/africa-south1-a": empty, "zones/us-central1-a": empty}
	to := min(from+limit, len(all))
	if part := all[min(from, to):to]; len(part) > 0 {
		items["zones/us-central1-a"] = map[string]any{"instances": part}
	}
	answer := map[string]any{"kind": "compute#instanceAggregatedList", "id": "x", "items": items}
	if to < len(all) {
		answer["nextPageToken"] = fmt.Sprintf("page-%d", to)
	}
	return json.NewEncoder(w).Encode(answer)
}

func projects(w http.ResponseWriter, q url.Values) error {
	if q.Get("filter") != "lifecycleState:ACTIVE" {
		return fmt.Errorf("the projects are asked for by %v", q)
	}
	if q.Get("pageToken") == "" {
		_, err := fmt.Fprint(w, `{"nextPageToken": "more"}`)
		return err
	}
	_, err := fmt.Fprint(w, `{"projects": [{"projectId": "acme-prod", "projectNumber": "1", "lifecycleState": "ACTIVE"}]}`)
	return err
}
