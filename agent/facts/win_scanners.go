package facts

import (
	"context"
	"strings"

	"google.golang.org/protobuf/proto"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// scanner is a product that scans for viruses, by the service that it installs.
type scanner struct {
	name, service string
	// versioned tells that the name of the service only begins so.
	versioned bool
}

// windowsScanners are looked for where Windows keeps no list of them, which are
// servers.
var windowsScanners = []scanner{
	{"Bitdefender Endpoint Security", "EPProtectedService", false}, {"Carbon Black Cloud", "CbDefense", false}, {"Cortex XDR", "cyserver", false},
	{"CrowdStrike Falcon", "CSFalconService", false}, {"CylancePROTECT", "CylanceSvc", false}, {"ESET Security", "ekrn", false},
	{"Kaspersky Endpoint Security", "AVP", true}, {"Kaspersky Security for Windows Server", "KAVFS", false}, {"Malwarebytes", "MBAMService", false},
	{"SentinelOne", "SentinelAgent", false}, {"Sophos Endpoint", "Sophos Endpoint Defense Service", false}, {"Symantec Endpoint Protection", "SepMasterService", false},
	{"Trellix Endpoint Security", "mfetp", false}, {"Trend Micro Apex One", "ntrtscan", false}, {"Trend Micro Deep Security", "ds_agent", false},
	{"WithSecure", "fshoster", false},
}

// scanners lists the products that have installed their service, and tells of
// each whether that runs.
func (r *winreg) scanners(ctx context.Context, q *queries) []*pb.Antivirus {
	var out []*pb.Antivirus
	var states map[string]string
	services := r.key(strings.TrimSuffix(servicesKey, `\`)).subkeys()
	for _, s := range windowsScanners {
		for _, service := range services {
			if !s.named(service) {
				continue
			}
			if states == nil {
				states = q.serviceStates(ctx)
			}
			p := &pb.Antivirus{Name: s.name}
			if state := states[strings.ToLower(service)]; state != "" {
				p.Enabled = proto.Bool(state == "running")
			} else if serviceStart(r.key(servicesKey, service)) == "disabled" {
				p.Enabled = proto.Bool(false)
			}
			out = append(out, p)
			break
		}
	}
	return out
}

// named tells whether a service is the product's: AVP21.3 and AVP.KES.21.15 are
// of Kaspersky, and AVPsomething is not.
func (s scanner) named(service string) bool {
	if !s.versioned {
		return strings.EqualFold(s.service, service)
	}
	if len(service) <= len(s.service) || !strings.EqualFold(service[:len(s.service)], s.service) {
		return false
	}
	next := service[len(s.service)]
	return next == '.' || next >= '0' && next <= '9'
}

// serviceStates returns what services do, by their names in lower case: running,
// stopped and the like.
func (q *queries) serviceStates(ctx context.Context) map[string]string {
	states := make(map[string]string)
	for _, row := range q.rows(ctx, "services") {
		states[strings.ToLower(row.text("Name"))] = strings.ToLower(row.text("State"))
	}
	return states
}
