package facts

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	macPreferences = "Library/Preferences"
	macNetworkFile = macPreferences + "/SystemConfiguration/preferences.plist"
	macPortsFile   = macPreferences + "/SystemConfiguration/NetworkInterfaces.plist"
	macDirectories = macPreferences + "/OpenDirectory/Configurations/Active Directory"
	maxMacPlist    = 8 << 20
)

// readPlist returns the dictionary in a property list; what is missing is an
// empty one.
func readPlist(h *host.Host, name string) (proplist.Dict, error) {
	data, err := h.ReadFile(name, maxMacPlist)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d, err := proplist.DecodeDict(data)
	if err != nil {
		return nil, fmt.Errorf("/%s: %w", name, err)
	}
	return d, nil
}

// macNames are the names that a Mac has.
type macNames struct {
	// computer is for people, local for Bonjour, and host the one that was set
	// or that the kernel has.
	computer, local, host string
}

// short returns the host's name without its domain.
func (n macNames) short() string {
	name, _, _ := strings.Cut(cmp.Or(n.host, n.local), ".")
	return name
}

func readMacNames(ctx context.Context, h *host.Host) (macNames, error) {
	p, err := readPlist(h, macNetworkFile)
	n := macNames{
		computer: plainText([]byte(p.Dict("System", "System").Text("ComputerName"))), local: plainText([]byte(p.Dict("System", "Network", "HostNames").Text("LocalHostName"))),
		host: plainText([]byte(p.Dict("System", "System").Text("HostName"))),
	}
	if n.host == "" {
		if name, kerr := h.Hostname(); kerr == nil {
			n.host = plainText([]byte(name))
		} else if values, kerr := macSysctl(ctx, h); kerr == nil {
			n.host = values["kern.hostname"]
		}
	}
	if n.computer == "" && n.host == "" && n.local == "" {
		return n, cmp.Or(err, fmt.Errorf("no name: %w", errors.ErrUnsupported))
	}
	return n, err
}

// learnMacHostname learns the machine's names, and the Active Directory that it
// has joined.
func learnMacHostname(ctx context.Context, h *host.Host, d *pb.Device) error {
	names, err := readMacNames(ctx, h)
	if err != nil {
		return err
	}
	n := network(d)
	// "Anns-MacBook.local" is a name on one link only.
	n.Hostname = cmp.Or(strings.TrimSuffix(names.host, ".local"), names.local)
	if _, domain, ok := strings.Cut(n.Hostname, "."); ok && domain != "" {
		n.Fqdn, n.Domain = n.Hostname, domain
	}
	if joined, err := macDirectory(h); err != nil {
		return err
	} else if joined != "" {
		n.Domain = joined
	}
	return nil
}

// macDirectory returns the domain of the Active Directory that the Mac has
// joined, "" if none: its plug-in keeps a file for it.
func macDirectory(h *host.Host) (string, error) {
	entries, err := fs.ReadDir(h.FS, macDirectories)
	if err != nil {
		if missing(err) {
			err = nil
		}
		return "", err
	}
	for _, e := range entries {
		if path.Ext(e.Name()) != ".plist" {
			continue
		}
		p, err := readPlist(h, path.Join(macDirectories, e.Name()))
		if err != nil {
			return "", err
		}
		options := p.Dict("module options", "ActiveDirectory")
		if domain := plainText([]byte(cmp.Or(options.Text("domain"), p.Text("node name", "trust domain")))); domain != "" {
			return strings.TrimPrefix(domain, "/Active Directory/"), nil
		}
	}
	return "", nil
}

