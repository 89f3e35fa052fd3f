package facts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	cloudInit    = "run/cloud-init/instance-data.json"
	maxCloudInit = 8 << 20
	// azureTag is the asset tag of the chassis of every Azure machine.
	azureTag = "7783-7084-3265-9085-8269-3286-77"
)

// detectContainer names what runs the container that this is, empty for a
// machine of its own. The signs are those that systemd looks for.
func detectContainer(h *host.Host) string {
	a := &attributes{h: h}
	if name := plainText(a.raw("run/systemd/container")); name != "" {
		return name
	}
	switch {
	case a.has(".dockerenv") && !onDisk(h):
		return "docker"
	case a.has("run/.containerenv"):
		return "podman"
	case a.has("run/secrets/kubernetes.io"):
		return "kubernetes"
	}
	// The first process of a container has it in its environment, which only
	// root can read; whoever else asks is told nothing.
	environ, err := h.ReadFile("proc/1/environ", maxValueFile)
	if err != nil {
		return ""
	}
	for v := range strings.SplitSeq(string(environ), "\x00") {
		if name, ok := strings.CutPrefix(v, "container="); ok {
			return plainText([]byte(name))
		}
	}
	return ""
}

// onDisk tells whether the root file system is a disk of its own. Machines that
// were made from a container's image carry its marks, but no container runs on
// a disk: its root is an overlay, or a folder of one.
func onDisk(h *host.Host) bool {
	mounts, err := readVolumes(h)
	return err == nil && slices.ContainsFunc(mounts, func(m mount) bool {
		return m.point == "/" && m.root == "/" && strings.HasPrefix(m.source, "/dev/") && !strings.HasPrefix(m.source, "/dev/mapper/docker-")
	})
}

// virtualMakers tell a hypervisor by the maker, model or firmware of the
// machine that it pretends to be; an empty pattern fits all.
var virtualMakers = []struct{ maker, model, firmware, hypervisor string }{
	{"VMware", "", "", "vmware"},
	{"innotek", "", "", "virtualbox"},
	{"Oracle Corporation", "VirtualBox", "", "virtualbox"},
	{"Microsoft Corporation", "Virtual Machine", "", "hyperv"},
	{"Parallels", "", "", "parallels"},
	{"Xen", "", "", "xen"},
	{"Amazon EC2", "", "Xen", "xen"},
	{"Amazon EC2", "", "", "kvm"},
	{"Apple", "Apple Virtualization", "", "apple"},
	{"Apple", "VirtualMac", "", "apple"},
	{"BHYVE", "", "", "bhyve"},
	{"Bochs", "", "", "bochs"},
	{"QEMU", "", "", "kvm"},
	{"Google", "Google Compute Engine", "", "kvm"},
	{"Nutanix", "AHV", "", "kvm"},
	{"Red Hat", "KVM", "", "kvm"},
	{"oVirt", "", "", "kvm"},
	{"OpenStack Foundation", "", "", "kvm"},
	{"DigitalOcean", "Droplet", "", "kvm"},
	{"Hetzner", "vServer", "", "kvm"},
	{"Alibaba Cloud", "ECS", "", "kvm"},
	{"", "KVM", "", "kvm"},
	{"", "VirtualBox", "", "virtualbox"},
}

// clockHypervisors tell a hypervisor by the clock that it offers.
var clockHypervisors = []struct{ clock, hypervisor string }{
	{"kvm-clock", "kvm"}, {"hyperv_clocksource", "hyperv"}, {"xen", "xen"},
}

// learnVirtual tells whether the machine is virtual, and by what. On x86 the
// processor says whether there is a hypervisor: a machine of a cloud can be a
// real one. Elsewhere the maker must do.
func learnVirtual(_ context.Context, h *host.Host, d *pb.Device) error {
	if detectContainer(h) != "" {
		hw := hardware(d)
		hw.Virtual, hw.Hypervisor = proto.Bool(true), "container"
		return nil
	}
	a := &attributes{h: h}
	if strings.Contains(a.text("proc/xen/capabilities"), "control_d") {
		// Dom0 looks like a guest but owns the hardware.
		hardware(d).Virtual = proto.Bool(false)
		return a.bad.err()
	}
	flagged, x86 := hypervisorFlag(h)
	name := hypervisorName(a, d.GetHardware())
	switch {
	case x86 && !flagged && !a.has("sys/hypervisor/type"):
		hardware(d).Virtual = proto.Bool(false)
	case flagged || name != "":
		hw := hardware(d)
		hw.Virtual, hw.Hypervisor = proto.Bool(true), name
	case d.GetHardware().GetModel() != "":
		hardware(d).Virtual = proto.Bool(false)
	default:
		return absent(a.bad.err(), "nothing tells whether it is virtual")
	}
	return a.bad.err()
}

