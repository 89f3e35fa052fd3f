package facts

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	defenderKey  = softwareHive + `Microsoft\Windows Defender`
	defenderName = "Microsoft Defender Antivirus"
	// maxSignatureDays is the age from which Windows itself calls the
	// signatures of Defender out of date.
	maxSignatureDays = 7
)

// learnWinAntivirus lists the virus scanners: those that have told Windows of
// themselves, which only clients keep note of, on others those whose services
// are there, and Defender.
func learnWinAntivirus(ctx context.Context, h *host.Host, d *pb.Device) error {
	q, r := &queries{h: h}, &winreg{h: h}
	var out []*pb.Antivirus
	for _, row := range q.rows(ctx, "antivirus_products") {
		if product, ok := securityProduct(row); ok {
			out = append(out, product)
		}
	}
	if len(out) == 0 {
		out = r.scanners(ctx, q)
	}
	named := func(p *pb.Antivirus) bool { return p.Name == defenderName || p.Name == "Windows Defender" }
	if !slices.ContainsFunc(out, named) {
		if p := r.defender(q.rows(ctx, "defender")); p != nil {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return absent(errors.Join(r.bad.err(), q.bad.err()), "no virus scanner to be seen")
	}
	slices.SortStableFunc(out, func(a, b *pb.Antivirus) int { return strings.Compare(a.Name, b.Name) })
	security(d).Antivirus = slices.CompactFunc(out, func(a, b *pb.Antivirus) bool { return proto.Equal(a, b) })
	return errors.Join(r.bad.err(), q.bad.err())
}

// securityProduct is a row of SecurityCenter2. The state is a number of three
// bytes: who it is of, whether it scans (bit 4 of the second), and whether its
// signatures are old (bit 4 of the third).
func securityProduct(row queryRow) (*pb.Antivirus, bool) {
	name := row.text("displayName")
	if name == "" {
		return nil, false
	}
	out := &pb.Antivirus{Name: name}
	if state, ok := row.number("productState"); ok {
		out.Enabled, out.UpToDate = proto.Bool(state>>8&0x10 != 0), proto.Bool(state&0x10 == 0)
	}
	return out, true
}

// defender tells the state of Defender where the security center does not:
// what it says itself, otherwise what its settings say. Nil is for none.
func (r *winreg) defender(rows []queryRow) *pb.Antivirus {
	if len(rows) > 0 {
		row := rows[0]
		out := &pb.Antivirus{Name: defenderName, Enabled: proto.Bool(row.is("AntivirusEnabled") && row.is("RealTimeProtectionEnabled"))}
		if days, ok := row.number("AntivirusSignatureAge"); ok {
			out.UpToDate = proto.Bool(days < maxSignatureDays)
		}
		return out
	}
	if !r.key(servicesKey, "WinDefend").found() {
		return nil
	}
	const disabled = 4
	off := r.key(policiesKey, "Windows Defender").is("DisableAntiSpyware", 1) ||
		r.key(defenderKey).is("DisableAntiVirus", 1) || r.key(defenderKey).is("DisableAntiSpyware", 1) ||
		r.key(defenderKey, `\Real-Time Protection`).is("DisableRealtimeMonitoring", 1) ||
		r.key(servicesKey, "WinDefend").is("Start", disabled)
	out := &pb.Antivirus{Name: defenderName, Enabled: proto.Bool(!off)}
	if at := fileTimeOf(r.key(defenderKey, `\Signature Updates`).bytes("SignaturesLastUpdated")); !at.IsZero() {
		age := r.h.Now().Sub(at)
		out.UpToDate = proto.Bool(age.Hours() < maxSignatureDays*24)
	}
	return out
}

// sensor is a product that watches endpoints for those who look after them, by
// the service that it installs.
type sensor struct{ vendor, service string }

var windowsSensors = []sensor{
	{"crowdstrike", "CSFalconService"}, {"sentinelone", "SentinelAgent"}, {"carbonblack", "CbDefense"}, {"carbonblack", "CarbonBlack"},
	{"cortex", "cyserver"}, {"cybereason", "CybereasonActiveProbe"}, {"cylance", "CylanceSvc"}, {"sophos", "Sophos MCS Agent"},
	{"elastic", "ElasticEndpoint"}, {"trellix", "xagt"}, {"trendmicro", "Trend Micro Endpoint Basecamp"}, {"eset", "EraAgentSvc"},
	{"wazuh", "WazuhSvc"}, {"bitdefender", "EPSecurityService"}, {"withsecure", "fshoster"}, {"huntress", "HuntressAgent"},
	{"tanium", "Tanium Client"},
}

// learnWinEDR tells which sensor there is, and whether it runs. Every Windows
// has Defender's, which counts where it was given to an organisation.
func learnWinEDR(ctx context.Context, h *host.Host, d *pb.Device) error {
	r, q := &winreg{h: h}, &queries{h: h}
	if !r.key(servicesKey, "EventLog").found() && len(r.key(strings.TrimSuffix(servicesKey, `\`)).subkeys()) == 0 {
		return r.err(false, "no services are listed")
	}
	states := q.serviceStates(ctx)
	out := &pb.Edr{Present: proto.Bool(false)}
	onboarded := r.key(softwareHive, `Microsoft\Windows Advanced Threat Protection\Status`)
	for _, s := range append(slices.Clone(windowsSensors), sensor{"defender", "Sense"}) {
		k := r.key(servicesKey, s.service)
		if !k.found() || s.service == "Sense" && !onboarded.is("OnboardingState", 1) {
			continue
		}
		out = &pb.Edr{Present: proto.Bool(true), Vendor: s.vendor, Id: r.sensorID(s), Version: r.sensorVersion(s)}
		out.State = cmp.Or(states[strings.ToLower(s.service)], serviceStart(k))
		break
	}
	d.Edr = out
	return errors.Join(r.bad.err(), q.bad.err())
}

// serviceStart is what is known of a service that could not be asked.
func serviceStart(k regKey) string {
	const disabled = 4
	if k.is("Start", disabled) {
		return "disabled"
	}
	return "installed"
}

// sensorID returns the name that a sensor's vendor knows the machine by.
func (r *winreg) sensorID(s sensor) string {
	switch s.vendor {
	case "crowdstrike":
		for _, key := range []string{
			servicesKey + `CSAgent\Sim`,
			`HKLM\SYSTEM\CrowdStrike\{9b03c1d9-3138-44ed-9fae-d9f4c034b88d}\{16e0423f-7058-48c9-a204-725362b67639}\Default`,
		} {
			if id := r.key(key).bytes("AG"); len(id) == 16 {
				return hex.EncodeToString(id)
			}
		}
	case "defender":
		return r.key(softwareHive, `Microsoft\Windows Advanced Threat Protection`).text("SenseId")
	}
	return ""
}

// sensorVersion returns the version where the registry has it beside the
// service; otherwise it is among the software.
func (r *winreg) sensorVersion(s sensor) string {
	switch s.vendor {
	case "defender":
		return r.key(softwareHive, `Microsoft\Windows Advanced Threat Protection`).text("InstallVersion")
	case "sentinelone":
		// The folder of the service has it: ...\Sentinel Agent 23.4.2.14\...
		_, after, ok := strings.Cut(r.key(servicesKey, s.service).text("ImagePath"), `\Sentinel Agent `)
		if version, _, closed := strings.Cut(after, `\`); ok && closed {
			return version
		}
	}
	return ""
}
