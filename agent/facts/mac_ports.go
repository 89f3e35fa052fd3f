package facts

import (
	"context"
	"net"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/host"
)

// macPort is a network interface of hardware, as the settings list it.
type macPort struct{ device, kind, mac string }

// macPortKinds are our names of the kinds of interfaces in the settings.
var macPortKinds = map[string]string{"IEEE80211": "wifi", "Ethernet": "ethernet", "Bridge": "bridge", "Bond": "bond", "VLAN": "vlan", "FireWire": "firewire", "WWAN": "wwan"}

// readMacPorts returns the ports, from the file in which the system keeps them
// or else by the command.
func readMacPorts(ctx context.Context, h *host.Host) ([]macPort, error) {
	p, err := readPlist(h, macPortsFile)
	var out []macPort
	for _, i := range p.Dicts("Interfaces") {
		port := macPort{device: softwareText([]byte(i.Text("BSD Name"))), kind: macPortKinds[i.Text("SCNetworkInterfaceType")]}
		if b := i.Bytes("IOMACAddress"); len(b) == 6 {
			port.mac = macAddress(net.HardwareAddr(b).String())
		}
		out = append(out, port)
	}
	if len(out) > 0 {
		return out, err
	}
	// Without them, the kinds of interfaces stay what their names tell.
	text, rerr := h.Run(ctx, macCommandPorts)
	if rerr != nil {
		return nil, err
	}
	return decodePorts(text), err
}

// decodePorts reads what networksetup -listallhardwareports prints: paragraphs
// of "Hardware Port: Wi-Fi", "Device: en0" and "Ethernet Address: ...".
func decodePorts(text []byte) []macPort {
	var out []macPort
	kind := ""
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "Hardware Port":
			kind = macPortKind(value)
		case "Device":
			out = append(out, macPort{device: softwareText([]byte(value)), kind: kind})
		case "Ethernet Address":
			if len(out) > 0 && out[len(out)-1].mac == "" {
				out[len(out)-1].mac = macAddress(value)
			}
		}
	}
	return out
}

// macPortKind names the kind of a port by what the settings call it.
func macPortKind(name string) string {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) })
	}
	switch {
	case has("Wi-Fi", "AirPort"):
		return "wifi"
	case has("Bridge"):
		return "bridge"
	case has("Bluetooth"):
		return "bluetooth"
	case has("FireWire"):
		return "firewire"
	case has("Modem", "iPhone", "WWAN"):
		return "wwan"
	case has("Ethernet", "Thunderbolt", "LAN"):
		return "ethernet"
	}
	return ""
}

// macInterfaceKind names the kind of an interface by its name, which macOS
// itself chooses; "" where the name says too little.
func macInterfaceKind(name string) string {
	switch prefix := strings.TrimRight(name, "0123456789"); prefix {
	case "lo":
		return "loopback"
	case "bridge", "bond", "vlan":
		return prefix
	case "utun", "gif", "stf", "ipsec", "ppp", "tun", "tap":
		return "tunnel"
	case "fw":
		return "firewire"
	case "pdp_ip":
		return "wwan"
	case "awdl", "llw", "p", "ap", "p2p":
		return "wifi"
	case "en":
		return "ethernet"
	}
	return ""
}
