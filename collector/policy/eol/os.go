package eol

import (
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// distributions are the products by what os-release calls a distribution (ID).
// What derives from one of them has an id and a life of its own.
var distributions = map[string]string{
	"almalinux": "almalinux", "alpine": "alpine-linux", "amzn": "amazon-linux", "centos": "centos", "debian": "debian", "devuan": "devuan",
	"eurolinux": "eurolinux", "fedora": "fedora", "linuxmint": "linuxmint", "mageia": "mageia", "nixos": "nixos", "ol": "oracle-linux",
	"opensuse": "opensuse", "opensuse-leap": "opensuse", "openwrt": "openwrt", "photon": "photon", "pop": "pop-os", "postmarketos": "postmarketos",
	"rhel": "rhel", "rocky": "rocky-linux", "sl-micro": "suse-linux-micro", "sle-micro": "suse-linux-micro", "sled": "sles", "sles": "sles",
	"sles_sap": "sles", "slackware": "slackware", "steamos": "steamos", "ubuntu": "ubuntu",
}

// names are how the names of distributions begin, for those who tell no id; the
// first that fits counts.
var names = []struct{ begin, id string }{
	{"almalinux", "almalinux"}, {"alpine linux", "alpine"}, {"amazon linux", "amzn"}, {"centos", "centos"}, {"debian", "debian"}, {"devuan", "devuan"},
	{"fedora", "fedora"}, {"linux mint", "linuxmint"}, {"lmde", "linuxmint"}, {"mageia", "mageia"}, {"opensuse leap", "opensuse-leap"},
	{"oracle linux", "ol"}, {"pop!_os", "pop"}, {"red hat enterprise linux coreos", "rhcos"}, {"red hat enterprise linux", "rhel"}, {"rocky linux", "rocky"},
	{"suse linux enterprise micro", "sle-micro"}, {"suse linux enterprise server", "sles"}, {"suse linux enterprise desktop", "sled"},
	{"ubuntu core", "ubuntu-core"}, {"ubuntu", "ubuntu"}, {"vmware photon", "photon"},
}

// families are the products of families that are one.
var families = map[string]string{
	"macos": "macos", "ios": "ios", "ipados": "ipados", "tvos": "tvos", "watchos": "watchos", "visionos": "visionos", "android": "android",
	"freebsd": "freebsd", "openbsd": "openbsd", "netbsd": "netbsd",
}

// OS returns the product that an operating system is, and its release; not ok
// where either is not known.
func (t *Table) OS(os *pb.Os) (*Product, *Release, bool) {
	if os.GetFamily() == "windows" {
		return t.windows(os)
	}
	product, version := families[os.GetFamily()], strings.ToLower(strings.TrimSpace(os.GetVersion()))
	if os.GetFamily() == "linux" {
		product, version = linux(os, version)
	}
	p, ok := t.Product(product)
	if !ok {
		return nil, nil, false
	}
	r, ok := p.Cycle(version)
	return p, r, ok
}

// linux returns the product that a distribution is, and its version as the
// data has it.
func linux(os *pb.Os, version string) (string, string) {
	id, name := strings.ToLower(os.GetId()), strings.ToLower(os.GetName())
	if id == "" {
		for _, n := range names {
			if strings.HasPrefix(name, n.begin) {
				id = n.id
				break
			}
		}
	}
	product := distributions[id]
	switch {
	case product == "centos" && strings.Contains(name, "stream"):
		product = "centos-stream"
	case product == "linuxmint" && strings.HasPrefix(name, "lmde"):
		version = "lmde" + version // it follows Debian and counts from one
	case product == "sles" && !strings.Contains(version, "."):
		version = strings.NewReplacer("-sp", ".", " sp", ".").Replace(version)
		if !strings.Contains(version, ".") {
			version += ".0" // 15 is the one before 15 SP1
		}
	}
	return product, version
}

var (
	year    = regexp.MustCompile(`20[0-9]{2}( r2)?`)
	feature = regexp.MustCompile(`^[0-9]{2}(?:h[12]|0[1-9]|1[0-2])$`)
	build   = regexp.MustCompile(`^(?:(?:10\.0|6\.[1-3])\.)?([0-9]{4,5})(?:\.[0-9]+)?$`)
	// before are those releases of Windows that have a name of their own.
	before = regexp.MustCompile(`windows (7|8\.1|8)\b`)
	// plain is the name of a release that is the same for all editions.
	plain = regexp.MustCompile(`^1[01]-[0-9a-z]+$`)
)

// windows finds a release of Windows by what names it or, where only the number
// of the build is told, by that.
func (t *Table) windows(os *pb.Os) (*Product, *Release, bool) {
	name, product := strings.ToLower(os.GetName()), "windows"
	if strings.Contains(name, "server") {
		product = "windows-server"
	}
	// These have other lives than what they share the builds with.
	if strings.Contains(name, "embedded") || strings.Contains(name, "iot core") || strings.Contains(name, "azure stack") {
		return nil, nil, false
	}
	p, ok := t.Product(product)
	if !ok {
		return nil, nil, false
	}
	number := ""
	for _, text := range []string{os.GetBuild(), os.GetVersion(), os.GetKernel()} {
		if m := build.FindStringSubmatch(text); m != nil {
			number = m[1]
			break
		}
	}
	version := strings.ToLower(os.GetVersion())
	for _, cycle := range cycles(product, name, strings.ToLower(os.GetEdition()), version) {
		if r := p.byName[cycle]; r != nil && r.built(number) {
			return p, r, true
		}
	}
	if r := p.byBuild(number, name, strings.ToLower(os.GetEdition())); r != nil {
		return p, r, true
	}
	return nil, nil, false
}

// cycles returns the names that a release of Windows may have in the data, the
// likeliest first.
func cycles(product, name, edition, version string) (out []string) {
	if product == "windows-server" {
		if y := year.FindString(name); y != "" {
			return []string{strings.ReplaceAll(y, " ", "-")}
		}
		return []string{version + "-ac", version + "-sac"}
	}
	if m := before.FindStringSubmatch(name); m != nil {
		return []string{m[1]}
	}
	if !feature.MatchString(version) {
		return nil
	}
	for _, major := range []string{"11", "10"} {
		if strings.Contains(name, "windows "+major) {
			for _, kind := range kinds(name, edition) {
				out = append(out, major+"-"+version+kind)
			}
		}
	}
	return out
}

// kinds are the ends of names of releases of Windows 10 and 11 that an edition has,
// the likeliest first: those of Enterprise and Education live longer than those of
// Home and Pro, of which Pro Education is one.
func kinds(name, edition string) []string {
	lasting := strings.Contains(name, "ltsc") || strings.Contains(name, "ltsb") || slices.Contains([]string{"enterprises", "enterprisesn", "iotenterprises", "iotenterprisesk"}, edition)
	both := name + " " + edition
	switch {
	case lasting && strings.Contains(both, "iot"):
		return []string{"-iot-lts", "-e-lts"}
	case lasting:
		return []string{"-e-lts"}
	case strings.Contains(edition, "professional") || strings.Contains(name, " pro") || strings.Contains(name, " home") || strings.HasPrefix(edition, "core"):
		return []string{"-w", ""}
	case strings.Contains(both, "enterprise") || strings.Contains(both, "education") || edition == "serverrdsh":
		return []string{"-e", ""}
	}
	return []string{""} // who does not tell the edition is told nothing that depends on it
}

// built tells whether a release may have a build; any may where none is told.
func (r *Release) built(number string) bool {
	return number == "" || r.Latest == "" || strings.HasSuffix(r.Latest, "."+number)
}

// byBuild returns the release of a build, nil where there are several of which an
// edition does not tell one.
func (p *Product) byBuild(number, name, edition string) *Release {
	if number == "" {
		return nil
	}
	var found []*Release
	for _, r := range p.Releases {
		// Of those before Windows 7, several had one build.
		if strings.HasSuffix(r.Latest, "."+number) && !strings.HasPrefix(r.Latest, "5.") {
			found = append(found, r)
		}
	}
	if len(found) == 1 {
		return found[0]
	}
	for _, kind := range kinds(name, edition) {
		var of []*Release
		for _, r := range found {
			if kind != "" && strings.HasSuffix(r.Name, kind) || kind == "" && plain.MatchString(r.Name) {
				of = append(of, r)
			}
		}
		if len(of) == 1 {
			return of[0]
		}
	}
	return nil
}

// Derive fills in what the data says of an asset's operating system: its release
// cycle, the last day of support, and that support has ended where no day is
// known. What a source states stays.
func (t *Table) Derive(a *pb.Asset) {
	p, r, ok := t.OS(a.GetOs())
	if !ok {
		return
	}
	// The message is shared with the observation: change a copy.
	a.Os = proto.CloneOf(a.Os)
	if a.Os.Cycle == "" {
		a.Os.Cycle = p.Name + " " + r.Name
	}
	switch {
	case a.Os.Eol != "":
	case !r.EOL.IsZero():
		a.Os.Eol = r.EOL.Format("2006-01-02")
	case a.Os.Supported == nil:
		a.Os.Supported = proto.Bool(!r.Ended)
	}
}
