package vendors_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/feed/feedtest"
	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
	"github.com/rollcall-itam/rollcall/collector/feed/vendors"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// tried reads all of a system once.
func tried(t *testing.T, vendor string, settings map[string]string) ([]feed.Tried, error) {
	t.Helper()
	m, err := vendors.Load(vendor)
	if err != nil {
		t.Fatal(err)
	}
	client, err := fetch.NewClient(fetch.ClientOptions{AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	clock := feedtest.NewClock()
	return feed.Try(t.Context(), feed.Config{Name: "cloud", Manifest: m, Settings: settings, Client: client},
		feed.Options{Logger: slog.New(slog.DiscardHandler), Now: clock.Now, Wait: clock.Wait, Getenv: os.Getenv}, 0)
}

// TestCloudsSayAllThatTheyKnow reads one machine of each cloud, and the things
// that join it.
func TestCloudsSayAllThatTheyKnow(t *testing.T) {
	for i, want := range []string{
		`{"name": "web-0", "stage": "deployed", "labels": {"Name": "web-0", "Owner": "ann@example.com", "cloud_state": "running", "cloud_zone": "eu-central-1a", "cloud_image": "ami-0abcdef1234567890", "cloud_network": "vpc-1234567890abcdef0", "cloud_subnet": "subnet-04a636d18e83cfacb"},
		  "hardware": {"virtual": true, "cloud": {"provider": "aws", "instanceId": "i-00000000000000000", "instanceType": "t3.nano", "region": "eu-central-1", "account": "111122223333"}, "cpu": {"architecture": "x86_64", "cores": 1, "threads": 2}, "disks": [{"name": "/dev/xvda", "serial": "vol-02e6ccdca7de29cf2", "kind": "virtual"}]},
		  "os": {"family": "linux", "bootedAt": "2022-11-15T10:48:59Z"}, "network": {"hostname": "ip-10-0-0-157", "fqdn": "ip-10-0-0-157.eu-central-1.compute.internal", "lastAddress": "10.0.0.157", "publicAddress": "34.253.223.13", "interfaces": [{"name": "eni-1234567890abcdefg", "mac": "00:11:22:33:44:55", "addresses": ["10.0.0.157/32"], "kind": "ethernet"}]},
		  "owner": {"email": "ann@example.com"}}`,
		`{"name": "vm-0", "labels": {"Owner": "ann@example.com", "CostCenter": "CC-7", "cloud_state": "deallocated", "cloud_zone": "1", "cloud_image": "canonical:0001-com-ubuntu-server-focal:20_04-lts-gen2", "cloud_resource_group": "J1DEV", "cloud_created": "2024-03-26T13:36:58.9743246+00:00"},
		  "hardware": {"manufacturer": "Microsoft Corporation", "model": "Virtual Machine", "uuid": "a5dacdf7-5185-4c23-a488-000000000000", "virtual": true, "hypervisor": "hyperv", "tpm": {"present": true}, "cloud": {"provider": "azure", "instanceId": "a5dacdf7-5185-4c23-a488-000000000000", "instanceType": "Standard_D2s_v3", "region": "eastus", "account": "0b1f6471-1bf0-4dda-aec3-cb9272f09590"}},
		  "os": {"family": "linux", "name": "ubuntu", "version": "20.04"}, "security": {"secureBoot": true},
		  "network": {"hostname": "vm-0", "lastAddress": "10.15.0.5", "publicAddress": "20.1.2.3", "interfaces": [{"name": "nic-0", "mac": "00:22:48:21:3d:6c", "addresses": ["10.15.0.5/32"], "kind": "ethernet"}]},
		  "owner": {"email": "ann@example.com", "costCenter": "CC-7"}}`,
		`{"name": "vm-0", "labels": {"team": "web", "cost-center": "cc-7", "cloud_state": "running", "cloud_zone": "us-central1-a", "cloud_image": "debian-cloud/global/licenses/debian-12-bookworm", "cloud_network": "default", "cloud_created": "2024-01-02T03:04:05.678-07:00"},
		  "hardware": {"manufacturer": "Google", "model": "Google Compute Engine", "virtual": true, "tpm": {"present": true}, "cpu": {"model": "Intel Broadwell", "architecture": "x86_64"}, "disks": [{"name": "boot", "sizeBytes": "10737418240", "kind": "virtual"}], "cloud": {"provider": "gcp", "instanceId": "4356273881400950770", "instanceType": "e2-medium", "region": "us-central1", "account": "acme-prod"}},
		  "os": {"family": "linux", "name": "debian-12-bookworm", "bootedAt": "2024-01-02T10:04:09.678Z"}, "security": {"secureBoot": false},
		  "network": {"lastAddress": "10.128.0.2", "publicAddress": "34.1.2.3", "interfaces": [{"name": "nic0", "addresses": ["10.128.0.2/32"], "kind": "ethernet"}]}, "owner": {"department": "web", "costCenter": "cc-7"}}`,
	} {
		v := clouds(t)[i]
		t.Run(v.Manifest, func(t *testing.T) {
			got, err := tried(t, v.Manifest, v.Settings(feedtest.NewSystem(t, v, 1, 3).URL))
			if err != nil || len(got) != 1 || got[0].Err != nil {
				t.Fatal(got, err)
			}
			o := got[0].Result.Observation
			if len(o.GetProblems()) > 0 {
				t.Error(o.GetProblems())
			}
			device := &pb.Device{}
			if err := protojson.Unmarshal([]byte(want), device); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(device, o.GetDevice(), protocmp.Transform()); d != "" {
				t.Error(d)
			}
		})
	}
}

// amazon answers for two accounts and three regions, of which one is switched
// off, with every signature verified: that of the user for roles, that of a role
// for everything else.
type amazon struct {
	t *testing.T
	// broken regions answer as EC2 does without the right.
	broken string

	mu   sync.Mutex
	lent []string
}

const userSecret = "wJalrXUtnFEMI/K7MDENG"

func (a *amazon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/sts" {
		a.sts(w, r)
		return
	}
	region := strings.Trim(r.URL.Path, "/")
	account := strings.TrimPrefix(r.Header.Get("X-Amz-Security-Token"), "token-")
	if err := feedtest.SigV4(r, "ec2", region, map[string]string{"ASIA" + account: "lent-" + account}); err != nil {
		a.t.Error(err)
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	if region == a.broken {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized to perform this operation.</Message></Error></Errors><RequestID>x</RequestID></Response>`)
		return
	}
	switch action := r.URL.Query().Get("Action"); action {
	case "DescribeRegions":
		fmt.Fprint(w, `<DescribeRegionsResponse><regionInfo><item><regionName>us-east-1</regionName></item><item><regionName>eu-central-1</regionName></item></regionInfo></DescribeRegionsResponse>`)
	case "DescribeInstances":
		state := map[string]string{"us-east-1": "terminated", "eu-central-1": "stopped"}[region]
		if err := writeXML(w, "DescribeInstancesResponse", object(`{"reservationSet": [{"ownerId": %q, "instancesSet": [{"instanceId": "i-%s-%s", "instanceType": "m5.metal", "instanceState": {"name": %q}}]}]}`, account, account, region, state)); err != nil {
			a.t.Error(err)
		}
	default:
		a.t.Errorf("nobody should ask for %q", action)
	}
}

func (a *amazon) sts(w http.ResponseWriter, r *http.Request) {
	if err := feedtest.SigV4(r, "sts", "us-east-1", map[string]string{"AKIAUSER": userSecret}); err != nil {
		a.t.Error(err)
	}
	body, err := io.ReadAll(r.Body)
	form, formErr := url.ParseQuery(string(bytes.TrimSpace(body)))
	if err != nil || formErr != nil || form.Get("Action") != "AssumeRole" || form.Get("Version") != "2011-06-15" || form.Get("RoleSessionName") == "" || form.Get("ExternalId") != "between-us-two" {
		a.t.Errorf("not as AssumeRole wants it: %v", form)
	}
	account := strings.Split(form.Get("RoleArn"), ":")[4]
	a.mu.Lock()
	a.lent = append(a.lent, account)
	a.mu.Unlock()
	fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>ASIA%[1]s</AccessKeyId><SecretAccessKey>lent-%[1]s</SecretAccessKey><SessionToken>token-%[1]s</SessionToken><Expiration>2026-11-20T11:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`, account)
}

// TestEC2ReadsEachRegionOfEachAccount assumes a role in two accounts.
func TestEC2ReadsEachRegionOfEachAccount(t *testing.T) {
	a := &amazon{t: t}
	s := httptest.NewServer(a)
	defer s.Close()
	settings := map[string]string{"access_key": "AKIAUSER", "secret_key": userSecret, "endpoint": s.URL + "/{region}", "sts": s.URL + "/sts", "external_id": "between-us-two",
		"roles": "arn:aws:iam::111122223333:role/rollcall, arn:aws:iam::444455556666:role/rollcall"}
	got, err := tried(t, "aws_ec2", settings)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, one := range got {
		d := one.Result.Observation.GetDevice()
		if d.GetHardware().GetVirtual() {
			t.Errorf("%s is of metal", d.GetName())
		}
		all = append(all, d.GetHardware().GetCloud().GetAccount()+" "+d.GetHardware().GetCloud().GetRegion()+" "+d.GetStage()+" "+d.GetLabels()["cloud_state"])
	}
	want := []string{"111122223333 eu-central-1 deployed stopped", "111122223333 us-east-1 disposed terminated", "444455556666 eu-central-1 deployed stopped", "444455556666 us-east-1 disposed terminated"}
	if !slices.Equal(all, want) {
		t.Errorf("got %v\nwant %v", all, want)
	}
	if !slices.Equal(a.lent, []string{"111122223333", "444455556666"}) {
		t.Errorf("credentials were lent for %v, want each role once", a.lent)
	}
	a.broken = "us-east-1"
	if _, err = tried(t, "aws_ec2", settings); fetch.KindOf(err) != fetch.Denied || !strings.Contains(err.Error(), "You are not authorized") || !strings.Contains(err.Error(), "ec2:DescribeInstances") {
		t.Errorf("got %v", err)
	}
}

// TestAWSRefusesAnAddressThatIsNone holds settings that name a region to what
// an address is.
func TestAWSRefusesAnAddressThatIsNone(t *testing.T) {
	for _, endpoint := range []string{"http://ec2.{region}.example.com", "ec2.{region}.amazonaws.com", "https://{Region}.example.com"} {
		if _, err := tried(t, "aws_ec2", map[string]string{"access_key": "A", "secret_key": "S", "endpoint": endpoint}); err == nil || !strings.Contains(err.Error(), `"endpoint"`) {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}
