package facts

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// firstEleven is the first build of Windows 11, whose registry goes on calling
// it Windows 10.
const firstEleven = 22000

// learnWinOS learns which Windows is installed, and when it was: the day of
// the last upgrade to another release.
func learnWinOS(_ context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	k := r.key(releaseKey)
	if !k.found() {
		return r.err(false, "nothing names the release of Windows")
	}
	o := osState(d)
	o.Family = "windows"
	build := cmp.Or(k.text("CurrentBuild"), k.text("CurrentBuildNumber"))
	number, _ := strconv.Atoi(build)
	o.Name, o.Edition = k.text("ProductName"), k.text("EditionID")
	if rest, ten := strings.CutPrefix(o.Name, "Windows 10"); ten && number >= firstEleven {
		o.Name = "Windows 11" + rest
	}
	o.Kernel = k.text("CurrentVersion")
	major, ok := k.number("CurrentMajorVersionNumber")
	if minor, also := k.number("CurrentMinorVersionNumber"); ok && also {
		// CurrentVersion has stayed at 6.3 since Windows 8.1.
		o.Kernel = fmt.Sprintf("%d.%d", major, minor)
	}
	o.Version = cmp.Or(k.text("DisplayVersion"), k.text("ReleaseId"), o.Kernel)
	if build != "" {
		o.Kernel += "." + build
		o.Build = build
	}
	if ubr, ok := k.number("UBR"); ok && build != "" {
		o.Build = fmt.Sprintf("%s.%d", build, ubr)
	}
	o.Architecture = windowsArchitecture(r.processorArchitecture())
	if sec, ok := k.number("InstallDate"); ok && sec < 1<<40 {
		o.InstalledAt = unixTime(int64(sec))
	}
	return r.bad.err()
}

// windowsArchitecture returns our name of an architecture.
func windowsArchitecture(name string) string {
	switch strings.ToUpper(name) {
	case "AMD64":
		return "x86_64"
	case "ARM64":
		return "arm64"
	case "X86":
		return "i386"
	}
	return strings.ToLower(name)
}

// learnWinInstallation learns the name that the installer gave this
// installation; images that were not prepared for copying share it.
func learnWinInstallation(_ context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	id, err := hex.DecodeString(strings.ReplaceAll(strings.Trim(r.key(softwareHive, `Microsoft\Cryptography`).text("MachineGuid"), "{}"), "-", ""))
	if err != nil || len(id) != 16 {
		return r.err(false, "the installation has no name")
	}
	mac := hmac.New(sha256.New, id)
	mac.Write([]byte(installSalt))
	osState(d).InstallId = hex.EncodeToString(mac.Sum(nil)[:16])
	return r.bad.err()
}

// learnWinLocale learns the language that Windows shows to whoever is not
// logged on, and the time zone, by Windows's own name of it.
func learnWinLocale(_ context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	o := osState(d)
	const desktop = `HKU\.DEFAULT\Control Panel\Desktop`
	languages := append(r.key(desktop).texts("PreferredUILanguages"), r.key(desktop, `\MuiCached`).texts("MachinePreferredUILanguages")...)
	if len(languages) == 0 {
		languages = r.key(systemHive, `Control\MUI\UILanguages`).subkeys()
	}
	if len(languages) > 0 {
		// As elsewhere: de_DE.
		o.Language = strings.ReplaceAll(languages[0], "-", "_")
	}
	zone := r.key(systemHive, `Control\TimeZoneInformation`)
	o.Timezone = zone.text("TimeZoneKeyName")
	if o.Timezone == "" {
		// Before Windows Vista; a name that begins with @ is one of a table.
		if name := zone.text("StandardName"); !strings.HasPrefix(name, "@") {
			o.Timezone = name
		}
	}
	return r.err(o.Language+o.Timezone != "", "neither language nor time zone")
}

// learnWinBoot learns when Windows was started, to the minute: it is reckoned
// anew when the clock is set. A start that only wakes up what was put to sleep
// ("fast startup") is none.
func learnWinBoot(ctx context.Context, h *host.Host, d *pb.Device) error {
	q := &queries{h: h}
	for _, row := range q.rows(ctx, "operating_system") {
		if t := cimTime(row["LastBootUpTime"]); !t.IsZero() {
			osState(d).BootedAt = timestamppb.New(t.Truncate(time.Minute))
			return nil
		}
	}
	return q.err("Windows does not tell when it was started")
}

// cimTime reads a time as WMI writes it, zero for none:
// 20240131083000.500000+060, the last part in minutes from UTC.
func cimTime(text string) time.Time {
	const length = len("20240131083000.500000+060")
	if len(text) != length || text[14] != '.' {
		return time.Time{}
	}
	t, err := time.Parse("20060102150405", text[:14])
	minutes, zerr := strconv.Atoi(text[21:])
	if err != nil || zerr != nil || t.Year() < 1970 {
		return time.Time{}
	}
	return t.Add(-time.Duration(minutes) * time.Minute)
}
