package advisory

import (
	"testing"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// A system is a release of a distribution by its own identifier, or by the
// beginning of its name; what is derived from one is another.
func TestScopeOf(t *testing.T) {
	for _, tc := range []struct {
		os   *pb.Os
		want string
	}{
		{&pb.Os{Family: "linux", Id: "debian", Name: "Debian GNU/Linux", Version: "12.9"}, "Debian:12"},
		{&pb.Os{Family: "linux", Id: "debian", Name: "Debian GNU/Linux", Version: ""}, ""},
		{&pb.Os{Family: "linux", Name: "Debian GNU/Linux 13 (trixie)", Version: "13"}, "Debian:13"},
		{&pb.Os{Family: "linux", Id: "raspbian", Name: "Debian GNU/Linux", Version: "12"}, ""},
		{&pb.Os{Family: "linux", Id: "ubuntu", Name: "Ubuntu", Version: "24.04"}, "Ubuntu:24.04"},
		{&pb.Os{Family: "linux", Name: "Ubuntu 22.04.4 LTS", Version: "22.04.4"}, "Ubuntu:22.04"},
		{&pb.Os{Family: "linux", Id: "linuxmint", Name: "Linux Mint", Version: "22"}, ""},
		{&pb.Os{Family: "linux", Id: "alpine", Name: "Alpine Linux", Version: "3.19.1"}, "Alpine:3.19"},
		{&pb.Os{Family: "linux", Id: "alpine", Name: "Alpine Linux", Version: "3.22_alpha20250108"}, ""},
		{&pb.Os{Family: "linux", Id: "rocky", Name: "Rocky Linux", Version: "9.4"}, "Rocky Linux:9"},
		{&pb.Os{Family: "linux", Id: "almalinux", Name: "AlmaLinux", Version: "8.10"}, "AlmaLinux:8"},
		{&pb.Os{Family: "linux", Id: "rhel", Name: "Red Hat Enterprise Linux", Version: "9.4"}, "Red Hat:9"},
		{&pb.Os{Family: "linux", Id: "centos", Name: "CentOS Stream", Version: "9"}, ""},
		{&pb.Os{Family: "linux", Id: "opensuse-leap", Name: "openSUSE Leap", Version: "15.6"}, "openSUSE:15.6"},
		{&pb.Os{Family: "linux", Id: "opensuse-tumbleweed", Name: "openSUSE Tumbleweed", Version: "20261120"}, "openSUSE:Tumbleweed"},
		{&pb.Os{Family: "linux", Id: "sles", Name: "SLES", Version: "15.5"}, "SUSE:15.5"},
		{&pb.Os{Family: "linux", Id: "sles", Name: "SLES", Version: "15"}, "SUSE:15"},
		{&pb.Os{Family: "linux", Name: "SUSE Linux Enterprise Server 12 SP5", Version: "12 SP5"}, "SUSE:12.5"},
		{&pb.Os{Family: "windows", Id: "debian", Name: "Windows 11", Version: "24H2"}, ""},
		{nil, ""},
	} {
		if got := ScopeOf(tc.os); got != tc.want {
			t.Errorf("%v is %q, want %q", tc.os, got, tc.want)
		}
	}
}

func TestEcosystems(t *testing.T) {
	for ecosystem, want := range map[string]string{
		"Debian:12": "Debian:12", "Debian": "", "Ubuntu:22.04:LTS": "Ubuntu:22.04", "Ubuntu:25.10": "Ubuntu:25.10", "Ubuntu:Pro:22.04:LTS": "", "Ubuntu:22.04:LTS:for:NVIDIA:BlueField": "",
		"Alpine:v3.19": "Alpine:3.19", "Rocky Linux:9": "Rocky Linux:9", "AlmaLinux:8": "AlmaLinux:8", "Red Hat:enterprise_linux:8::baseos": "Red Hat:8", "Red Hat:enterprise_linux:10.0": "Red Hat:10",
		"Red Hat:rhel_eus:9.2::baseos": "", "Red Hat:enterprise_linux:9.4::baseos": "", "openSUSE:Leap 15.5": "openSUSE:15.5", "openSUSE:Tumbleweed": "openSUSE:Tumbleweed",
		"SUSE:Linux Enterprise Server 15 SP5": "SUSE:15.5", "SUSE:Linux Enterprise Server 15": "SUSE:15", "SUSE:Linux Enterprise Server 15 SP3-LTSS": "", "SUSE:Linux Enterprise Module for Basesystem 15 SP6": "SUSE:15.6",
		"PyPI": "", "npm": "", "": "",
	} {
		if got := scopeOfEcosystem(ecosystem); got != want {
			t.Errorf("%q is %q, want %q", ecosystem, got, want)
		}
	}
}

// Scores of the examples of FIRST (https://www.first.org/cvss/v3.1/examples).
func TestCVSS(t *testing.T) {
	for vector, want := range map[string]float64{
		"CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N": 6.1,
		"CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N": 6.4,
		"CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N": 3.1,
		"CVSS:3.1/AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L": 4.2,
		"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H": 9.8,
		"CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H": 9.9,
		"CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N": 7.5,
		"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N": 0,
	} {
		if got, ok := cvss3(vector); !ok || got != want {
			t.Errorf("%s scores %v (%v), want %v", vector, got, ok, want)
		}
	}
	for _, vector := range []string{"", "CVSS:4.0/AV:N", "AV:N/AC:L/Au:N/C:P/I:P/A:P", "CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "CVSS:3.1/AV:N", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:Z/C:H/I:H/A:H"} {
		if got, ok := cvss3(vector); ok {
			t.Errorf("%q scores %v", vector, got)
		}
	}
}

func TestNameFor(t *testing.T) {
	for from, want := range map[string]string{
		"https://osv-vulnerabilities.storage.googleapis.com/Debian/all.zip": "debian", "https://mirror.example/Rocky%20Linux/all.zip?x=1": "rocky-linux",
		"/srv/osv/Alpine/": "alpine", "/srv/known.json": "known", "all.zip": "all", "known-exploited.json": "advisories", "///": "advisories", "Größe.ndjson": "gr--e",
	} {
		if got := NameFor(from); got != want {
			t.Errorf("%q is kept as %q, want %q", from, got, want)
		}
	}
}