// hypervisorFlag tells whether an x86 processor says that it is a virtual one.
func hypervisorFlag(h *host.Host) (flagged, x86 bool) {
	// The first processor's entry is enough, so an error of length is none.
	data, _ := h.ReadFile("proc/cpuinfo", 16<<10)
	for line := range strings.Lines(string(data)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "flags" {
			return strings.Contains(value+" ", " hypervisor "), true
		}
	}
	return false, false
}

func hypervisorName(a *attributes, hw *pb.Hardware) string {
	for _, v := range virtualMakers {
		if strings.HasPrefix(hw.GetManufacturer(), v.maker) && strings.Contains(hw.GetModel(), v.model) &&
			strings.Contains(hw.GetFirmware().GetVendor(), v.firmware) {
			return v.hypervisor
		}
	}
	if name := a.text("sys/hypervisor/type"); name != "" {
		return strings.ToLower(name)
	}
	clocks := strings.Fields(a.text("sys/devices/system/clocksource/clocksource0/available_clocksource"))
	for _, c := range clockHypervisors {
		for _, clock := range clocks {
			if clock == c.clock {
				return c.hypervisor
			}
		}
	}
	return ""
}

// cloudMakers tell a cloud by the maker of its machines.
var cloudMakers = []struct{ maker, provider string }{
	{"Amazon EC2", "aws"}, {"Google", "gcp"}, {"DigitalOcean", "digitalocean"}, {"Hetzner", "hetzner"},
	{"Alibaba Cloud", "alibaba"}, {"Scaleway", "scaleway"}, {"Vultr", "vultr"}, {"Akamai", "linode"}, {"Linode", "linode"},
}

// cloudNames are our names of the clouds that cloud-init has other names of.
var cloudNames = map[string]string{"gce": "gcp", "aliyun": "alibaba", "akamai": "linode"}

// noClouds are what cloud-init calls the absence of a cloud.
var noClouds = map[string]bool{"": true, "none": true, "nocloud": true, "unknown": true, "configdrive": true, "ovf": true, "vmware": true, "maas": true, "lxd": true}

// learnCloud tells which cloud the machine is an instance of, from what
// cloud-init has kept and from the maker. The metadata service of a cloud is
// not asked: calls to its address alarm whoever watches for stolen credentials.
func learnCloud(_ context.Context, h *host.Host, d *pb.Device) error {
	out := new(pb.Cloud)
	data, err := h.ReadFile(cloudInit, maxCloudInit)
	if err == nil {
		err = decodeCloudInit(data, out)
	} else if missing(err) {
		err = nil
	}
	hw := d.GetHardware()
	for _, c := range cloudMakers {
		if out.Provider == "" && strings.HasPrefix(hw.GetManufacturer(), c.maker) && (c.provider != "gcp" || strings.Contains(hw.GetModel(), "Compute Engine")) {
			out.Provider = c.provider
		}
	}
	if out.Provider == "" && hw.GetAssetTag() == azureTag {
		out.Provider = "azure"
	}
	if out.Provider == "" {
		if err == nil {
			err = fmt.Errorf("no cloud: %w", errors.ErrUnsupported)
		}
		return err
	}
	hardware(d).Cloud = out
	return err
}

// decodeCloudInit reads the part of cloud-init's instance data that is the same
// for all clouds, and the type of the instance where a cloud states one.
func decodeCloudInit(data []byte, out *pb.Cloud) error {
	var in struct {
		V1 struct {
			Cloud    string `json:"cloud_name"`
			Instance string `json:"instance_id"`
			Region   string `json:"region"`
		} `json:"v1"`
		DS struct {
			Meta json.RawMessage `json:"meta_data"`
		} `json:"ds"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("/%s: %w", cloudInit, err)
	}
	name := strings.ToLower(in.V1.Cloud)
	if noClouds[name] {
		return nil
	}
	if ours, ok := cloudNames[name]; ok {
		name = ours
	}
	out.Provider, out.InstanceId, out.Region = plainText([]byte(name)), plainText([]byte(in.V1.Instance)), plainText([]byte(in.V1.Region))
	// Each cloud has its own form here; one without these fields has none.
	var meta struct {
		Type  string `json:"instance-type"`
		Azure struct {
			Compute struct {
				Size         string `json:"vmSize"`
				Subscription string `json:"subscriptionId"`
			} `json:"compute"`
		} `json:"imds"`
	}
	if json.Unmarshal(in.DS.Meta, &meta) != nil {
		return nil
	}
	if out.InstanceType = plainText([]byte(meta.Type)); out.InstanceType == "" {
		out.InstanceType = plainText([]byte(meta.Azure.Compute.Size))
	}
	out.Account = plainText([]byte(meta.Azure.Compute.Subscription))
	return nil
}
