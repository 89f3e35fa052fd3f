package advisory

import (
	"regexp"
	"strings"

	"github.com/rollcall-itam/rollcall/pkg/pkgversion"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// distribution is one whose advisories name its packages exactly.
type distribution struct {
	// kind is that of its packages, and order its order of versions.
	kind  string
	order func(a, b string) int
	// source tells that advisories name source packages, not what is installed.
	source bool
}

// distributions are by the first part of a scope.
var distributions = map[string]*distribution{
	"Debian":      {kind: "deb", order: pkgversion.Deb, source: true},
	"Ubuntu":      {kind: "deb", order: pkgversion.Deb, source: true},
	"Alpine":      {kind: "apk", order: pkgversion.APK, source: true},
	"Rocky Linux": {kind: "rpm", order: pkgversion.RPM, source: true},
	"AlmaLinux":   {kind: "rpm", order: pkgversion.RPM},
	"Red Hat":     {kind: "rpm", order: pkgversion.RPM},
	"openSUSE":    {kind: "rpm", order: pkgversion.RPM},
	"SUSE":        {kind: "rpm", order: pkgversion.RPM},
}

func distributionOf(scope string) *distribution {
	name, _, _ := strings.Cut(scope, ":")
	return distributions[name]
}

// ecosystems are what OSV calls releases of distributions
// (https://ossf.github.io/osv-schema/#defined-ecosystems), and the scopes that
// they are to us: releases with extended support that has to be paid for are none,
// since a device does not tell whether it has that.
var ecosystems = []struct {
	form  *regexp.Regexp
	scope string
}{
	{regexp.MustCompile(`^Debian:(\d+)$`), "Debian:$1"},
	{regexp.MustCompile(`^Ubuntu:(\d+\.\d+)(?::LTS)?$`), "Ubuntu:$1"},
	{regexp.MustCompile(`^Alpine:v(\d+\.\d+)$`), "Alpine:$1"},
	{regexp.MustCompile(`^Rocky Linux:(\d+)$`), "Rocky Linux:$1"},
	{regexp.MustCompile(`^AlmaLinux:(\d+)$`), "AlmaLinux:$1"},
	{regexp.MustCompile(`^Red Hat:enterprise_linux:(\d+)(?:\.0)?(?:::(?:appstream|baseos|crb|highavailability|nfv|realtime|resilientstorage|sap|sap_hana|supplementary|server|client|workstation|computenode))?$`), "Red Hat:$1"},
	{regexp.MustCompile(`^openSUSE:Leap (\d+\.\d+)$`), "openSUSE:$1"},
	{regexp.MustCompile(`^openSUSE:(Tumbleweed)$`), "openSUSE:$1"},
	{regexp.MustCompile(`^SUSE:Linux Enterprise (?:Server|Desktop|Micro|Module for [A-Za-z ]+) (\d+)(?: SP(\d))?$`), "SUSE:$1.$2"},
}

// scopeOfEcosystem returns the scope of an ecosystem, empty for one that is not
// used.
func scopeOfEcosystem(ecosystem string) string {
	for _, e := range ecosystems {
		if m := e.form.FindStringSubmatchIndex(ecosystem); m != nil {
			return strings.TrimSuffix(string(e.form.ExpandString(nil, e.scope, ecosystem, m)), ".")
		}
	}
	return ""
}

// systems are what os-release calls distributions (ID), how their names begin,
// and which part of their version names the release. Derivatives have packages of
// their own and are none of these.
var systems = []struct {
	id, name, scope string
	version         *regexp.Regexp
}{
	{"debian", "debian gnu/linux", "Debian", major}, {"ubuntu", "ubuntu", "Ubuntu", minor}, {"alpine", "alpine linux", "Alpine", minor},
	{"rocky", "rocky linux", "Rocky Linux", major}, {"almalinux", "almalinux", "AlmaLinux", major},
	{"rhel", "red hat enterprise linux", "Red Hat", major}, {"opensuse-leap", "opensuse leap", "openSUSE", minor},
	{"sles", "suse linux enterprise server", "SUSE", servicePack}, {"sled", "suse linux enterprise desktop", "SUSE", servicePack},
}

var (
	major       = regexp.MustCompile(`^\d+`)
	minor       = regexp.MustCompile(`^\d+\.\d+`)
	servicePack = regexp.MustCompile(`^\d+(?:(?:\.|-SP| SP)\d+)?`)
)

// ScopeOf returns the release of a distribution that an operating system is;
// empty where its packages have no order that advisories could be compared by,
// or it is not told which release it is.
func ScopeOf(os *pb.Os) string {
	if os.GetFamily() != "linux" {
		return ""
	}
	name := strings.ToLower(os.GetName())
	if os.GetId() == "opensuse-tumbleweed" || os.GetId() == "" && strings.HasPrefix(name, "opensuse tumbleweed") {
		return "openSUSE:Tumbleweed"
	}
	for _, s := range systems {
		if os.GetId() != s.id && (os.GetId() != "" || !strings.HasPrefix(name, s.name)) {
			continue
		}
		version := s.version.FindString(os.GetVersion())
		if version == "" || strings.Contains(os.GetVersion(), "_alpha") { // Alpine's edge, which has no advisories
			return ""
		}
		version = strings.NewReplacer("-SP", ".", " SP", ".").Replace(version)
		if s.scope == "SUSE" {
			version = strings.TrimSuffix(version, ".0")
		}
		return s.scope + ":" + version
	}
	return ""
}

// Packages tells whether a scope's packages are of the kind.
func Packages(scope, kind string) bool {
	d := distributionOf(scope)
	return d != nil && d.kind == kind
}

// modular tells whether a version is of a module's package: several streams of a
// module have versions that are not in one order, and which stream is installed
// is not told.
func modular(version string) bool {
	return strings.Contains(version, ".module") || strings.Contains(version, "+module")
}

// installed is a package as the advisories of a distribution name it.
type installed struct{ name, version string }

// lookup returns as what an installed title is looked up, and false for one that
// the distribution's advisories cannot be compared with.
func (d *distribution) lookup(t *pb.Software) (installed, bool) {
	if t.GetKind() != d.kind || d.kind == "rpm" && modular(t.GetVersion()) {
		return installed{}, false
	}
	at := installed{t.GetName(), t.GetVersion()}
	if !d.source {
		return at, at.version != ""
	}
	if s := t.GetSourcePackage(); s != "" {
		at.name = s
	}
	if v := t.GetSourceVersion(); v != "" {
		at.version = v
		if epoch, _, ok := strings.Cut(t.GetVersion(), ":"); ok && d.kind == "rpm" {
			at.version = epoch + ":" + v
		}
	}
	return at, at.version != ""
}
