package facts

import (
	"bytes"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestDiskSerials(t *testing.T) {
	for serial, want := range map[string]string{
		"42566332666666303539622d6632643731622031": "VB2cff0f95-b2f7db11", "  WD-WX12A80 ": "WD-WX12A80",
		// Hexadecimal by chance, and what does not become text.
		"0123456789ABCDEF": "0123456789ABCDEF", "4C530001": "4C530001", "": "",
	} {
		if got := swappedSerial(plainText([]byte(serial))); got != want {
			t.Errorf("%q: %q, want %q", serial, got, want)
		}
	}
	for _, c := range []struct{ serial, adapter, want string }{
		{"ACE4_2E61_9000_7804.", "FJ68N   _0000", "FJ68N"}, {"0025_3851_01A1_B2C3.", "S4EVNX0M", "S4EVNX0M"},
		{"0025_3851_01A1_B2C3.", "", "0025_3851_01A1_B2C3."}, {"S4EVNX0M.", "", "S4EVNX0M"}, {"VB56f85924-28919b73", "x", "VB56f85924-28919b73"},
	} {
		if got := diskSerial(queryRow{"SerialNumber": c.serial, "AdapterSerialNumber": c.adapter}); got != c.want {
			t.Errorf("%q of %q: %q, want %q", c.serial, c.adapter, got, c.want)
		}
	}
}

func TestDriverMatches(t *testing.T) {
	const device = `PCI\VEN_1002&DEV_73FF&SUBSYS_23361458&REV_C1\6&EAF386A&0&00000019`
	for pattern, want := range map[string]bool{
		`PCI\VEN_1002&DEV_73FF&REV_C1`: true, `PCI\VEN_1002&DEV_73FF`: true, device[:44]: true,
		`PCI\VEN_1002&DEV_73F`: false, `PCI\VEN_10DE&DEV_73FF`: false, `USB\VEN_1002`: false, "": false, "RDPIDD_INDIRECTDISPLAY": false, `PCI\`: false,
	} {
		if matches(device, pattern) != want {
			t.Errorf("%q: %v", pattern, !want)
		}
	}
}

func TestAdapters(t *testing.T) {
	for _, c := range []struct {
		device, name string
		subtype      uint64
		kind         string
		virtual      bool
	}{
		{`PCI\VEN_8086&DEV_51F0`, "Intel(R) Wi-Fi 6E AX211", 0, "wifi", false},
		{`PCI\VEN_168C`, "Adaptateur r\u00e9seau", 2, "wifi", false},
		{`BTH\MS_BTHPAN\7`, "Bluetooth Device (Personal Area Network)", 0, "bluetooth", false},
		{`USB\VID_1199`, "Sierra Wireless Mobile Broadband", 1, "wwan", false},
		{`ROOT\NET\0000`, "TAP-Windows Adapter V9", 1, "tunnel", true},
		{`SWD\WINTUN\{1}`, "WireGuard Tunnel Wintun", 0, "tunnel", true},
		{`COMPOSITEBUS\1`, "Microsoft Network Adapter Multiplexor Driver", 0, "bond", true},
		{`VMBUS\{F8615163}`, "Microsoft Hyper-V Network Adapter", 1, "ethernet", false},
		{`PCI\VEN_8086`, "Intel(R) Ethernet Connection I219-LM", 1, "ethernet", false},
	} {
		if kind, virtual := adapterKind(c.device, c.name, c.subtype), madeUp(c.device); kind != c.kind || virtual != c.virtual {
			t.Errorf("%s: %s, %v", c.name, kind, virtual)
		}
	}
}

func TestPrefixes(t *testing.T) {
	for _, c := range []struct {
		addresses, masks string
		want             []string
	}{
		{"192.0.2.17;fe80::1;2001:db8::1", "255.255.255.0;64;64", []string{"192.0.2.17/24", "2001:db8::1/64"}},
		{"10.0.0.1", "255.255.254.0", []string{"10.0.0.1/23"}}, {"10.0.0.1", "0.0.0.0", []string{"10.0.0.1/0"}},
		{"10.0.0.1", "255.0.255.0", nil}, {"10.0.0.1", "", nil}, {"10.0.0.1;10.0.0.2", "255.0.0.0", []string{"10.0.0.1/8"}},
		{"fe80::1%5", "64", nil}, {"169.254.3.4", "255.255.0.0", nil}, {"", "", nil}, {"x", "y", nil}, {"10.0.0.1", "99", nil},
	} {
		if got := globalAddresses(withPrefixes(c.addresses, c.masks)); !slices.Equal(got, c.want) {
			t.Errorf("%s with %s: %v, want %v", c.addresses, c.masks, got, c.want)
		}
	}
}

func TestWindowsUSB(t *testing.T) {
	for device, want := range map[string]string{
		`USB\VID_1050&PID_0407\0012345678`: "1050:0407 0012345678", `USB\VID_046D&PID_C52B\6&3AF2B1&0&2`: "046d:c52b ",
		`usb\vid_05ac&pid_12a8\00008110`: "05ac:12a8 00008110", `USB\VID_1D6B&PID_0002&REV_0510\ABC`: "1d6b:0002 ABC",
		`USB\VID_046D&PID_C52B&MI_00\7&1A2B&0&0000`: "", `USB\ROOT_HUB30\4&1`: "", `PCI\VEN_8086`: "", "": "", `USB\VID_XXXX&PID_0001\1`: "",
	} {
		got := ""
		if u := windowsUSB(queryRow{"PNPDeviceID": device}); u != nil {
			got = u.Id + " " + u.Serial
		}
		if got != want {
			t.Errorf("%s: %q, want %q", device, got, want)
		}
	}
	if windowsUSB(queryRow{"PNPDeviceID": `USB\VID_05E3&PID_0610\1`, "Service": "USBHUB3"}) != nil {
		t.Error("a hub is a device")
	}
}

func TestAppXNames(t *testing.T) {
	for full, ok := range map[string]bool{
		"Microsoft.WindowsCalculator_11.2401.0.0_x64__8wekyb3d8bbwe": true, "A_1.0.0.0_neutral_~_h": true,
		"A_1.0.0.0_x64__": false, "_1.0_x64__h": false, "A": false, "A_1_x64_h": false, "": false, "A_1_2_3_4_5": false,
	} {
		if p, got := parseAppX(full); got != ok || ok && p.family() != p.name+"_"+p.publisherID {
			t.Errorf("%s: %+v, %v", full, p, got)
		}
	}
	for manifest, want := range map[string]string{
		`<Identity Publisher="CN=A, O=B"/><Properties><DisplayName>T</DisplayName><PublisherDisplayName>P</PublisherDisplayName></Properties>`: "T|P",
		`<Identity` + "\r\n\t" + `Publisher='CN="A, Inc.", C=US'/><Properties><DisplayName>ms-resource:T</DisplayName></Properties>`:           "|A, Inc.",
		`<Identity Publisher="CN=9A7B2C"/>`: "|9A7B2C",
		// The title of a tile is not that of the package.
		`<DisplayName>Tile</DisplayName><Properties></Properties>`: "|", "": "|", "<Properties": "|",
	} {
		if title, publisher := appxNames([]byte(manifest)); title+"|"+publisher != want {
			t.Errorf("%s: %s|%s, want %s", manifest, title, publisher, want)
		}
	}
	if got := distinguished(`CN="Contoso, Ltd.", O=Contoso,C=US`); !maps.Equal(got, map[string]string{"CN": "Contoso, Ltd.", "O": "Contoso"}) {
		t.Error(got)
	}
}

func TestPendingUpdates(t *testing.T) {
	for name, c := range map[string]struct {
		row  queryRow
		want string
	}{
		"by its article": {queryRow{"Title": "Cumulative", "KBArticleIDs": "5034765", "MsrcSeverity": "Critical"}, "KB5034765 critical"},
		"by its title":   {queryRow{"Title": "Update (kb5034765)", "Identity.UpdateID": "x"}, "KB5034765 none"},
		"a driver":       {queryRow{"Title": "Intel - net", "Identity.UpdateID": "f00d"}, "F00D none"},
		"security":       {queryRow{"KBArticleIDs": "1234567;7654321", "Categories.CategoryID": "x;0FA1201D-4330-4FA8-8AE9-B877473B6441"}, "KB1234567 security"},
		"optional":       {queryRow{"KBArticleIDs": "1234567", "BrowseOnly": "True"}, ""},
		"installed":      {queryRow{"KBArticleIDs": "1234567", "IsInstalled": "true"}, ""},
		"signatures":     {queryRow{"KBArticleIDs": "1234567", "Categories.CategoryID": categoryDefinitions}, ""},
		"nameless":       {queryRow{"Title": "An update"}, ""},
	} {
		got := ""
		if u := pendingUpdate(c.row); u != nil {
			got = u.Id + " " + u.Severity
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// What is in the registry comes from anyone: a value of any name can be of any
// type.
func FuzzWindowsRegistry(f *testing.F) {
	wide := func(text string) []byte {
		var b []byte
		for _, c := range text {
			b = append(b, byte(c), byte(c>>8))
		}
		return b
	}
	f.Add("InstallDate", uint32(host.RegistryString), wide("20240101"), "P:\\n.rkr", bytes.Repeat([]byte{1}, 72))
	f.Add("Version", uint32(host.RegistryDWord), []byte{4, 3, 2, 1}, `\Device\HarddiskVolume3\a.exe`, []byte{0, 0x80, 0x9b, 0x1d, 0x22, 0x54, 0xda, 1})
	f.Add("EstimatedSize", uint32(host.RegistryQWord), bytes.Repeat([]byte{0xff}, 8), "", []byte{})
	f.Fuzz(func(t *testing.T, name string, kind uint32, data []byte, other string, bits []byte) {
		k := regKey{&host.RegistryKey{Values: map[string]host.RegistryValue{
			"DisplayName": {Type: host.RegistryString, Data: wide("A")}, "WindowsInstaller": {Type: host.RegistryDWord, Data: []byte{1, 0, 0, 0}},
			name: {Type: host.RegistryType(kind), Data: data}, other: {Type: host.RegistryBinary, Data: bits},
		}}}
		r := &winreg{h: &host.Host{OS: "windows", Now: time.Now}, root: `C:\Windows`}
		p := program{id: name, key: k, r: r}
		p.installed(map[string]bool{"A": true})
		rows := newSoftwareRows(kindMSI)
		p.fill(rows, uninstallRoot{}, append(moderated(k), assisted(k)...))
		s := rows.rows[0]
		carried(t, s.Name, s.Version, s.Publisher, s.Location, s.ProductId)
		if _, err := proto.Marshal(s); err != nil {
			t.Fatal(err)
		}
		for _, text := range k.texts(name) {
			carried(t, text)
		}
		k.size(name)
		k.fileTimeParts(name, other)
		serviceStart(k)
		deferred(k)
		parseAppX(name)
		packedCode(name)
	})
}

func FuzzAppXManifest(f *testing.F) {
	f.Add([]byte(`<Identity Publisher="CN=A, O=B"/><Properties><DisplayName>T</DisplayName></Properties>`))
	f.Fuzz(func(t *testing.T, manifest []byte) {
		title, publisher := appxNames(manifest)
		carried(t, softwareText([]byte(title)), softwareText([]byte(publisher)))
	})
}

// Texts of WMI, each of which goes through everything that reads one.
func FuzzWindowsQueries(f *testing.F) {
	f.Add("20240131083000.500000+060", "42566332666666303539622d6632643731622031", `USB\VID_1050&PID_0407\0012345678`, "10.0.0.1;fe80::1")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		row := queryRow{
			"SerialNumber": a, "AdapterSerialNumber": b, "Size": c, "DeviceID": d, "Model": a, "BusType": b, "PNPDeviceID": c, "Name": d, "DriveType": "3",
			"Capacity": "4096", "displayName": a, "productState": b, "Title": c, "KBArticleIDs": d, "MsrcSeverity": a, "CveIDs": b,
		}
		cimTime(a)
		hotfixDate(b)
		oleTime(c)
		carried(t, softwareText([]byte(swappedSerial(row.text("SerialNumber")))), diskSerial(row))
		if v := windowsVolume(row); v != nil {
			carried(t, v.Mount, v.Device, v.Filesystem)
		}
		if u := windowsUSB(row); u != nil {
			carried(t, u.Id, u.Product, u.Serial)
		}
		if u := pendingUpdate(row); u != nil {
			carried(t, u.Id, u.Title, u.Severity)
		}
		physicalDisk(row)
		diskDrive(row)
		securityProduct(row)
		bitlockerState(row)
		adapterKind(c, d, 0)
		globalAddresses(withPrefixes(a, d))
	})
}

// The order in which WMI lists disks is not that of a report.
func TestDisksAreSorted(t *testing.T) {
	rows := []host.Row{{"DeviceId": "10", "Size": "1"}, {"DeviceId": "2", "Size": "1"}, {"DeviceId": "1", "Size": "1"}, {"DeviceId": "3", "Size": "0"}}
	d := new(pb.Device)
	if err := learnWinDisks(t.Context(), winMachine(t, "", map[string][]host.Row{"physical_disks": rows}), d); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, disk := range d.Hardware.Disks {
		names = append(names, disk.Name)
	}
	if diff := cmp.Diff([]string{"PhysicalDrive1", "PhysicalDrive2", "PhysicalDrive10"}, names); diff != "" {
		t.Error(diff)
	}
}