// learnMacInterfaces lists the network interfaces. Wi-Fi shows another hardware
// address in each network; the one that it was built with is among the ports.
func learnMacInterfaces(ctx context.Context, h *host.Host, d *pb.Device) error {
	ports, perr := readMacPorts(ctx, h)
	out, err := h.Run(ctx, macCommandIfconfig)
	list := decodeIfconfig(out)
	if len(list) == 0 {
		live, lerr := h.NetworkInterfaces(ctx)
		if lerr != nil {
			return cmp.Or(err, lerr)
		}
		for _, l := range live {
			list = append(list, &pb.Interface{Name: softwareText([]byte(l.Name)), Mac: l.MAC, Addresses: l.Addresses})
		}
	}
	joinPorts(list, ports)
	if len(list) > maxInterfaces {
		slices.SortStableFunc(list, func(a, b *pb.Interface) int { return order(a.GetVirtual()) - order(b.GetVirtual()) })
		perr = errors.Join(perr, fmt.Errorf("%d network interfaces, of which a report lists %d", len(list), maxInterfaces))
		list = list[:maxInterfaces]
	}
	slices.SortFunc(list, func(a, b *pb.Interface) int { return strings.Compare(a.Name, b.Name) })
	network(d).Interfaces = list
	return perr
}

// joinPorts adds what is known of the ports to the interfaces, and their kinds.
func joinPorts(list []*pb.Interface, ports []macPort) {
	for _, i := range list {
		at := slices.IndexFunc(ports, func(p macPort) bool { return p.device == i.Name })
		i.Kind = macInterfaceKind(i.Name)
		// The system lists all hardware among its ports, and some bridges with it.
		i.Virtual = proto.Bool(at < 0 || i.Kind != "" && i.Kind != "ethernet")
		if at >= 0 {
			i.Mac = cmp.Or(ports[at].mac, i.Mac)
			i.Kind = cmp.Or(ports[at].kind, i.Kind)
		}
		i.Kind = cmp.Or(i.Kind, "other")
		i.Addresses = lastingAddresses(i.Addresses)
	}
}

// decodeIfconfig reads what ifconfig -a prints: a line "name: flags=..." for each
// interface, and indented ones with its addresses.
func decodeIfconfig(out []byte) []*pb.Interface {
	var list []*pb.Interface
	for line := range bytes.Lines(out) {
		if line[0] != '\t' && line[0] != ' ' {
			if name, rest, ok := bytes.Cut(line, []byte(":")); ok && bytes.Contains(rest, []byte("flags=")) {
				list = append(list, &pb.Interface{Name: softwareText(name)})
			}
			continue
		}
		f := strings.Fields(string(line))
		if len(list) == 0 || len(f) < 2 {
			continue
		}
		i := list[len(list)-1]
		switch f[0] {
		case "ether", "lladdr":
			i.Mac = macAddress(f[1])
		case "inet", "inet6":
			if p := ifconfigPrefix(f); p != "" {
				i.Addresses = append(i.Addresses, p)
			}
		}
	}
	return list
}

// ifconfigPrefix returns an address in CIDR notation of the words "inet 10.0.0.1
// netmask 0xffffff00 ..." or "inet6 fe80::1%lo0 prefixlen 64 ...".
func ifconfigPrefix(f []string) string {
	text, _, _ := strings.Cut(f[1], "%")
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return ""
	}
	length := addr.BitLen()
	for k := 2; k+1 < len(f); k++ {
		switch f[k] {
		case "netmask":
			if mask, err := strconv.ParseUint(f[k+1], 0, 32); err == nil {
				length = bits.OnesCount32(uint32(mask))
			}
		case "prefixlen":
			if n, err := strconv.Atoi(f[k+1]); err == nil {
				length = n
			}
		}
	}
	p, err := addr.Prefix(length)
	if err != nil {
		return ""
	}
	return netip.PrefixFrom(addr, p.Bits()).String()
}

// macAddress returns a hardware address in lower case, "" for what is none.
func macAddress(text string) string {
	if text = strings.ToLower(text); len(text) != len(noMAC) || text == noMAC || strings.Trim(text, "0123456789abcdef:") != "" {
		return ""
	}
	return text
}
