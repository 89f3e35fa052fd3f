package facts

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// maxSignatureAge is how old signatures of ClamAV may be, which its makers
// renew daily.
const maxSignatureAge = 7 * 24 * time.Hour

// protector is a product for Linux that protects from malware or watches a
// machine for those who look after it.
type protector struct {
	// vendor is that of a sensor which reports to a service of its maker or of
	// the company, "" for a product that does not.
	vendor string
	// antivirus is the name of a product that scans, "" for one that does not.
	antivirus string
	// path is what its installation leaves.
	path string
	// processes are its own, cut to the 15 bytes that the kernel keeps.
	processes []string
	// pkg is the name of its package, in deb and rpm alike but for the case of
	// letters.
	pkg string
}

// protectors are known by where their makers put them.
var protectors = []protector{
	{"crowdstrike", "CrowdStrike Falcon", "opt/CrowdStrike/falconctl", []string{"falcon-sensor", "falcon-sensor-b"}, "falcon-sensor"},
	{"sentinelone", "SentinelOne", "opt/sentinelone", []string{"s1-agent", "sentinelone-age"}, "sentinelagent"},
	{"defender", "Microsoft Defender", "opt/microsoft/mdatp", []string{"wdavdaemon"}, "mdatp"},
	{"cortex", "Cortex XDR", "opt/traps/bin", []string{"pmd"}, "cortex-agent"},
	{"cybereason", "Cybereason", "opt/cybereason/sensor", []string{"cybereason-sens"}, "cybereason-sensor"},
	{"sophos", "Sophos Protection", "opt/sophos-spl", []string{"sophos_watchdog"}, ""},
	{"elastic", "", "opt/Elastic/Endpoint", []string{"elastic-endpoin"}, ""},
	{"carbonblack", "Carbon Black Cloud", "opt/carbonblack/psc", []string{"cbagentd"}, "cb-psc-sensor"},
	{"trellix", "", "opt/fireeye/bin/xagt", []string{"xagt"}, "xagt"},
	{"trendmicro", "Trend Micro", "opt/ds_agent", []string{"ds_agent"}, "ds-agent"},
	{"cisco", "Cisco Secure Endpoint", "opt/cisco/amp", []string{"ampdaemon"}, "ciscoampconnector"},
	{"cylance", "CylancePROTECT", "opt/cylance/desktop", []string{"cylancesvc"}, "cylance-protect"},
	{"rapid7", "", "opt/rapid7/ir_agent", []string{"ir_agent"}, "rapid7-insight-agent"},
	{"wazuh", "", "var/ossec/bin/wazuh-agentd", []string{"wazuh-agentd"}, "wazuh-agent"},
	{"tanium", "", "opt/Tanium/TaniumClient", []string{"TaniumClient"}, "taniumclient"},
	{"", "ESET Endpoint Antivirus", "opt/eset/eea", []string{"oaeventd", "startd"}, "eea"},
	{"", "Bitdefender", "opt/bitdefender-security-tools", []string{"bdsecd", "epsecurityserv"}, "bitdefender-security-tools"},
	{"", "Kaspersky Endpoint Security", "opt/kaspersky/kesl", []string{"kesl"}, "kesl"},
	{"", "Dr.Web", "opt/drweb.com/bin/drweb-configd", []string{"drweb-configd"}, ""},
	{"", "Trellix Endpoint Security", "opt/McAfee/ens", []string{"mfetpd"}, "mcafeetp"},
	{"", "ClamAV", "usr/sbin/clamd", []string{"clamd"}, "clamav-daemon"},
}

// protection learns what protects a machine. It keeps the versions of the
// products between looks, for as long as no package is installed or removed.
type protection struct {
	database fileState
	versions map[string]string
}

// fileState tells whether a file was written.
type fileState struct {
	size int64
	time time.Time
}

// learn lists the products that are installed, and tells of the first sensor
// among them that runs whether it does.
func (p *protection) learn(ctx context.Context, h *host.Host, d *pb.Device) error {
	a := &attributes{h: h}
	var installed []protector
	for _, product := range protectors {
		// What other accounts may not look into is there.
		if _, err := fs.Stat(h.FS, product.path); err == nil || errors.Is(err, fs.ErrPermission) {
			installed = append(installed, product)
		}
	}
	d.Edr = &pb.Edr{Present: proto.Bool(false)}
	if len(installed) == 0 {
		return a.bad.err()
	}
	running := a.processes()
	// Without the first process, others are hidden too.
	all := a.has("proc/1/comm")
	versions, err := p.packages(h, installed)
	a.bad.add(err)
	for _, product := range installed {
		runs := slices.ContainsFunc(product.processes, func(name string) bool { return running[name] })
		found := product.found(versions, runs, runs || all)
		a.bad.add(found.ask(ctx, h))
		if found.antivirus != nil {
			security(d).Antivirus = append(security(d).Antivirus, found.antivirus)
		}
		if found.edr != nil && (!d.Edr.GetPresent() || d.Edr.State != "running" && found.edr.State == "running") {
			d.Edr = found.edr
		}
	}
	return a.bad.err()
}

// protectorFound is what is said of one product; either may be nil.
type protectorFound struct {
	protector
	antivirus *pb.Antivirus
	edr       *pb.Edr
}

