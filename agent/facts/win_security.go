package facts

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// learnWinSecureBoot tells whether the firmware started only what is signed. A
// PC that was started by a BIOS has no such thing.
func learnWinSecureBoot(_ context.Context, h *host.Host, d *pb.Device) error {
	const bios = 1
	r := &winreg{h: h}
	n, ok := r.key(systemHive, `Control\SecureBoot\State`).number("UEFISecureBootEnabled")
	if !ok && !r.key(systemHive, "Control").is("PEFirmwareType", bios) {
		return r.err(false, "the firmware does not say")
	}
	security(d).SecureBoot = proto.Bool(n == 1)
	return r.bad.err()
}

// firewallProfiles are the profiles in the machine's settings, and in its
// policies, where the second has two names.
var firewallProfiles = []struct{ local, policy, old string }{
	{"DomainProfile", "DomainProfile", ""}, {"StandardProfile", "PrivateProfile", "StandardProfile"}, {"PublicProfile", "PublicProfile", ""},
}

// learnWinFirewall tells whether the firewall is on: Windows's own in all of
// its profiles, or another that has taken its place.
func learnWinFirewall(ctx context.Context, h *host.Host, d *pb.Device) error {
	const disabled = 4
	r, q := &winreg{h: h}, &queries{h: h}
	on, known := true, false
	for _, p := range firewallProfiles {
		if n, ok := r.firewall(p.local, p.policy, p.old); ok {
			known, on = true, on && n != 0
		}
	}
	if service := r.key(servicesKey, "mpssvc"); service.is("Start", disabled) {
		known, on = true, false
	}
	f := &pb.Firewall{Name: "windows", State: "off"}
	if known && on {
		f.State = "on"
	}
	for _, row := range q.rows(ctx, "firewall_products") {
		if product, ok := securityProduct(row); ok && product.GetEnabled() && f.State == "off" {
			f.Name, f.State, known = product.Name, "on", true
		}
	}
	if !known {
		return absent(errors.Join(r.bad.err(), q.bad.err()), "no firewall to be seen")
	}
	security(d).Firewall = f
	return errors.Join(r.bad.err(), q.bad.err())
}

// firewall returns whether a profile is on; what policy says counts more.
func (r *winreg) firewall(local, policy, old string) (uint64, bool) {
	for _, name := range []string{policy, old} {
		if n, ok := r.key(policiesKey, `WindowsFirewall\`, name).number("EnableFirewall"); name != "" && ok {
			return n, ok
		}
	}
	return r.key(servicesKey, `SharedAccess\Parameters\FirewallPolicy\`, local).number("EnableFirewall")
}

// learnWinUAC tells whether programs of an administrator must ask before they
// may do what only administrators may.
func learnWinUAC(_ context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	n, ok := r.key(windowsKey, `Policies\System`).number("EnableLUA")
	if !ok {
		return r.err(false, "this Windows has no user account control")
	}
	p := &pb.IntegrityProtection{Name: "uac", State: "off"}
	if n != 0 {
		p.State = "on"
	}
	security(d).IntegrityProtection = p
	return r.bad.err()
}

// learnWinScreenLock tells whether the screen locks when nobody is at it, and
// after how long: by the limit of the machine, or by the screen savers of those
// who are logged on, of whom the least careful counts.
func learnWinScreenLock(_ context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	var limit uint64
	if n, ok := r.key(windowsKey, `Policies\System`).number("InactivityTimeoutSecs"); ok {
		limit = n
	}
	// In minutes; the password is switched off by 1.
	lock := r.key(softwareHive, `Microsoft\PolicyManager\current\device\DeviceLock`)
	if n, ok := lock.number("MaxInactivityTimeDeviceLock"); ok && n > 0 && n < 1e6 && lock.is("DevicePasswordEnabled", 0) && (limit == 0 || n*60 < limit) {
		limit = n * 60
	}
	users := r.users()
	if limit == 0 && len(users) == 0 {
		return r.err(false, "nobody is logged on, and the machine itself has no limit")
	}
	var worst uint64
	for _, sid := range users {
		own, locks := r.screenSaver(sid)
		if !locks || limit > 0 && limit < own {
			own = limit
		}
		if own == 0 {
			security(d).ScreenLock = &pb.ScreenLock{State: "off"}
			return r.bad.err()
		}
		worst = max(worst, own)
	}
	if worst == 0 {
		worst = limit
	}
	out := &pb.ScreenLock{State: "on"}
	if worst > 0 && worst <= math.MaxInt32 {
		out.Seconds = proto.Int32(int32(worst))
	}
	security(d).ScreenLock = out
	return r.bad.err()
}

// screenSaver tells whether a user's screen saver asks for a password, and
// after how many seconds it begins; what policy says counts more.
func (r *winreg) screenSaver(sid string) (seconds uint64, locks bool) {
	policy := r.key(`HKU\`, sid, `\Software\Policies\Microsoft\Windows\Control Panel\Desktop`)
	own := r.key(`HKU\`, sid, `\Control Panel\Desktop`)
	value := func(name string) uint64 {
		if n, ok := policy.number(name); ok {
			return n
		}
		n, _ := own.number(name)
		return n
	}
	seconds = value("ScreenSaveTimeOut")
	return seconds, value("ScreenSaveActive") == 1 && value("ScreenSaverIsSecure") == 1 && seconds > 0
}

// domainController is the type of a machine whose only accounts are those of
// its domain, of which there can be very many.
const domainController = "LanmanNT"

// learnWinAdmins lists the members of the machine's own group of
// administrators. A domain controller has none of its own, and to list those of
// its domain would keep it busy for minutes.
func learnWinAdmins(ctx context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	if r.key(systemHive, `Control\ProductOptions`).text("ProductType") == domainController {
		return fmt.Errorf("a domain controller has no accounts of its own: %w", errors.ErrUnsupported)
	}
	q := &queries{h: h}
	rows, ok := q.ask(ctx, "local_admins")
	if !ok {
		return absent(errors.Join(r.bad.err(), q.bad.err()), "the group of administrators cannot be asked")
	}
	names := make([]string, 0, len(rows))
	computer := r.computerName()
	for _, row := range rows {
		name := row.text("Name")
		if domain := row.text("Domain"); domain != "" && !strings.EqualFold(domain, computer) && name != "" {
			name = domain + `\` + name
		}
		if name == "" {
			// Of an account that is gone, or that nobody here knows.
			name = row.text("SID")
		}
		if name != "" && len(names) < maxAdmins {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	security(d).LocalAdmins = slices.Compact(names)
	return r.bad.err()
}

// maxAdmins is the number of administrators that a report lists.
const maxAdmins = 1_000
