package facts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	macVersionFile = "System/Library/CoreServices/SystemVersion.plist"
	// macPlatformFile is the same file by a name under which it is the same for
	// everybody, since macOS 11: see macRelease.
	macPlatformFile = "System/Library/CoreServices/.SystemVersionPlatform.plist"
	// macCryptexFile is the version of what Apple renews apart from the system,
	// in rapid security responses.
	macCryptexFile = "System/Cryptexes/OS/System/Library/CoreServices/SystemVersion.plist"
)

// learnMacOS learns which version of macOS is installed. The build is that of
// the rapid security response where one is installed: the version stays.
func learnMacOS(_ context.Context, h *host.Host, d *pb.Device) error {
	v, err := macRelease(h)
	if len(v) == 0 {
		return cmp.Or(err, fmt.Errorf("there is no /%s, which tells the version", macVersionFile))
	}
	o := osState(d)
	o.Family, o.Id = "macos", "macos"
	o.Name, o.Version, o.Build = plainText([]byte(v.Text("ProductName"))), plainText([]byte(v.Text("ProductVersion"))), plainText([]byte(v.Text("ProductBuildVersion")))
	response, err := readPlist(h, macCryptexFile)
	if rapidResponse(v, withTrueVersion(response)) != "" {
		o.Build = plainText([]byte(response.Text("ProductBuildVersion")))
	}
	return err
}

// macRelease returns what tells the version of the system. Programs that were
// built with an older kit than macOS 26's, as all of Go's are, are shown another
// file in its place, which says 16 for 26 so that they do not stumble over the
// leap; macOS 11 said 10.16.
func macRelease(h *host.Host) (proplist.Dict, error) {
	if v, err := readPlist(h, macPlatformFile); err == nil && v.Text("ProductVersion") != "" {
		return withTrueVersion(v), nil
	}
	v, err := readPlist(h, macVersionFile)
	return withTrueVersion(v), err
}

// withTrueVersion returns a description of a system with its true version: there
// is no macOS 16. What comes behind the point is not made up.
func withTrueVersion(v proplist.Dict) proplist.Dict {
	minor, made := strings.CutPrefix(v.Text("ProductVersion"), "16.")
	if !made {
		return v
	}
	out := maps.Clone(v)
	out["ProductVersion"] = "26." + minor
	return out
}

// rapidResponse returns the letter of the rapid security response that is
// installed, as in "(c)"; "" for none. It is of the system's own version: one of
// an older version was replaced by an update.
func rapidResponse(system, cryptex proplist.Dict) string {
	extra := plainText([]byte(cryptex.Text("ProductVersionExtra")))
	if cryptex.Text("ProductVersion") != system.Text("ProductVersion") || cryptex.Text("ProductBuildVersion") == "" {
		return ""
	}
	return extra
}

// learnMacKernel learns which kernel runs, on which kind of processor, and since
// when.
func learnMacKernel(ctx context.Context, h *host.Host, d *pb.Device) error {
	values, err := macSysctl(ctx, h)
	if err != nil {
		return err
	}
	o := osState(d)
	o.Kernel, o.Architecture, o.BootedAt = values["kern.osrelease"], macMachine(values), macBootTime(values["kern.boottime"])
	if o.Kernel == "" && o.Architecture == "" && o.BootedAt == nil {
		return fmt.Errorf("sysctl tells nothing of the kernel: %w", errors.ErrUnsupported)
	}
	return nil
}

// macBootTime returns the time of the last boot to the minute: the system's
// clock moves it when it is set right. It reads the forms that sysctl has had:
// "{ sec = 1476344326, usec = 0 } Thu Oct 13 ...", "sec = 1476344326" and the
// number alone.
func macBootTime(text string) *timestamppb.Timestamp {
	if _, after, ok := strings.Cut(text, "sec = "); ok {
		text = after
	}
	end := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	if end >= 0 {
		text = text[:end]
	}
	sec, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil
	}
	return unixTime(sec - sec%60)
}

// learnMacLocale learns the language and the time zone of the machine.
func learnMacLocale(_ context.Context, h *host.Host, d *pb.Device) error {
	p, err := readPlist(h, macPreferences+"/.GlobalPreferences.plist")
	a := &attributes{h: h}
	o := osState(d)
	o.Language, o.Timezone = macLanguage(p), a.timezone()
	return errors.Join(err, a.bad.err())
}

// macLanguage returns the language in the form of other systems: de_DE. The
// locale tells more of regions ("en_DE" for English in Germany), and has what
// people chose of formats behind an @.
func macLanguage(p proplist.Dict) string {
	if locale, _, _ := strings.Cut(p.Text("AppleLocale"), "@"); locale != "" {
		return plainText([]byte(locale))
	}
	for _, l := range p.Texts("AppleLanguages") {
		return plainText([]byte(strings.ReplaceAll(l, "-", "_")))
	}
	return ""
}

// learnMacInstallation learns when the machine was set up: macOS leaves a file
// when its assistant is done, and upgrades leave that alone.
func learnMacInstallation(_ context.Context, h *host.Host, d *pb.Device) error {
	at := modTime(h.FS, "var/db/.AppleSetupDone")
	if at == nil {
		return fmt.Errorf("nothing tells when this Mac was set up: %w", errors.ErrUnsupported)
	}
	osState(d).InstalledAt = at
	return nil
}
