package host

import "time"

// Programs of macOS that several commands run.
const (
	ioreg    = "/usr/sbin/ioreg"
	profiler = "/usr/sbin/system_profiler"
	mdfind   = "/usr/bin/mdfind"
)

// macCommands are the programs that facts run on macOS, where much is to be had
// from no file. system_profiler is asked for single kinds of data: a whole
// report of it takes a minute.
var macCommands = []Command{
	{Name: "mac_sysctl", OS: "darwin", Argv: []string{
		"/usr/sbin/sysctl", "-i", "kern.hostname", "kern.osrelease", "kern.boottime", "kern.hv_vmm_present", "hw.model", "hw.memsize", "hw.packages",
		"hw.physicalcpu", "hw.logicalcpu", "hw.cpufrequency_max", "hw.optional.arm64", "hw.cputype", "machdep.cpu.brand_string",
	}},
	{Name: "mac_ioreg_platform", OS: "darwin", Argv: []string{ioreg, "-a", "-l", "-d2", "-c", "IOPlatformExpertDevice"}, MaxBytes: 4 << 20},
	{Name: "mac_ioreg_product", OS: "darwin", Argv: []string{ioreg, "-a", "-r", "-d1", "-n", "product"}},
	{Name: "mac_ioreg_battery", OS: "darwin", Argv: []string{ioreg, "-a", "-r", "-d1", "-c", "AppleSmartBattery"}},
	{Name: "mac_ioreg_usb", OS: "darwin", Argv: []string{ioreg, "-a", "-l", "-p", "IOUSB"}, MaxBytes: 8 << 20},
	{Name: "mac_ioreg_framebuffer", OS: "darwin", Argv: []string{ioreg, "-a", "-r", "-d1", "-c", "AppleCLCD2"}, MaxBytes: 4 << 20},
	{Name: "mac_ioreg_framebuffer_shim", OS: "darwin", Argv: []string{ioreg, "-a", "-r", "-d1", "-c", "IOMobileFramebufferShim"}, MaxBytes: 4 << 20},
	{Name: "mac_profile_hardware", OS: "darwin", Argv: []string{profiler, "-xml", "SPHardwareDataType"}, Timeout: 15 * time.Second},
	{Name: "mac_profile_memory", OS: "darwin", Argv: []string{profiler, "-xml", "SPMemoryDataType"}, Timeout: 15 * time.Second},
	{Name: "mac_profile_displays", OS: "darwin", Argv: []string{profiler, "-xml", "SPDisplaysDataType"}, Timeout: 15 * time.Second},
	{
		Name: "mac_profile_disks", OS: "darwin", MaxBytes: 4 << 20, Timeout: 18 * time.Second,
		Argv: []string{profiler, "-xml", "SPNVMeDataType", "SPSerialATADataType", "SPCardReaderDataType", "SPFireWireDataType", "SPUSBDataType", "SPUSBHostDataType"},
	},
	{Name: "mac_profile_bridge", OS: "darwin", Argv: []string{profiler, "-xml", "SPiBridgeDataType"}, Timeout: 15 * time.Second},
	{Name: "mac_profile_power", OS: "darwin", Argv: []string{profiler, "-xml", "SPPowerDataType"}, Timeout: 15 * time.Second},
	{Name: "mac_profile_printers", OS: "darwin", Argv: []string{profiler, "-xml", "SPPrintersDataType"}, Timeout: 15 * time.Second},
	{Name: "mac_ifconfig", OS: "darwin", Argv: []string{"/sbin/ifconfig", "-a"}},
	{Name: "mac_ports", OS: "darwin", Argv: []string{"/usr/sbin/networksetup", "-listallhardwareports"}},
	{Name: "mac_mounts", OS: "darwin", Argv: []string{"/sbin/mount"}},
	{Name: "mac_apfs", OS: "darwin", Argv: []string{"/usr/sbin/diskutil", "apfs", "list", "-plist"}},
	{Name: "mac_filevault", OS: "darwin", Argv: []string{"/usr/bin/fdesetup", "status"}},
	{Name: "mac_firewall", OS: "darwin", Argv: []string{"/usr/libexec/ApplicationFirewall/socketfilterfw", "--getglobalstate"}},
	{Name: "mac_sip", OS: "darwin", Argv: []string{"/usr/bin/csrutil", "status"}},
	{Name: "mac_gatekeeper", OS: "darwin", Argv: []string{"/usr/sbin/spctl", "--status"}},
	{Name: "mac_enrollment", OS: "darwin", Argv: []string{"/usr/bin/profiles", "status", "-type", "enrollment"}},
	{Name: "mac_admins", OS: "darwin", Argv: []string{"/usr/bin/dscl", "/Local/Default", "-read", "/Groups/admin", "GroupMembership"}},
	{Name: "mac_last", OS: "darwin", Argv: []string{"/usr/bin/last", "-1000"}},
	{
		Name: "mac_last_used", OS: "darwin", MaxBytes: 8 << 20,
		Argv: []string{mdfind, "-attr", "kMDItemLastUsedDate", "kMDItemContentType == 'com.apple.application-bundle'"},
	},
	{
		Name: "mac_date_added", OS: "darwin", MaxBytes: 8 << 20,
		Argv: []string{mdfind, "-attr", "kMDItemDateAdded", "kMDItemContentType == 'com.apple.application-bundle'"},
	},
}
