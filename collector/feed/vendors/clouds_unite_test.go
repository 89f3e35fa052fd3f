package vendors_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/feed/feedtest"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// guest is what the agent learns on a machine of a cloud: from the firmware,
// and, where cloud-init runs, the instance's id.
func guest(maker, model, serial, uuid, mac string, cloud *pb.Cloud) *pb.Device {
	return &pb.Device{
		Name: "web", Class: "virtual_machine",
		Hardware: &pb.Hardware{Manufacturer: maker, Model: model, Serial: serial, Uuid: uuid, Virtual: proto.Bool(true), Hypervisor: "kvm", Cloud: cloud},
		Network:  &pb.Network{Hostname: "web", Interfaces: []*pb.Interface{{Name: "eth0", Mac: mac, Kind: "ethernet"}}},
	}
}

// A machine that the cloud lists and the agent on it are one asset, whoever
// speaks first; its neighbour, of the same image and name, is another.
func TestCloudMachinesUniteWithTheirAgents(t *testing.T) {
	for name, c := range map[string]struct {
		vendor feedtest.Vendor
		// refs are what the cloud calls the first two machines.
		refs   [2]string
		agents [2]*pb.Device
	}{
		// The firmware of EC2 gives one UUID as serial number too; of the cloud's
		// list it has nothing.
		"aws, cloud-init": {ec2(), [2]string{"instance/i-00000000000000000", "instance/i-00000000000000001"}, [2]*pb.Device{
			guest("Amazon EC2", "t3.nano", "ec2f6d0b-8a3d-51cf-8f8c-1d2f4a7b9c01", "ec2f6d0b-8a3d-51cf-8f8c-1d2f4a7b9c01", "00:11:22:33:44:55", &pb.Cloud{Provider: "aws", InstanceId: "i-00000000000000000", Region: "eu-central-1"}),
			guest("Amazon EC2", "t3.nano", "ec2f6d0b-8a3d-51cf-8f8c-1d2f4a7b9c02", "ec2f6d0b-8a3d-51cf-8f8c-1d2f4a7b9c02", "00:11:22:33:44:55", &pb.Cloud{Provider: "aws", InstanceId: "i-00000000000000001", Region: "eu-central-1"})}},
		// Without cloud-init, Azure's agent has the UUID of the firmware, and some
		// systems show its first fields in the other order of bytes.
		"azure, firmware": {azure(), [2]string{"machine/a5dacdf7-5185-4c23-a488-000000000000", "machine/a5dacdf7-5185-4c23-a488-000000000001"}, [2]*pb.Device{
			guest("Microsoft Corporation", "Virtual Machine", "0000-0012-6137-7391-9122-6911-51", "f7cddaa5-8551-234c-a488-000000000000", "00:22:48:21:3d:6c", &pb.Cloud{Provider: "azure"}),
			guest("Microsoft Corporation", "Virtual Machine", "0000-0012-6137-7391-9122-6911-52", "a5dacdf7-5185-4c23-a488-000000000001", "00:22:48:21:3d:6c", &pb.Cloud{Provider: "azure"})}},
		// A card that was replaced, a guest that was renamed: the cloud's own id holds.
		"azure, cloud-init": {azure(), [2]string{"machine/a5dacdf7-5185-4c23-a488-000000000000", "machine/a5dacdf7-5185-4c23-a488-000000000001"}, [2]*pb.Device{
			guest("Microsoft Corporation", "Virtual Machine", "", "", "7c:1e:52:18:61:8a", &pb.Cloud{Provider: "azure", InstanceId: "f7cddaa5-8551-234c-a488-000000000000", InstanceType: "Standard_D2s_v3"}),
			guest("Microsoft Corporation", "Virtual Machine", "", "", "7c:1e:52:18:61:8a", &pb.Cloud{Provider: "azure", InstanceId: "a5dacdf7-5185-4c23-a488-000000000001"})}},
		// Google lists no hardware addresses.
		"gcp, cloud-init": {compute(t), [2]string{"instance/4356273881400950770", "instance/4356273881400950771"}, [2]*pb.Device{
			guest("Google", "Google Compute Engine", "GoogleCloud-84C2A1B6E1B4F2C9A5D0E3F4A1B2C3D4", "84c2a1b6-e1b4-f2c9-a5d0-e3f4a1b2c3d4", "42:01:0a:80:00:02", &pb.Cloud{Provider: "gcp", InstanceId: "4356273881400950770"}),
			guest("Google", "Google Compute Engine", "GoogleCloud-84C2A1B6E1B4F2C9A5D0E3F4A1B2C3D5", "84c2a1b6-e1b4-f2c9-a5d0-e3f4a1b2c3d5", "42:01:0a:80:00:03", &pb.Cloud{Provider: "gcp", InstanceId: "4356273881400950771"})}},
	} {
		for _, agentsFirst := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, agents first %v", name, agentsFirst), func(t *testing.T) {
				k := newRecord(t, c.vendor)
				if agentsFirst {
					k.agents(c.agents)
					k.completes("the cloud, after its agents")
				} else {
					k.completes("the cloud")
					k.agents(c.agents)
				}
				k.one(c.refs)
			})
		}
	}
}

// agents files what the agents on two machines say.
func (k *kept) agents(devices [2]*pb.Device) {
	k.t.Helper()
	if err := k.DeclareSource(k.t.Context(), &storagepb.SourceRecord{Id: "agent", Kind: "agent", Unique: true}); err != nil {
		k.t.Fatal(err)
	}
	for i, d := range devices {
		o := &pb.Observation{Source: "agent", SourceId: fmt.Sprint("agent-", i), ObservedAt: timestamppb.New(k.clock.Now()), Subject: &pb.Observation_Device{Device: d}}
		if _, err := k.Accept(k.t.Context(), o); err != nil {
			k.t.Fatal(err)
		}
	}
}

// one expects that each of two machines is an asset of the cloud and its own
// agent, and of nobody else.
func (k *kept) one(refs [2]string) {
	k.t.Helper()
	sources := make(map[string][]string)
	err := k.store.View(k.t.Context(), func(tx *store.Tx) error {
		return tx.ScanAssets("", func(a *pb.Asset) error {
			for _, s := range a.GetSources() {
				sources[a.GetId()] = append(sources[a.GetId()], s.GetSourceId())
			}
			return nil
		})
	})
	if err != nil {
		k.t.Fatal(err)
	}
	for i, ref := range refs {
		want := []string{fmt.Sprint("agent-", i), ref}
		if !slices.ContainsFunc(slices.Collect(maps.Values(sources)), func(got []string) bool { slices.Sort(got); return slices.Equal(got, want) }) {
			k.t.Errorf("no asset is of %v alone: %v", want, sources)
		}
	}
	if len(sources) != devices {
		k.t.Errorf("%d assets, want one for each of the cloud's %d machines", len(sources), devices)
	}
}
