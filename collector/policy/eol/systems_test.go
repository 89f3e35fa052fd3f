package eol

import (
	"os"
	"strings"
	"testing"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Over 200 systems, as os-release, sw_vers and the registry of Windows name them:
// which release each is of was said by hand, and until when that is supported was
// read off the files of endoflife.date by another program (testdata/SOURCES.md).
// What agent/facts makes of the same lines is tested there.
func TestSystems(t *testing.T) {
	table, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("testdata/systems.tsv")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")[1:]
	if len(lines) < 200 {
		t.Fatalf("there are %d systems, want 200", len(lines))
	}
	family := map[string]string{"os-release": "linux", "sw_vers": "macos", "registry": "windows"}
	for i, line := range lines {
		f := strings.Split(line, "\t")
		if len(f) != 9 || family[f[0]] == "" {
			t.Fatalf("line %d: %d fields", i+2, len(f))
		}
		a := &pb.Asset{Os: &pb.Os{Family: family[f[0]], Id: f[2], Name: f[3], Version: f[4], Build: f[5], Edition: f[6]}}
		table.Derive(a)
		cycle, until := "-", "-"
		if a.Os.Cycle != "" {
			cycle = a.Os.Cycle
		}
		switch {
		case a.Os.Eol != "":
			until = a.Os.Eol
		case a.Os.Supported != nil && *a.Os.Supported:
			until = "supported"
		case a.Os.Supported != nil:
			until = "ended"
		}
		if cycle != f[7] || until != f[8] {
			t.Errorf("line %d: %s %s %s: it is %s until %s, want %s until %s", i+2, f[3], f[4], f[5], cycle, until, f[7], f[8])
		}
	}
}

// Who manages devices tells less than their agents do: a number where Windows has
// a name, and often no edition. Nothing is guessed from that.
func TestSystemsThatTellLittle(t *testing.T) {
	table, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		os   *pb.Os
		want string
	}{
		{&pb.Os{Family: "windows", Version: "10.0.19045.4412"}, "windows 10-22h2"},
		{&pb.Os{Family: "windows", Name: "Windows", Version: "10.0.22631.4317", Edition: "Enterprise"}, "windows 11-23h2-e"},
		{&pb.Os{Family: "windows", Name: "Windows 11 Pro", Version: "10.0.22631"}, "windows 11-23h2-w"},
		{&pb.Os{Family: "windows", Name: "Windows 10 Pro", Version: "22H2", Build: "22621.1"}, "windows 11-22h2-w"},
		{&pb.Os{Family: "windows", Name: "Windows", Version: "10.0.22631.4317"}, ""},
		{&pb.Os{Family: "windows", Name: "Windows 11", Version: "23H2"}, ""},
		{&pb.Os{Family: "windows", Name: "Windows Server", Version: "10.0.20348.1"}, "windows-server 2022"},
		{&pb.Os{Family: "windows", Name: "Windows Server", Version: "10.0.17763.1"}, ""},
		{&pb.Os{Family: "windows", Name: "Windows XP", Version: "5.1", Build: "2600"}, ""},
		{&pb.Os{Family: "windows"}, ""},
		{&pb.Os{Family: "linux", Name: "Red Hat Enterprise Linux CoreOS", Version: "4.14"}, ""},
		{&pb.Os{Family: "linux", Name: "SUSE Linux Enterprise Server 15-SP5", Version: "15-SP5"}, "sles 15.5"},
		{&pb.Os{Family: "linux", Name: "Ubuntu Core 22", Version: "22.04"}, ""},
		{&pb.Os{Family: "linux", Id: "kali", Name: "Debian GNU/Linux", Version: "12"}, ""},
		{&pb.Os{Family: "tvos", Version: "17.4"}, "tvos 17"},
	} {
		a := &pb.Asset{Os: tc.os}
		table.Derive(a)
		if got := a.GetOs().GetCycle(); got != tc.want {
			t.Errorf("%v is of cycle %q, want %q", tc.os, got, tc.want)
		}
	}
}
