package facts

import (
	"context"
	"errors"
	"fmt"
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

// macProtector is a product that watches over programs.
type macProtector struct {
	// prefix is how the identifier of its extension begins.
	prefix string
	// vendor and product are how they are called.
	vendor, product string
	// antivirus and edr tell what it is.
	antivirus, edr bool
}

// macProtectors are products by the identifiers of their extensions, which
// their makers publish for the profiles that let them in. Others that watch
// over programs (Santa, backup and VPN software) are no protection from malware.
var macProtectors = []macProtector{
	{"com.crowdstrike.falcon", "CrowdStrike", "CrowdStrike Falcon", true, true},
	{"com.sentinelone.", "SentinelOne", "SentinelOne", true, true},
	{"com.microsoft.wdav.", "Microsoft", "Microsoft Defender", true, true},
	{"com.paloaltonetworks.traps", "Palo Alto Networks", "Cortex XDR", true, true},
	{"com.vmware.carbonblack.", "Broadcom", "Carbon Black Cloud", true, true},
	{"com.sophos.endpoint.", "Sophos", "Sophos Endpoint", true, true},
	{"com.jamf.protect.", "Jamf", "Jamf Protect", true, true},
	{"co.elastic.systemextension", "Elastic", "Elastic Defend", true, true},
	{"com.cybereason.", "Cybereason", "Cybereason", true, true},
	{"com.trendmicro.", "Trend Micro", "Trend Micro", true, true},
	{"com.eset.", "ESET", "ESET Endpoint Security", true, false},
	{"com.bitdefender.", "Bitdefender", "Bitdefender", true, false},
	{"com.malwarebytes.", "Malwarebytes", "Malwarebytes", true, false},
	{"com.kaspersky.", "Kaspersky", "Kaspersky", true, false},
	{"com.symantec.", "Broadcom", "Symantec Endpoint Protection", true, false},
	{"com.broadcom.mes.", "Broadcom", "Symantec Endpoint Protection", true, false},
	{"com.trellix.", "Trellix", "Trellix Endpoint Security", true, false},
	{"com.mcafee.", "Trellix", "Trellix Endpoint Security", true, false},
	{"com.cisco.endpoint.", "Cisco", "Cisco Secure Endpoint", true, true},
	{"com.withsecure.", "WithSecure", "WithSecure Elements", true, true},
	{"com.norton.", "Gen Digital", "Norton", true, false},
	{"com.avast.", "Gen Digital", "Avast", true, false},
}

// learnMacProtection lists what protects from malware: what is built in, and
// products whose system extension watches over programs.
func learnMacProtection(_ context.Context, h *host.Host, d *pb.Device) error {
	var list []*pb.Antivirus
	info, xerr := readPlist(h, macXProtect)
	if len(info) > 0 {
		list = append(list, &pb.Antivirus{Name: "XProtect", Enabled: proto.Bool(true)})
	}
	db, err := readPlist(h, macExtensions)
	products, edr := macProducts(db)
	list = append(list, products...)
	if edr != nil {
		d.Edr = edr
	}
	if len(list) == 0 && xerr == nil && err == nil {
		return fmt.Errorf("nothing that protects from malware is to be seen: %w", errors.ErrUnsupported)
	}
	if len(list) > 0 {
		security(d).Antivirus = append(security(d).Antivirus, list...)
	}
	return errors.Join(xerr, err)
}

// macProducts returns the known products among the system extensions, and the
// first that runs of those which report to their maker's service. Extensions
// that wait for their removal are none.
func macProducts(db proplist.Dict) ([]*pb.Antivirus, *pb.Edr) {
	var list []*pb.Antivirus
	var edr *pb.Edr
	for _, e := range db.Dicts("extensions") {
		id, state := e.Text("identifier"), e.Text("state")
		at := slices.IndexFunc(macProtectors, func(p macProtector) bool { return strings.HasPrefix(id, p.prefix) })
		if at < 0 || strings.HasPrefix(state, "terminat") || !slices.Contains(e.Texts("categories"), endpointSecurity) {
			continue
		}
		p, runs := macProtectors[at], state == extensionRuns
		if p.antivirus && !slices.ContainsFunc(list, func(a *pb.Antivirus) bool { return a.Name == p.product }) {
			list = append(list, &pb.Antivirus{Name: p.product, Enabled: proto.Bool(runs)})
		}
		if p.edr && (edr == nil || runs && edr.State != "running") {
			edr = &pb.Edr{Present: proto.Bool(true), Vendor: p.vendor, Version: plainText([]byte(e.Dict("bundleVersion").Text("CFBundleShortVersionString"))), State: "stopped"}
			if runs {
				edr.State = "running"
			}
		}
	}
	return list, edr
}
