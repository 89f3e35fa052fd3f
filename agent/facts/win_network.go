package facts

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	tcpipKey = servicesKey + `Tcpip\Parameters`
	// netConnections has a key for each network adapter that ever had a
	// connection.
	netConnections = systemHive + `Control\Network\{4D36E972-E325-11CE-BFC1-08002BE10318}`
)

// learnWinName gives the device the name that it calls itself.
func learnWinName(_ context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	d.Name = r.computerName()
	if d.Name == "" {
		d.Name, _, _ = strings.Cut(r.hostname(), ".")
	}
	return r.err(d.Name != "", "the machine has no name")
}

// hostname returns the name of the network's side, which need not be the one
// that NetBIOS cuts at 15 letters.
func (r *winreg) hostname() string {
	k := r.key(tcpipKey)
	for _, name := range []string{"Hostname", "NV Hostname"} {
		if text := k.text(name); text != "" {
			return text
		}
	}
	if name, err := r.h.Hostname(); err == nil && name != "" {
		return name
	}
	return r.computerName()
}

// learnWinHostname learns the machine's names. The domain is the one that the
// machine is a member of, or was told to be in; what the network at hand
// suggests is another thing.
func learnWinHostname(_ context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	name := r.hostname()
	if name == "" {
		return r.err(false, "no host name")
	}
	n := network(d)
	n.Hostname = name
	k := r.key(tcpipKey)
	domain := k.text("Domain")
	if domain == "" {
		domain = k.text("NV Domain")
	}
	if domain != "" {
		n.Domain, n.Fqdn = domain, name+"."+domain
	}
	return r.bad.err()
}

// learnWinInterfaces lists the network interfaces: those that WMI has, with
// what the kernel and the registry know of them. Without WMI, the kernel alone
// tells.
func learnWinInterfaces(ctx context.Context, h *host.Host, d *pb.Device) error {
	r, q := &winreg{h: h}, &queries{h: h}
	live, err := h.NetworkInterfaces(ctx)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		r.bad.add(err)
	}
	adapters := r.adapters(ctx, q)
	var out []*pb.Interface
	for _, l := range live {
		if l.Loopback {
			continue
		}
		i := &pb.Interface{Name: softwareText([]byte(l.Name)), Mac: l.MAC, Kind: "ethernet"}
		if a, ok := adapters[strings.ToLower(l.Name)]; ok {
			i.Kind, i.Virtual = a.Kind, a.Virtual
			delete(adapters, strings.ToLower(l.Name))
		}
		i.Addresses = globalAddresses(l.Addresses)
		out = append(out, i)
	}
	for _, a := range adapters {
		// Without a card or a cable the kernel does not list some of them.
		if a.Mac != "" || len(a.Addresses) > 0 {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return absent(errors.Join(r.bad.err(), q.bad.err()), "no network interfaces are listed")
	}
	slices.SortFunc(out, func(a, b *pb.Interface) int { return strings.Compare(a.Name+a.Mac, b.Name+b.Mac) })
	network(d).Interfaces = out[:min(len(out), maxInterfaces)]
	return errors.Join(r.bad.err(), q.bad.err())
}

// adapters returns the adapters that have a connection, by its name in lower
// case.
func (r *winreg) adapters(ctx context.Context, q *queries) map[string]*pb.Interface {
	addresses := make(map[string][]string)
	for _, row := range q.rows(ctx, "network_configurations") {
		addresses[row["Index"]] = withPrefixes(row["IPAddress"], row["IPSubnet"])
	}
	subtypes := r.mediaSubtypes()
	out := make(map[string]*pb.Interface)
	for _, row := range q.rows(ctx, "network_adapters") {
		device := strings.ToUpper(row["PNPDeviceID"])
		name := row.text("NetConnectionID")
		if name == "" || device == "" || len(out) == maxInterfaces {
			continue
		}
		i := &pb.Interface{Name: name, Mac: strings.ToLower(row.text("MACAddress")), Addresses: globalAddresses(addresses[row["Index"]])}
		i.Kind = adapterKind(device, row.text("Name")+" "+row.text("ServiceName"), subtypes[device])
		i.Virtual = proto.Bool(madeUp(device))
		out[strings.ToLower(name)] = i
	}
	return out
}

// mediaSubtypes returns what the adapters are made for, by the name of the
// device in upper case; those that have none are Ethernet.
func (r *winreg) mediaSubtypes() map[string]uint64 {
	const ethernet = 1
	out := make(map[string]uint64)
	for _, id := range r.key(netConnections).subkeys() {
		k := r.key(netConnections, `\`, id, `\Connection`)
		device := strings.ToUpper(k.text("PnpInstanceID"))
		if device == "" {
			continue
		}
		out[device] = ethernet
		if n, ok := k.number("MediaSubType"); ok {
			out[device] = n
		}
	}
	return out
}

// adapterKind tells what an adapter is, by its subtype, and where the registry
// has none by its name: the drivers of VPNs and of modems make Ethernets.
func adapterKind(device, name string, subtype uint64) string {
	name = strings.ToLower(name)
	contains := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) })
	}
	switch {
	case subtype == 2, contains("wi-fi", "wireless lan", "wifi", "802.11", "wlan"):
		return "wifi"
	case subtype == 7, strings.HasPrefix(device, `BTH\`):
		return "bluetooth"
	case contains("wwan", "mobile broadband"):
		return "wwan"
	case contains("wintun", "wireguard", "tap-windows", "vpn", "anyconnect", "pangp", "wan miniport", "teredo", "isatap", "6to4"):
		return "tunnel"
	case contains("multiplexor"):
		return "bond"
	}
	return "ethernet"
}

// madeUp tells whether an adapter is one that only software has made. The one
// that a virtual machine has (VMBUS, Xen) is real to it.
func madeUp(device string) bool {
	return strings.HasPrefix(device, `ROOT\`) || strings.HasPrefix(device, `SWD\`) || strings.HasPrefix(device, `COMPOSITEBUS\`)
}

// withPrefixes puts addresses and masks, each separated by semicolons, into
// CIDR notation. The masks of IPv6 are lengths already.
func withPrefixes(addresses, masks string) []string {
	var out []string
	list := strings.Split(masks, ";")
	for i, text := range strings.Split(addresses, ";") {
		addr, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil || i >= len(list) {
			continue
		}
		bits, err := strconv.Atoi(strings.TrimSpace(list[i]))
		if mask, merr := netip.ParseAddr(strings.TrimSpace(list[i])); merr == nil && mask.Is4() {
			bits, err = maskBits(mask.As4()), nil
		}
		if err != nil || bits < 0 || bits > addr.BitLen() {
			continue
		}
		out = append(out, netip.PrefixFrom(addr.WithZone(""), bits).String())
	}
	return out
}

// maskBits returns the length of a mask, -1 for one with holes.
func maskBits(mask [4]byte) int {
	n := uint32(mask[0])<<24 | uint32(mask[1])<<16 | uint32(mask[2])<<8 | uint32(mask[3])
	bits := 0
	for ; n&(1<<31) != 0; n <<= 1 {
		bits++
	}
	if n != 0 {
		return -1
	}
	return bits
}

// globalAddresses leaves out those that only hold on one link, and sorts the
// rest.
func globalAddresses(list []string) []string {
	var out []string
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil || p.Addr().IsLinkLocalUnicast() || p.Addr().IsLoopback() || p.Addr().IsUnspecified() {
			continue
		}
		out = append(out, p.String())
	}
	slices.Sort(out)
	return out
}
