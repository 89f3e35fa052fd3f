package eol

import (
	"regexp"
	"strings"

	"google.golang.org/protobuf/proto"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// systems are what the names of operating systems say, and the products that they
// are; the first that fits counts.
var systems = []struct{ family, word, product string }{
	{"linux", "centos stream", "centos-stream"}, {"linux", "centos", "centos"}, {"linux", "red hat", "rhel"}, {"linux", "rocky", "rocky-linux"},
	{"linux", "alma", "almalinux"}, {"linux", "oracle", "oracle-linux"}, {"linux", "amazon", "amazon-linux"}, {"linux", "fedora", "fedora"},
	{"linux", "linux mint", "linuxmint"}, {"linux", "ubuntu", "ubuntu"}, {"linux", "debian", "debian"}, {"linux", "alpine", "alpine-linux"},
	{"linux", "opensuse leap", "opensuse"}, {"linux", "suse linux enterprise", "sles"},
	{"windows", "server", "windows-server"}, {"windows", "", "windows"},
	{"macos", "", "macos"}, {"ios", "", "ios"}, {"ipados", "", "ipados"}, {"android", "", "android"}, {"freebsd", "", "freebsd"},
}

// OS returns the product that an operating system is, and its release; not ok
// where either is not known.
func (t *Table) OS(os *pb.Os) (*Product, *Release, bool) {
	name := strings.ToLower(os.GetName())
	for _, s := range systems {
		if s.family != os.GetFamily() || !strings.Contains(name, s.word) {
			continue
		}
		p, ok := t.Product(s.product)
		if !ok {
			return nil, nil, false
		}
		for _, version := range cycles(s.product, os) {
			if r, ok := p.Cycle(version); ok {
				return p, r, true
			}
		}
		return nil, nil, false
	}
	return nil, nil, false
}

var (
	year    = regexp.MustCompile(`20[0-9]{2}( r2)?`)
	feature = regexp.MustCompile(`^[0-9]{2}h[12]$`)
)

// cycles returns the names that an operating system's release may have in the
// data, the likeliest first.
func cycles(product string, os *pb.Os) []string {
	version := strings.ToLower(os.GetVersion())
	switch product {
	case "windows-server":
		return []string{strings.ReplaceAll(year.FindString(strings.ToLower(os.GetName())), " ", "-")}
	case "windows":
		return windows(version, os)
	}
	return []string{version}
}

// windows names a release of Windows for people's computers: 11-24h2-e. Those of
// Enterprise and Education live longer than the others.
func windows(version string, os *pb.Os) []string {
	major := ""
	for _, m := range []string{"11", "10"} {
		if strings.Contains(os.GetName(), m) {
			major = m
			break
		}
	}
	if major == "" || !feature.MatchString(version) {
		return nil
	}
	kind := "-w"
	edition := strings.ToLower(os.GetEdition() + " " + os.GetName())
	switch {
	case strings.Contains(edition, "ltsc"), strings.Contains(edition, "enterprises"):
		kind = "-e-lts"
	case strings.Contains(edition, "enterprise"), strings.Contains(edition, "education"):
		kind = "-e"
	}
	return []string{major + "-" + version + kind, major + "-" + version}
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