func (p protector) found(versions map[string]string, runs, known bool) *protectorFound {
	out := &protectorFound{protector: p}
	if p.antivirus != "" {
		out.antivirus = &pb.Antivirus{Name: p.antivirus}
		if known {
			out.antivirus.Enabled = proto.Bool(runs)
		}
	}
	if p.vendor != "" {
		out.edr = &pb.Edr{Present: proto.Bool(true), Vendor: p.vendor, Version: versions[p.pkg], State: "installed"}
		switch {
		case runs:
			out.edr.State = "running"
		case known:
			out.edr.State = "stopped"
		}
	}
	return out
}

// ask adds what a product says of itself. A product that does not answer is as
// its package and its processes show it, with a problem.
func (f *protectorFound) ask(ctx context.Context, h *host.Host) error {
	var err error
	var out []byte
	switch f.path {
	case "opt/CrowdStrike/falconctl":
		if out, err = h.Run(ctx, "falconctl"); err == nil {
			f.falcon(out)
		}
	case "opt/microsoft/mdatp":
		if out, err = h.Run(ctx, "mdatp_health"); err == nil {
			err = f.defender(out)
		}
	case "opt/sophos-spl":
		f.edr.Version = settings((&attributes{h: h}).raw("opt/sophos-spl/base/VERSION.ini"))["PRODUCT_VERSION"]
	case "usr/sbin/clamd":
		f.clam(h)
	}
	if errors.Is(err, errors.ErrUnsupported) || missing(err) {
		return nil
	}
	return err
}

// falcon takes what falconctl prints: aid="..." and version = 7.10.16303.0.
func (f *protectorFound) falcon(out []byte) {
	for word := range strings.FieldsFuncSeq(strings.ReplaceAll(string(out), " = ", "="), func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' }) {
		key, value, _ := strings.Cut(word, "=")
		value = softwareText([]byte(strings.Trim(value, `".`)))
		switch key {
		case "aid":
			f.edr.Id = value
		case "version":
			f.edr.Version = value
		case "rfm-state":
			// Reduced functionality: this kernel is not one that it knows.
			if value == "true" && f.edr.State == "running" {
				f.edr.State = "degraded"
			}
		}
	}
}

// defender takes what mdatp health prints. Without an organisation that it was
// given to, it is a scanner and no sensor.
func (f *protectorFound) defender(out []byte) error {
	type setting struct {
		Value json.RawMessage `json:"value"`
	}
	var health struct {
		Version     string  `json:"appVersion"`
		Healthy     bool    `json:"healthy"`
		Machine     string  `json:"edrMachineId"`
		Org         string  `json:"orgId"`
		Passive     setting `json:"passiveModeEnabled"`
		RealTime    setting `json:"realTimeProtectionEnabled"`
		Definitions struct {
			Status string `json:"$type"`
		} `json:"definitionsStatus"`
	}
	if err := json.Unmarshal(out, &health); err != nil {
		return fmt.Errorf("what mdatp says of its health: %w", err)
	}
	f.antivirus.Enabled = proto.Bool(string(health.RealTime.Value) == "true" && string(health.Passive.Value) != "true")
	if health.Definitions.Status != "" {
		f.antivirus.UpToDate = proto.Bool(health.Definitions.Status == "upToDate")
	}
	if health.Org == "" || health.Org == "unavailable" {
		f.edr = nil
		return nil
	}
	f.edr.Id, f.edr.Version = softwareText([]byte(health.Machine)), cmp.Or(softwareText([]byte(health.Version)), f.edr.Version)
	if !health.Healthy && f.edr.State == "running" {
		f.edr.State = "degraded"
	}
	return nil
}

// clam tells by the age of ClamAV's signatures whether they are up to date.
func (f *protectorFound) clam(h *host.Host) {
	var newest time.Time
	for _, name := range []string{"var/lib/clamav/daily.cld", "var/lib/clamav/daily.cvd"} {
		if info, err := fs.Stat(h.FS, name); err == nil {
			newest = latest(newest, info.ModTime())
		}
	}
	f.antivirus.UpToDate = proto.Bool(!newest.IsZero() && h.Now().Sub(newest) < maxSignatureAge)
}

// packages returns the versions of the products' packages by their names in
// lower case.
func (p *protection) packages(h *host.Host, products []protector) (map[string]string, error) {
	state := packagesState(h)
	if p.versions != nil && state == p.database {
		return p.versions, nil
	}
	out := make(map[string]string)
	keep := func(name, version string) {
		name = strings.ToLower(name)
		if slices.ContainsFunc(products, func(p protector) bool { return p.pkg == name }) {
			out[name] = softwareText([]byte(version))
		}
	}
	debs, err := readDpkg(h.FS)
	for _, d := range debs {
		keep(string(d.name), string(d.version))
	}
	rpms, rerr := readRPM(h.FS)
	for _, r := range rpms {
		keep(r.Name, r.EVR())
	}
	for _, e := range []error{err, rerr} {
		if e != nil && !errors.Is(e, errors.ErrUnsupported) && !missing(e) {
			return out, fmt.Errorf("versions of the packages: %w", e)
		}
	}
	p.database, p.versions = state, out
	return out, nil
}

// packagesState tells of all package databases together whether one was written.
func packagesState(h *host.Host) fileState {
	var s fileState
	for _, name := range append([]string{dpkgDir + "/status"}, rpmDatabases...) {
		if info, err := fs.Stat(h.FS, name); err == nil {
			s.size, s.time = s.size+info.Size(), latest(s.time, info.ModTime())
		}
	}
	return s
}
