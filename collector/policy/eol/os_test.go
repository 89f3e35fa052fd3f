package eol

import (
	"testing"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Systems as agents and management systems name them.
func TestOperatingSystemsAreMatched(t *testing.T) {
	table, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		os   *pb.Os
		want string
	}{
		{&pb.Os{Family: "linux", Name: "Debian GNU/Linux 12 (bookworm)", Version: "12.9"}, "debian 12"},
		{&pb.Os{Family: "linux", Name: "Ubuntu 24.04.2 LTS", Version: "24.04.2"}, "ubuntu 24.04"},
		{&pb.Os{Family: "linux", Name: "Red Hat Enterprise Linux 9.4 (Plow)", Version: "9.4"}, "rhel 9"},
		{&pb.Os{Family: "linux", Name: "Rocky Linux", Version: "8.10"}, "rocky-linux 8"},
		{&pb.Os{Family: "linux", Name: "AlmaLinux 9.3", Version: "9.3"}, "almalinux 9"},
		{&pb.Os{Family: "linux", Name: "CentOS Linux 7 (Core)", Version: "7"}, "centos 7"},
		{&pb.Os{Family: "linux", Name: "CentOS Stream 9", Version: "9"}, "centos-stream 9"},
		{&pb.Os{Family: "linux", Name: "Fedora Linux 41 (Workstation Edition)", Version: "41"}, "fedora 41"},
		{&pb.Os{Family: "linux", Name: "Amazon Linux 2", Version: "2"}, "amazon-linux 2"},
		{&pb.Os{Family: "linux", Name: "SUSE Linux Enterprise Server 15 SP5", Version: "15.5"}, "sles 15.5"},
		{&pb.Os{Family: "linux", Name: "openSUSE Leap 15.6", Version: "15.6"}, "opensuse 15.6"},
		{&pb.Os{Family: "linux", Name: "Alpine Linux v3.19", Version: "3.19.1"}, "alpine-linux 3.19"},
		{&pb.Os{Family: "linux", Name: "Oracle Linux Server 8.9", Version: "8.9"}, "oracle-linux 8"},
		{&pb.Os{Family: "linux", Name: "Linux Mint 22.1", Version: "22.1"}, "linuxmint 22.1"},
		{&pb.Os{Family: "windows", Name: "Windows 11 Pro", Version: "24H2", Build: "26100.1"}, "windows 11-24h2-w"},
		{&pb.Os{Family: "windows", Name: "Windows 11 Enterprise", Version: "23H2"}, "windows 11-23h2-e"},
		{&pb.Os{Family: "windows", Name: "Windows 10 Pro", Version: "22H2"}, "windows 10-22h2"},
		{&pb.Os{Family: "windows", Name: "Windows Server 2022 Datacenter", Version: "21H2"}, "windows-server 2022"},
		{&pb.Os{Family: "windows", Name: "Windows Server 2012 R2 Standard"}, "windows-server 2012-r2"},
		{&pb.Os{Family: "macos", Name: "macOS", Version: "14.5"}, "macos 14"},
		{&pb.Os{Family: "macos", Name: "macOS Catalina", Version: "10.15.7"}, "macos 10.15"},
		{&pb.Os{Family: "ios", Version: "17.4.1"}, "ios 17"}, {&pb.Os{Family: "ipados", Version: "16.7"}, "ipados 16"},
		{&pb.Os{Family: "android", Version: "13"}, "android 13"},
		{&pb.Os{Family: "freebsd", Version: "14.2-RELEASE"}, "freebsd 14.2"},
		{&pb.Os{Family: "linux", Name: "Debian GNU/Linux", Version: "99"}, ""},
		{&pb.Os{Family: "linux", Name: "Nobody's Linux", Version: "1"}, ""},
		{nil, ""},
	} {
		a := &pb.Asset{Os: tc.os}
		table.Derive(a)
		if got := a.GetOs().GetCycle(); got != tc.want {
			t.Errorf("%v is of cycle %q, want %q", tc.os, got, tc.want)
		}
		if tc.want != "" && a.GetOs().GetEol() == "" && a.GetOs().Supported == nil {
			t.Errorf("%s: it is not said how long it is supported", tc.want)
		}
		if tc.os.GetCycle() != "" {
			t.Errorf("%v: what a source said was modified", tc.os)
		}
	}
}

// What a source says of the end of support stays.
func TestStatedSupportStays(t *testing.T) {
	table, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	a := &pb.Asset{Os: &pb.Os{Family: "macos", Version: "14.5", Cycle: "sonoma", Eol: "2030-01-01"}}
	table.Derive(a)
	if a.Os.Cycle != "sonoma" || a.Os.Eol != "2030-01-01" {
		t.Errorf("it became %v", a.Os)
	}
}
