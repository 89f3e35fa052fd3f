package facts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	classNet = "sys/class/net"
	// maxInterfaces is the number of network interfaces that a report lists.
	maxInterfaces = 256
	maxHostsFile  = 4 << 20
)

// network returns the device's network state, which several facts fill.
func network(d *pb.Device) *pb.Network {
	if d.Network == nil {
		d.Network = new(pb.Network)
	}
	return d.Network
}

// hostname returns the name that the machine calls itself: the kernel's, or of
// a capture without that the one that it is given at its start.
func hostname(h *host.Host) (string, error) {
	a := &attributes{h: h}
	for _, file := range []string{"proc/sys/kernel/hostname", "etc/hostname"} {
		if name := a.text(file); name != "" && name != "(none)" {
			return name, nil
		}
	}
	if name, err := h.Hostname(); err == nil && name != "" {
		return name, nil
	}
	return "", absent(a.bad.err(), "no host name")
}

// learnHostname learns the machine's names. The domain is part of its own name
// or of the one that /etc/hosts gives it; what the network at hand suggests as
// a search domain is another thing, and nothing is looked up.
func learnHostname(_ context.Context, h *host.Host, d *pb.Device) error {
	name, err := hostname(h)
	if err != nil {
		return err
	}
	n := network(d)
	n.Hostname = name
	full := name
	if !strings.Contains(name, ".") {
		hosts, err := h.ReadFile("etc/hosts", maxHostsFile)
		if err != nil && !missing(err) {
			return err
		}
		full = canonicalName(hosts, name)
	}
	if _, domain, ok := strings.Cut(full, "."); ok && domain != "" {
		n.Fqdn, n.Domain = full, domain
	}
	return nil
}

// canonicalName returns the full name that a hosts file has for a short one,
// "" for none.
func canonicalName(hosts []byte, name string) string {
	for line := range bytes.Lines(hosts) {
		line, _, _ = bytes.Cut(line, []byte{'#'})
		f := strings.Fields(string(line))
		if len(f) < 2 || !slices.Contains(f[1:], name) {
			continue
		}
		for _, full := range f[1:] {
			if strings.HasPrefix(full, name+".") && full != name+".localdomain" {
				return softwareText([]byte(full))
			}
		}
	}
	return ""
}

// learnInterfaces lists the network interfaces. Ports that a container engine
// plugs into a bridge come and go with the containers and are left out, and of
// addresses those that only hold on one link (fe80::).
func learnInterfaces(ctx context.Context, h *host.Host, d *pb.Device) error {
	a := &attributes{h: h}
	names := a.names(classNet)
	if len(names) == 0 {
		return absent(a.bad.err(), "no network interfaces")
	}
	live, err := h.NetworkInterfaces(ctx)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		a.bad.add(err)
	}
	var out []*pb.Interface
	for _, name := range names {
		if !a.has(classNet, name, "type") || a.port(name) {
			continue
		}
		i := &pb.Interface{Name: softwareText([]byte(name)), Kind: a.interfaceKind(name), Mac: a.mac(name)}
		i.Virtual = proto.Bool(a.virtualInterface(name))
		if at := slices.IndexFunc(live, func(l host.NetworkInterface) bool { return l.Name == name }); at >= 0 {
			i.Addresses = lastingAddresses(live[at].Addresses)
		}
		out = append(out, i)
	}
	if len(out) > maxInterfaces {
		// Those of hardware first: they name the machine.
		slices.SortStableFunc(out, func(a, b *pb.Interface) int { return order(a.GetVirtual()) - order(b.GetVirtual()) })
		a.bad.add(fmt.Errorf("%d network interfaces, of which a report lists %d", len(out), maxInterfaces))
		out = out[:maxInterfaces]
	}
	network(d).Interfaces = out
	return a.bad.err()
}

func order(last bool) int {
	if last {
		return 1
	}
	return 0
}

// lastingAddresses leaves out addresses of one link and sorts the rest.
func lastingAddresses(all []string) []string {
	var out []string
	for _, text := range all {
		p, err := netip.ParsePrefix(text)
		if err == nil && !p.Addr().IsLinkLocalUnicast() {
			out = append(out, p.String())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// port tells whether an interface is a port of a bridge that leads to another
// network namespace: half of a pair whose number is not its own.
func (a *attributes) port(name string) bool {
	return a.has(classNet, name, "brport") && a.text(classNet, name, "iflink") != a.text(classNet, name, "ifindex") &&
		a.virtualInterface(name) && a.deviceType(name) == ""
}

// noMAC is what interfaces without a hardware address show.
const noMAC = "00:00:00:00:00:00"

// mac returns the hardware address. A member of a bond carries that of the
// bond; its own is kept beside it.
func (a *attributes) mac(name string) string {
	for _, file := range []string{"bonding_slave/perm_hwaddr", "address"} {
		// Those of InfiniBand and others are longer and no MACs.
		if mac := strings.ToLower(a.text(classNet, name, file)); len(mac) == len(noMAC) && mac != noMAC {
			return mac
		}
	}
	return ""
}

// virtualInterface tells whether there is no hardware behind an interface.
func (a *attributes) virtualInterface(name string) bool {
	if target := a.link(classNet, name); target != "" {
		return strings.Contains(target, "/devices/virtual/") || strings.HasPrefix(target, "devices/virtual/")
	}
	return !a.has(classNet, name, "device")
}

// deviceType returns what a driver calls its kind of interface: wlan, bridge,
// vlan, wwan, ...
func (a *attributes) deviceType(name string) string {
	return settings(a.raw(classNet, name, "uevent"))["DEVTYPE"]
}

// interfaceKinds are the names of what drivers call otherwise.
var interfaceKinds = map[string]string{"wlan": "wifi", "vxlan": "tunnel", "geneve": "tunnel", "wireguard": "tunnel", "ppp": "tunnel"}

// interfaceKind names the kind of an interface. Numbers of types are from
// linux/if_arp.h.
func (a *attributes) interfaceKind(name string) string {
	switch {
	case a.has(classNet, name, "wireless"), a.has(classNet, name, "phy80211"):
		return "wifi"
	case a.has(classNet, name, "bridge"):
		return "bridge"
	case a.has(classNet, name, "bonding"):
		return "bond"
	case a.has(classNet, name, "tun_flags"):
		return "tunnel"
	}
	if kind := a.deviceType(name); kind != "" {
		if known, ok := interfaceKinds[kind]; ok {
			return known
		}
		return kind
	}
	switch a.text(classNet, name, "type") {
	case "1":
		return "ethernet"
	case "24":
		return "firewire"
	case "32":
		return "infiniband"
	case "512", "519", "768", "769", "776", "778", "65534":
		return "tunnel"
	case "772":
		return "loopback"
	}
	return "other"
}
