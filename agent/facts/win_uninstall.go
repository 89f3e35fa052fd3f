package facts

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/agent/facts/hive"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	// uninstallKey is where programs say how they are removed, below the
	// SOFTWARE of the machine and of each user.
	uninstallKey = `Microsoft\Windows\CurrentVersion\Uninstall`
	// wow64 is the part of SOFTWARE that 32-bit programs see as the whole.
	wow64 = `WOW6432Node\`

	kindMSI = "msi"
	kindEXE = "exe"
)

// uninstallWatch are the keys of which one changes when programs of the machine
// do.
var uninstallWatch = []string{softwareHive + uninstallKey, softwareHive + wow64 + uninstallKey}

// uninstallOfPeople are those for people's own: of whoever is logged on, and the
// list of the people, since the parts of the registry of those who are not change
// while they are. They change whenever somebody logs on, on some servers all day.
var uninstallOfPeople = []string{
	anyUser + `Software\` + uninstallKey, anyUser + `Software\` + wow64 + uninstallKey,
	profilesKey,
}

// uninstallRoot is one of the keys below which programs are listed.
type uninstallRoot struct {
	path, architecture string
	// profile is the folder of the user who alone has the program, "" for the
	// whole machine's.
	profile string
	// hive is the user's file where the registry does not have it loaded.
	hive *hive.Hive
}

// learnUninstall lists the programs that Windows lists for removal: those of
// the machine, of its 32-bit part, and of every user.
func learnUninstall(_ context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	msi, exe := newSoftwareRows(kindMSI), newSoftwareRows(kindEXE)
	defer r.close()
	products, uses := r.products(), r.lastUses()
	found := false
	for _, root := range r.uninstallRoots() {
		list := r.below(root, "")
		found = found || list.found()
		for _, name := range list.subkeys() {
			p := program{id: name, key: r.below(root, `\`+name), r: r}
			if !p.installed(products) {
				continue
			}
			rows := exe
			if p.key.is("WindowsInstaller", 1) {
				rows = msi
			}
			p.fill(rows, root, uses)
		}
	}
	r.bad.add(addSoftware(d, append(msi.rows, exe.rows...)))
	return r.err(found, "no list of programs")
}

// below returns a key under one of the lists.
func (r *winreg) below(root uninstallRoot, rest string) regKey {
	if root.hive == nil {
		return r.key(root.path, rest)
	}
	return r.hiveKey(root.profile, root.hive, root.path+rest)
}

// uninstallRoots returns the keys of this machine and its people, some of them in
// files that are open until close.
func (r *winreg) uninstallRoots() []uninstallRoot {
	native := map[string]string{"x86": "x86", "AMD64": "x86_64"}[r.processorArchitecture()]
	roots := []uninstallRoot{
		{path: softwareHive + uninstallKey, architecture: native},
		{path: softwareHive + wow64 + uninstallKey, architecture: "x86"},
	}
	for _, p := range append(r.people(), person{r: r, sid: localSystem}) {
		software := `Software\`
		if p.hive == nil {
			software = `HKU\` + p.sid + `\Software\`
		}
		roots = append(roots, uninstallRoot{path: software + uninstallKey, profile: p.profile, hive: p.hive},
			uninstallRoot{path: software + wow64 + uninstallKey, architecture: "x86", profile: p.profile, hive: p.hive})
	}
	return roots
}

// processorArchitecture returns Windows's own name of what it runs on: AMD64,
// ARM64 or x86. Only programs of the machine's own kind stand in the 64-bit list
// of x86_64; on ARM64 they can be of two.
func (r *winreg) processorArchitecture() string {
	return r.key(systemHive, `Control\Session Manager\Environment`).text("PROCESSOR_ARCHITECTURE")
}

// products returns the codes of the products that Windows Installer has, in
// its packed form, for the machine and for users. It is empty where that
// cannot be seen.
func (r *winreg) products() map[string]bool {
	const userData = windowsKey + `Installer\UserData`
	out := make(map[string]bool)
	for _, sid := range r.key(userData).subkeys() {
		for _, code := range r.key(userData, `\`, sid, `\Products`).subkeys() {
			out[strings.ToUpper(code)] = true
		}
	}
	return out
}

// program is one entry of the list.
type program struct {
	id  string
	key regKey
	r   *winreg
}

// installed tells whether an entry is a program of its own that is there. Many
// keys only note that a part of Windows is present and have no name; updates
// are a matter of the patch state; parts of a larger product are hidden by it;
// and a product that Windows Installer no longer knows has left its entry
// behind.
func (p program) installed(products map[string]bool) bool {
	switch {
	case p.key.text("DisplayName") == "", p.key.is("SystemComponent", 1), p.isUpdate():
		return false
	case !p.key.is("WindowsInstaller", 1) || len(products) == 0:
		return true
	}
	packed := packedCode(p.id)
	return packed == "" || products[packed]
}

// isUpdate tells whether an entry is an update of another program.
func (p program) isUpdate() bool {
	return p.key.text("ParentKeyName") != "" || p.key.text("ParentDisplayName") != "" || isUpdateType(p.key.text("ReleaseType"))
}

// updateTypes are the release types of what is no program.
var updateTypes = []string{"Hotfix", "Security Update", "Software Update", "Update", "Update Rollup", "Service Pack", "ServicePack"}

func isUpdateType(release string) bool {
	return slices.ContainsFunc(updateTypes, func(t string) bool { return strings.EqualFold(t, release) })
}

// fill makes the row of a program.
func (p program) fill(rows *softwareRows, root uninstallRoot, uses lastUses) {
	row := rows.add([]byte(p.key.text("DisplayName")), []byte(p.version()))
	row.Publisher = rows.share([]byte(p.key.text("Publisher")))
	row.Architecture, row.ProductId = root.architecture, softwareText([]byte(p.id))
	folder := p.r.folder(p.key.text("InstallLocation"))
	row.Location = folder
	if folder == "" {
		// Whose program it is shows in where it lies, at least roughly.
		row.Location = root.profile
		icon, _, _ := strings.Cut(p.key.text("DisplayIcon"), ",")
		folder = p.r.folder(icon)
	}
	row.LastUsedAt = stamp(uses.under(folder))
	row.InstalledAt = p.installedAt()
	// In KiB, by convention.
	if kib, ok := p.key.number("EstimatedSize"); ok && kib > 0 && kib < 1<<40 {
		row.SizeBytes = proto.Int64(int64(kib) << 10)
	}
}

// version returns what a program calls its version, otherwise the numbers that
// Windows Installer keeps.
func (p program) version() string {
	if text := p.key.text("DisplayVersion"); text != "" {
		return text
	}
	if n, ok := p.key.number("Version"); ok && n > 0 && n <= 1<<32-1 && p.key.is("WindowsInstaller", 1) {
		return fmt.Sprintf("%d.%d.%d", n>>24, n>>16&0xff, n&0xffff)
	}
	major, ok := p.key.number("VersionMajor")
	if minor, also := p.key.number("VersionMinor"); ok && also && major+minor > 0 {
		return fmt.Sprintf("%d.%d", major, minor)
	}
	return ""
}

// installedAt returns the day that the installer has noted, otherwise when the
// entry was last written, which is that of the last upgrade.
func (p program) installedAt() *timestamppb.Timestamp {
	if t := installDate(p.key.text("InstallDate")); !t.IsZero() && t.Before(p.r.h.Now().AddDate(0, 0, 2)) {
		return stamp(t)
	}
	return p.key.written()
}

// installDate reads the day of an installation: yyyymmdd by convention. Others
// write it as their country does; where the day cannot be told from the month,
// it is not guessed. Some write the seconds since 1970.
func installDate(text string) time.Time {
	for _, layout := range []string{"20060102", time.DateOnly, "2006/01/02", "2006.01.02", "02.01.2006"} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() >= 1990 {
			return t
		}
	}
	var a, b, year int
	if n, err := fmt.Sscanf(text, "%d/%d/%d", &a, &b, &year); err == nil && n == 3 && year >= 1990 && year < 10_000 {
		switch {
		case a > 12 && a <= 31 && b >= 1 && b <= 12:
			return time.Date(year, time.Month(b), a, 0, 0, 0, 0, time.UTC)
		case b > 12 && b <= 31 && a >= 1 && a <= 12, a == b && a >= 1 && a <= 12:
			return time.Date(year, time.Month(a), b, 0, 0, 0, 0, time.UTC)
		}
		return time.Time{}
	}
	var sec int64
	if n, err := fmt.Sscanf(text, "%d", &sec); err == nil && n == 1 && len(text) == 10 && sec > 631152000 {
		return time.Unix(sec, 0).UTC().Truncate(24 * time.Hour)
	}
	return time.Time{}
}

// folder returns a path without the quotes, blanks and slashes around it that
// installers leave, and with its variables replaced.
func (r *winreg) folder(text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(strings.Trim(strings.TrimSpace(text), `"`)), "/", `\`)
	text = r.expand(text)
	if len(text) > len(`C:\`) {
		text = strings.TrimRight(text, `\`)
	}
	return text
}

// packedCode returns a product code as Windows Installer names its keys: the
// digits of the first three parts of the GUID in reverse, those of the rest in
// pairs. It is "" for what is no GUID.
func packedCode(guid string) string {
	if len(guid) != 38 || guid[0] != '{' || guid[37] != '}' {
		return ""
	}
	parts := strings.Split(strings.ToUpper(guid[1:37]), "-")
	if len(parts) != 5 || len(parts[0]) != 8 || len(parts[1]) != 4 || len(parts[2]) != 4 || len(parts[3]) != 4 {
		return ""
	}
	var out []byte
	for i, part := range parts {
		b := []byte(part)
		if strings.Trim(part, "0123456789ABCDEF") != "" {
			return ""
		}
		if i < 3 {
			slices.Reverse(b)
		} else {
			for at := 0; at+1 < len(b); at += 2 {
				b[at], b[at+1] = b[at+1], b[at]
			}
		}
		out = append(out, b...)
	}
	return string(out)
}
