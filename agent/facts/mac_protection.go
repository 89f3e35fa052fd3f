package facts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	macExtensions = "Library/SystemExtensions/db.plist"
	macXProtect   = "Library/Apple/System/Library/CoreServices/XProtect.bundle/Contents/Info.plist"
	// endpointSecurity is the kind of extension that sees what programs do, and
	// extensionRuns the state of one that was let in and runs.
	endpointSecurity = "com.apple.system_extension.endpoint_security"
	extensionRuns    = "activated_enabled"
)

// macProtector is a product for macOS that protects from malware or watches the
// machine for those who look after it.
type macProtector struct {
	// vendor is that of a sensor which reports to a service of its maker or of
	// the company, as for Linux; "" for a product that does not.
	vendor string
	// antivirus is the name of a product that scans, "" for one that does not.
	antivirus string
	// extension is how the identifier of its system extension begins, which
	// makers publish for the profiles that let it in; "" for none.
	extension string
	// path is what its installation leaves.
	path string
}

// macProtectors are the products that are known. Others that watch over programs
// (Santa, backup and VPN software) do not protect from malware.
var macProtectors = []macProtector{
	{"crowdstrike", "CrowdStrike Falcon", "com.crowdstrike.falcon", "Applications/Falcon.app"},
	{"sentinelone", "SentinelOne", "com.sentinelone.", "Library/Sentinel/sentinel-agent.bundle"},
	{"defender", "Microsoft Defender", "com.microsoft.wdav.epsext", "Applications/Microsoft Defender.app"},
	{"cortex", "Cortex XDR", "com.paloaltonetworks.traps", "Library/Application Support/PaloAltoNetworks/Traps/bin"},
	{"carbonblack", "Carbon Black Cloud", "com.vmware.carbonblack.", "Applications/VMware Carbon Black Cloud"},
	{"cybereason", "Cybereason", "com.cybereason.", "Library/Cybereason"},
	{"sophos", "Sophos Protection", "com.sophos.endpoint.", "Applications/Sophos/Sophos Endpoint.app"},
	{"jamf", "Jamf Protect", "com.jamf.protect.", "Applications/JamfProtect.app"},
	{"elastic", "", "co.elastic.systemextension", "Library/Elastic/Endpoint"},
	{"trendmicro", "Trend Micro", "com.trendmicro.", "Applications/TrendMicroSecurity.app"},
	{"cisco", "Cisco Secure Endpoint", "com.cisco.endpoint.", "Applications/Cisco Secure Endpoint"},
	{"wazuh", "", "", "Library/Ossec/bin/wazuh-agentd"},
	{"tanium", "", "", "Library/Tanium/TaniumClient"},
	{"rapid7", "", "", "opt/rapid7/ir_agent"},
	{"", "ESET Endpoint Antivirus", "com.eset.", "Applications/ESET Endpoint Security.app"},
	{"", "Bitdefender", "com.bitdefender.", "Library/Bitdefender/AVP"},
	{"", "Malwarebytes", "com.malwarebytes.", "Applications/Malwarebytes.app"},
	{"", "WithSecure Client Security", "", "usr/local/bin/wsav"},
	{"", "Kaspersky Endpoint Security", "com.kaspersky.", "Applications/Kaspersky Anti-Virus For Mac.app"},
	{"", "Symantec Endpoint Protection", "com.symantec.", "Applications/Symantec Solutions/Symantec Endpoint Protection.app"},
	{"", "Trellix Endpoint Security", "com.trellix.", "Applications/Trellix Endpoint Security for Mac.app"},
}

// learnMacProtection lists what protects from malware: what is built in, and
// products by their system extension or by what their installation left.
func learnMacProtection(_ context.Context, h *host.Host, d *pb.Device) error {
	var bad faults
	info, err := readPlist(h, macXProtect)
	bad.add(err)
	if len(info) > 0 {
		security(d).Antivirus = append(security(d).Antivirus, &pb.Antivirus{Name: "XProtect", Enabled: proto.Bool(true)})
	}
	db, err := readPlist(h, macExtensions)
	bad.add(err)
	if len(info) == 0 && len(db) == 0 && bad.count == 0 {
		return fmt.Errorf("nothing tells what protects this Mac: %w", errors.ErrUnsupported)
	}
	d.Edr = &pb.Edr{Present: proto.Bool(false)}
	for _, p := range macProtectors {
		extension := p.find(db)
		if _, err := fs.Stat(h.FS, p.path); err != nil && extension == nil {
			continue
		}
		antivirus, edr := p.found(h, extension)
		if antivirus != nil {
			security(d).Antivirus = append(security(d).Antivirus, antivirus)
		}
		if edr != nil && (!d.Edr.GetPresent() || d.Edr.State != "running" && edr.State == "running") {
			d.Edr = edr
		}
	}
	return bad.err()
}

// find returns the product's system extension, nil for none. One that waits for
// its removal is none.
func (p macProtector) find(db proplist.Dict) proplist.Dict {
	for _, e := range db.Dicts("extensions") {
		if p.extension != "" && strings.HasPrefix(e.Text("identifier"), p.extension) &&
			slices.Contains(e.Texts("categories"), endpointSecurity) && !strings.HasPrefix(e.Text("state"), "terminat") {
			return e
		}
	}
	return nil
}

// found returns what is said of a product that is there; either may be nil.
// Without its extension it cannot be told whether it runs.
func (p macProtector) found(h *host.Host, extension proplist.Dict) (*pb.Antivirus, *pb.Edr) {
	state := "installed"
	var enabled *bool
	if extension != nil {
		enabled = proto.Bool(extension.Text("state") == extensionRuns)
		state = map[bool]string{true: "running", false: "stopped"}[*enabled]
	}
	var antivirus *pb.Antivirus
	if p.antivirus != "" {
		antivirus = &pb.Antivirus{Name: p.antivirus, Enabled: enabled}
	}
	if p.vendor == "" {
		return antivirus, nil
	}
	version := extension.Dict("bundleVersion").Text("CFBundleShortVersionString")
	if version == "" {
		// Of what is no bundle, nothing tells the version.
		if info, err := readPlist(h, path.Join(p.path, infoPlist)); err == nil {
			version = info.Text("CFBundleShortVersionString")
		}
	}
	return antivirus, &pb.Edr{Present: proto.Bool(true), Vendor: p.vendor, Version: plainText([]byte(version)), State: state}
}
