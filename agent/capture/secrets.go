package capture

import (
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/agent/scrub"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	maxAccounts = 8 << 20
	maxHomes    = 10_000
)

// hideFound hides what the facts found that names the machine or its people.
func hideFound(s *scrub.Scrubber, d *pb.Device) {
	hw := d.GetHardware()
	s.HideUUID(hw.GetUuid())
	serials := append([]string{hw.GetSerial(), hw.GetBoardSerial(), hw.GetAssetTag(), hw.GetCloud().GetInstanceId(), hw.GetCloud().GetAccount()}, hw.GetImei()...)
	serials = append(serials, d.GetMdm().GetId(), d.GetEdr().GetId())
	for _, m := range hw.GetMemoryModules() {
		serials = append(serials, m.GetSerial())
	}
	for _, x := range hw.GetDisks() {
		serials = append(serials, x.GetSerial())
	}
	for _, x := range hw.GetDisplays() {
		if n, err := strconv.ParseUint(x.GetSerial(), 10, 32); err == nil && x.GetNumbered() {
			s.HideNumber(uint32(n))
			continue
		}
		serials = append(serials, x.GetSerial())
	}
	for _, x := range hw.GetUsb() {
		serials = append(serials, x.GetSerial())
	}
	for _, one := range serials {
		s.HideSerial(one)
		s.HideUUID(one)
	}
	n := d.GetNetwork()
	for _, i := range n.GetInterfaces() {
		s.HideHardwareAddress(i.GetMac())
	}
	names := []string{d.GetName(), n.GetHostname(), n.GetFqdn(), n.GetDomain(), d.GetPrimaryUser().GetName(), d.GetPrimaryUser().GetEmail(), d.GetOwner().GetName(), d.GetOwner().GetEmail()}
	for _, name := range append(names, d.GetSecurity().GetLocalAdmins()...) {
		hideAccount(s, name)
	}
	for _, p := range hw.GetPrinters() {
		hidePort(s, p.GetPort())
	}
	for _, row := range d.GetSoftware() {
		s.Keep(row.GetVersion())
	}
	for _, u := range d.GetPatch().GetPending() {
		s.Keep(u.GetVersion())
		s.Keep(u.GetId())
	}
}

// hideAccount hides a name with its domain: DOMAIN\name, name@domain.
func hideAccount(s *scrub.Scrubber, name string) {
	s.HideName(name)
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '\\' || r == '@' }) {
		s.HideName(part)
	}
	// The first label of a domain name is that of the machine.
	if first, domain, ok := strings.Cut(name, "."); ok && !strings.Contains(name, "@") {
		s.HideName(first)
		s.HideName(domain)
	}
}

// hidePort hides the machine that a printer is reached at.
func hidePort(s *scrub.Scrubber, port string) {
	if _, rest, ok := strings.Cut(port, "://"); ok {
		port, _, _ = strings.Cut(rest, "/")
		if strings.Contains(port, ".") {
			s.HideName(port)
		}
	}
}

// hidePeople hides the accounts of people: those that accounts files give the
// numbers of people to, and whoever has a home.
func hidePeople(s *scrub.Scrubber, h *host.Host) {
	first := int64(1000)
	if h.OS == "darwin" {
		first = 500
	}
	text, err := h.ReadFile("etc/passwd", maxAccounts)
	if err != nil {
		text = nil
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 6 {
			continue
		}
		if id, err := strconv.ParseInt(f[2], 10, 64); err != nil || id < first || id == 65534 {
			continue
		}
		hideAccount(s, f[0])
		s.HideName(path.Base(f[5]))
		// The field has the full name, then rooms and telephones.
		for detail := range strings.SplitSeq(f[4], ",") {
			hideFullName(s, detail)
			s.HideSerial(detail)
		}
	}
	for _, dir := range []string{"home", "Users"} {
		entries, err := fs.ReadDir(h.FS, dir)
		if err != nil {
			continue
		}
		for _, e := range entries[:min(len(entries), maxHomes)] {
			if !homesOfNobody[strings.ToLower(e.Name())] && !strings.HasPrefix(e.Name(), ".") {
				hideAccount(s, e.Name())
			}
		}
	}
}

// homesOfNobody stand among the homes.
var homesOfNobody = map[string]bool{
	"all users": true, "default user": true, "defaultapppool": true, "desktop.ini": true, "linuxbrew": true, "lost+found": true,
}

func hideFullName(s *scrub.Scrubber, name string) {
	s.HideName(name)
	for word := range strings.FieldsSeq(name) {
		s.HideName(strings.Trim(word, "().,"))
	}
}

// installationFiles hold numbers that were made for this installation.
var installationFiles = []string{"etc/machine-id", "var/lib/dbus/machine-id", "proc/sys/kernel/random/boot_id"}

// installationValues hold, in the registry of Windows, what its owner named.
var installationValues = []struct {
	key    string
	values []string
}{
	{`HKLM\SOFTWARE\Microsoft\Cryptography`, []string{"MachineGuid"}},
	{`HKLM\SOFTWARE\Microsoft\SQMClient`, []string{"MachineId"}},
	{`HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion`, []string{"RegisteredOwner", "RegisteredOrganization", "ProductId"}},
	{
		`HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Authentication\LogonUI`,
		[]string{"LastLoggedOnUser", "LastLoggedOnSAMUser", "LastLoggedOnDisplayName"},
	},
	{`HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters`, []string{"Hostname", "NV Hostname", "Domain", "NV Domain", "DhcpDomain", "SearchList"}},
	{`HKLM\SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName`, []string{"ComputerName"}},
}

func hideInstallation(s *scrub.Scrubber, h *host.Host) {
	for _, name := range installationFiles {
		if b, err := h.ReadFile(name, 256); err == nil {
			s.HideUUID(string(b))
		}
	}
	if name, err := h.Hostname(); err == nil {
		hideAccount(s, name)
	}
	for _, i := range installationValues {
		k, err := h.RegistryKey(i.key)
		if err != nil {
			continue
		}
		for _, name := range i.values {
			v, _ := k.Value(name)
			text, _ := v.Text()
			s.HideUUID(text)
			s.HideSerial(text)
			for part := range strings.SplitSeq(text, ",") {
				hideAccount(s, part)
				hideFullName(s, part)
			}
		}
	}
}
