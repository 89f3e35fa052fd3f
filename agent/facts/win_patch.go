package facts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	servicingKey        = windowsKey + `Component Based Servicing`
	updateKey           = windowsKey + `WindowsUpdate\Auto Update`
	updatePolicy        = policiesKey + `Windows\WindowsUpdate`
	maxInstalledUpdates = 5_000

	// States of a package that is installed, and of one that is for ever.
	stateInstalled, statePermanent = 0x70, 0x80
)

// learnWinReboot tells whether Windows waits for a reboot: its update service
// or its servicing says so, an older installer of updates has left its mark, or
// the machine has been given another name. Files that wait to be renamed mean
// nothing: every uninstaller and many a driver leaves some, for ever.
func learnWinReboot(_ context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	if !r.key(releaseKey).found() {
		return r.err(false, "no registry")
	}
	var reasons []string
	for _, flag := range []struct{ key, reason string }{
		{servicingKey + `\RebootPending`, "component servicing"},
		{updateKey + `\RebootRequired`, "Windows Update"},
	} {
		if r.key(flag.key).found() {
			reasons = append(reasons, flag.reason)
		}
	}
	if n, ok := r.key(softwareHive, `Microsoft\Updates`).number("UpdateExeVolatile"); ok && n != 0 {
		reasons = append(reasons, "an installer of updates")
	}
	const names = systemHive + `Control\ComputerName\`
	active, next := r.key(names, "ActiveComputerName").text("ComputerName"), r.key(names, "ComputerName").text("ComputerName")
	if active != "" && next != "" && !strings.EqualFold(active, next) {
		reasons = append(reasons, fmt.Sprintf("the computer is renamed to %s", next))
	}
	slices.Sort(reasons)
	p := patch(d)
	p.RebootRequired, p.RebootReasons = proto.Bool(len(reasons) > 0), reasons
	return r.bad.err()
}

// kb finds the number by which Microsoft names an update.
var kb = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\bKB\d{5,8}\b`)
})

// learnWinInstalled lists the updates that are installed, as far as they have
// numbers: what the servicing of Windows has, what WMI knows, and the updates of
// other products. None of them has all, and the state of Windows itself shows
// in the build of the os section.
func learnWinInstalled(ctx context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	found := make(map[string]time.Time)
	add := func(id string, at time.Time) {
		if id = strings.ToUpper(id); id != "" && (len(found) < maxInstalledUpdates || !found[id].IsZero()) {
			found[id] = latest(found[id], at)
		}
	}
	rows, err := h.Query(ctx, "hotfixes")
	if errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	r.bad.add(err)
	for _, row := range rows {
		add(kb().FindString(row["HotFixID"]), hotfixDate(row["InstalledOn"]))
	}
	r.servicedUpdates(add)
	defer r.close()
	for _, root := range r.uninstallRoots() {
		for _, name := range r.below(root, "").subkeys() {
			p := program{id: name, key: r.below(root, `\`+name), r: r}
			if !p.isUpdate() {
				continue
			}
			var at time.Time
			if known := p.installedAt(); known != nil {
				at = known.AsTime()
			}
			add(cmp.Or(kb().FindString(p.key.text("DisplayName")), kb().FindString(name)), at)
		}
	}
	if len(found) == 0 {
		return r.err(false, "no installed updates are listed")
	}
	p := patch(d)
	var last time.Time
	for id, at := range found {
		p.Installed = append(p.Installed, &pb.InstalledUpdate{Id: id, InstalledAt: stamp(at)})
		last = latest(last, at)
	}
	slices.SortFunc(p.Installed, func(a, b *pb.InstalledUpdate) int { return strings.Compare(a.Id, b.Id) })
	p.LastUpdated = stamp(last)
	return r.bad.err()
}

// servicedUpdates hands over the updates among the packages that Windows is
// made of. Only packages that stand for an update are looked at: there are
// thousands.
func (r *winreg) servicedUpdates(add func(id string, at time.Time)) {
	const packages = servicingKey + `\Packages`
	for _, name := range r.key(packages).subkeys() {
		if !strings.HasPrefix(name, "Package_for_") {
			continue
		}
		k := r.key(packages, `\`, name)
		if !k.is("CurrentState", stateInstalled) && !k.is("CurrentState", statePermanent) {
			continue
		}
		number, _, _ := strings.Cut(strings.TrimPrefix(name, "Package_for_"), "~")
		// A cumulative update does not have its number in its name, but often in
		// that of the file that it came in.
		add(cmp.Or(kb().FindString(number), kb().FindString(k.text("InstallLocation"))), k.fileTimeParts("InstallTimeHigh", "InstallTimeLow"))
	}
}

// hotfixDate reads the day on which WMI says that an update was installed: as
// in the United States, as yyyymmdd, or as 64 bits in hexadecimal.
func hotfixDate(text string) time.Time {
	for _, layout := range []string{"1/2/2006", "20060102", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() >= 1990 {
			return t
		}
	}
	if n, err := strconv.ParseUint(text, 16, 64); err == nil && len(text) == 16 {
		return day(fileTime(n))
	}
	return time.Time{}
}

// learnWinAutoUpdate tells whether Windows installs updates by itself, and
// whether an organisation decides: by a server of its own, by policy, or by
// device management.
func learnWinAutoUpdate(_ context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	if !r.key(releaseKey).found() {
		return r.err(false, "no registry")
	}
	patch(d).AutoUpdate = r.autoUpdate()
	// Windows 10 and later no longer note it; there it comes with the list of
	// pending updates.
	if t, err := time.Parse(time.DateTime, r.key(updateKey, `\Results\Detect`).text("LastSuccessTime")); err == nil {
		patch(d).CheckedAt = stamp(t)
	}
	return r.bad.err()
}

func (r *winreg) autoUpdate() string {
	const disabled = 4
	policy, au := r.key(updatePolicy), r.key(updatePolicy, `\AU`)
	mdm := r.key(softwareHive, `Microsoft\PolicyManager\current\device\Update`)
	switch {
	case r.key(servicesKey, "wuauserv").is("Start", disabled), au.is("NoAutoUpdate", 1):
		return "off"
	case au.is("UseWUServer", 1) && policy.text("WUServer") != "":
		return "managed"
	case deferred(policy), deferred(mdm), r.key(softwareHive, `Microsoft\CCM`).found():
		return "managed"
	}
	options, set := au.number("AUOptions")
	if !set {
		options, set = mdm.number("AllowAutoUpdate")
		// Device management counts otherwise: 5 is off, all below install.
		switch {
		case set && options == 5:
			return "off"
		case set:
			return "managed"
		}
	}
	if !set {
		options, set = r.key(updateKey).number("AUOptions")
	}
	// 1 is never, 2 asks before the download and 3 before the installation.
	if set && options >= 1 && options <= 3 {
		return "off"
	}
	return "on"
}

// deferred tells whether an organisation decides when updates are installed:
// Windows Update for Business, and Autopatch, which is made of it.
func deferred(policy regKey) bool {
	for _, name := range []string{
		"DeferQualityUpdates", "DeferQualityUpdatesPeriodInDays", "DeferFeatureUpdates", "DeferFeatureUpdatesPeriodInDays",
		"TargetReleaseVersion", "ConfigureDeadlineForQualityUpdates", "SetComplianceDeadline", "UpdateServiceUrl",
	} {
		if n, ok := policy.number(name); ok && n != 0 || policy.text(name) != "" && !ok {
			return true
		}
	}
	return false
}
