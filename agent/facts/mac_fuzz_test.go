package facts

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/facts/ioreg"
	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// sendable fails unless a report can carry the device.
func sendable(t *testing.T, d *pb.Device) {
	t.Helper()
	if _, err := proto.Marshal(d); err != nil {
		t.Fatal(err)
	}
}

func FuzzMacProfile(f *testing.F) {
	f.Add([]byte("Memory:\n\n    Memory: 16 GB\n    Type: LPDDR4\n"))
	f.Add([]byte("Graphics/Displays:\n  a:\n    Chipset Model: b\n    VRAM (Total): 1 GB\n    Displays:\n      c:\n        Status: No Display Connected\n"))
	f.Add([]byte("<plist><array><dict><key>_dataType</key><string>SPNVMeDataType</string><key>_items</key><array><dict><key>bsd_name</key><string>disk0</string>" +
		"<key>size_in_bytes</key><integer>1</integer><key>Media</key><array><dict/></array></dict></array></dict></array></plist>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodeProfile(b)
		if err != nil && p == nil {
			return
		}
		hw := &pb.Hardware{Disks: macDisks(p), MemoryModules: macMemory(p), Gpus: macGPUs(p), Displays: macDisplays(p), Printers: macPrinters(p)}
		addOverview(hw, p)
		var battery macBattery
		battery.addPower(p)
		hw.Battery = battery.battery()
		macSecureBoot(p)
		if h := hw.Battery.GetHealthPct(); h < 0 || h > 100 {
			t.Fatalf("health of %d %%", h)
		}
		sendable(t, &pb.Device{Hardware: hw})
	})
}

func FuzzMacRegistry(f *testing.F) {
	f.Add([]byte("+-o a  <class AppleSmartBattery>\n{\n\"DesignCapacity\" = 8000\n\"Voltage\" = 12000\n\"CycleCount\" = 1\n\"idVendor\" = 1\n\"idProduct\" = 2\n\"model\" = <41>\n\"IOPlatformUUID\" = \"a\"\n}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := ioreg.Decode(b)
		if err != nil {
			return
		}
		hw := &pb.Hardware{Usb: macUSB(entries)}
		addPlatform(hw, entries)
		addProduct(hw, b)
		var battery macBattery
		battery.addGauge(entries)
		hw.Battery = battery.battery()
		sendable(t, &pb.Device{Hardware: hw})
	})
}

// FuzzMacText feeds the decoders of what tools print for people.
func FuzzMacText(f *testing.F) {
	for _, seed := range []string{
		"en0: flags=8863<UP> mtu 1500\n\tether 62:3f:9b:aa:bb:cc\n\tinet 192.0.2.23 netmask 0xffffff00\n\tinet6 fe80::1%en0 prefixlen 64\n",
		"Hardware Port: Wi-Fi\nDevice: en0\nEthernet Address: 62:3f:9b:aa:bb:cc\n", "/dev/disk3s1s1 on / (apfs, local)\n",
		"ann console Tue Feb 17 08:30 - 17:50\n", "/a b.app   kMDItemDateAdded = 2026-01-11 10:00:00 +0000\n", "hw.memsize: 1\nkern.boottime: { sec = 1, usec = 2 }\n",
		"MDM enrollment: Yes\nMDM server: https://a@b/c?d\n", "GroupMembership: root\n", "Copyright © 2024 Example Ltd. All rights reserved.",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list := decodeIfconfig([]byte(text))
		joinPorts(list, decodePorts([]byte(text)))
		d := &pb.Device{Network: &pb.Network{Interfaces: list}, Mdm: decodeEnrollment(text), Os: &pb.Os{BootedAt: macBootTime(text)}}
		for _, m := range decodeMacMounts([]byte(text)) {
			carried(t, m.device, m.point, m.fstype)
			macVolumeOf(m.device)
		}
		for _, l := range decodeLast([]byte(text), time.Unix(1_800_000_000, 0)) {
			carried(t, l.user, l.line, l.host)
		}
		for path := range decodeSpotlight([]byte(text)) {
			carried(t, path)
		}
		for _, v := range decodeSysctl([]byte(text)) {
			carried(t, v)
		}
		a := macApp{dir: "Applications/" + strings.ReplaceAll(text, "/", "") + ".app", copyright: text}
		a.publisher = a.maker()
		d.Software = append(d.Software, a.row([]macApp{a}))
		carried(t, d.Software[0].Name, d.Software[0].Publisher, d.Software[0].Location)
		sendable(t, d)
	})
}

func FuzzMacPlists(f *testing.F) {
	f.Add([]byte(plistOf("<key>RecommendedUpdates</key><array><dict><key>Identifier</key><string>a</string></dict></array>" +
		"<key>extensions</key><array><dict><key>identifier</key><string>com.eset.a</string></dict></array><key>idleTime</key><integer>9</integer><key>askForPassword</key><true/>")))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := proplist.DecodeDict(b)
		if err != nil {
			return
		}
		d := &pb.Device{Patch: &pb.Patch{Pending: macPending(p, "1")}, Security: &pb.Security{ScreenLock: macScreenLock(p, p)}, Os: &pb.Os{Language: macLanguage(p)}}
		var a macApp
		a.describe(p)
		d.Software = append(d.Software, a.row(nil))
		for _, product := range macProtectors {
			product.find(p)
		}
		rapidResponse(p, p)
		sendable(t, d)
	})
}

func FuzzBrewReceipt(f *testing.F) {
	f.Add([]byte(`{"time":1769000000,"arch":"arm64","source":{"tap":"homebrew/core"}}`))
	f.Add([]byte(`{"time":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := brewReceiptOf(b)
		if err == nil && r.at != nil && !r.at.IsValid() {
			t.Fatalf("time %v", r.at)
		}
	})
}
