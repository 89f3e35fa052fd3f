package facts

import (
	"slices"
	"time"

	"github.com/rollcall-itam/rollcall/pkg/section"
)

// How long dear facts are kept. An hour is a little shorter, since the hour
// between two collections is, too, at times.
const (
	hourly     = 50 * time.Minute
	quarterDay = 6 * time.Hour
	halfDay    = 12 * time.Hour
)

// All returns every fact in the order in which they are learnt. One that is
// not here does not exist.
func All() []Fact {
	return Guard(slices.Concat(linuxFacts(), macFacts(), windowsFacts(), peoplesFacts()))
}

// peoplesFacts returns what is learnt alike on every OS that people sit at.
func peoplesFacts() []Fact {
	desktops := []string{"linux", "darwin", "windows"}
	return []Fact{
		{Name: "browser_extensions", Section: section.Software, OS: desktops, Every: hourly, Learn: learnBrowserExtensions},
		{Name: "ide_extensions", Section: section.Software, OS: desktops, Every: hourly, Learn: learnIDEExtensions},
		{Name: "remote_access", Section: section.Security, OS: desktops, Learn: learnRemoteAccess},
	}
}

// linuxFacts returns what is learnt on Linux.
func linuxFacts() []Fact {
	linux := []string{"linux"}
	debs := new(dpkgReading)
	return []Fact{
		{Name: "dpkg", Section: section.Software, OS: linux, Watch: dpkgWatch, Learn: debs.learn},
		{Name: "rpm", Section: section.Software, OS: linux, Watch: rpmWatch(), Learn: learnRPM},
		{Name: "apk", Section: section.Software, OS: linux, Watch: apkDatabases, Learn: learnAPK},
		{Name: "pacman", Section: section.Software, OS: linux, Watch: []string{pacmanLocal}, Learn: learnPacman},
		{Name: "portage", Section: section.Software, OS: linux, Learn: learnPortage},
		{Name: "slackware", Section: section.Software, OS: linux, Learn: learnSlackware},
		{Name: "snap", Section: section.Software, OS: linux, Learn: learnSnap},
		{Name: "flatpak", Section: section.Software, OS: linux, Learn: learnFlatpak},
		{Name: "nix", Section: section.Software, OS: linux, Learn: learnNix},
		{Name: "homebrew", Section: section.Software, OS: linux, Learn: learnHomebrew},
		{Name: "apt_updates", Section: section.Patch, OS: linux, Learn: (&aptUpdates{debs: debs}).learn},
		{Name: "dnf_updates", Section: section.Patch, OS: linux, Every: hourly, Watch: rpmWatch(), Learn: learnDNFPending},
		{Name: "apk_updates", Section: section.Patch, OS: linux, Every: hourly, Watch: apkDatabases, Learn: learnAPKPending},
		{Name: "pacman_updates", Section: section.Patch, OS: linux, Every: hourly, Watch: []string{pacmanLocal, pacmanSync}, Learn: learnPacmanPending},
		{Name: "reboot", Section: section.Patch, OS: linux, Learn: new(rebootCheck).learn},
		{Name: "last_update", Section: section.Patch, OS: linux, Learn: learnLastUpdate},
		{Name: "auto_update", Section: section.Patch, OS: linux, Learn: learnAutoUpdate},
		{Name: "smbios", Section: section.Hardware, OS: linux, Learn: learnSMBIOS},
		{Name: "cpu", Section: section.Hardware, OS: linux, Learn: learnCPU},
		{Name: "memory", Section: section.Hardware, OS: linux, Learn: learnMemory},
		{Name: "virtual", Section: section.Hardware, OS: linux, Learn: learnVirtual},
		{Name: "cloud", Section: section.Hardware, OS: linux, Learn: learnCloud},
		{Name: "battery", Section: section.Hardware, OS: linux, Every: halfDay, Learn: learnBattery},
		{Name: "disks", Section: section.Hardware, OS: linux, Learn: learnDisks},
		{Name: "disk_health", Section: section.Hardware, OS: linux, Every: quarterDay, Learn: new(diskLogs).learn},
		{Name: "gpus", Section: section.Hardware, OS: linux, Every: halfDay, Learn: learnGPUs},
		{Name: "tpm", Section: section.Hardware, OS: linux, Learn: learnTPM},
		{Name: "name", Section: section.Hardware, OS: linux, Learn: learnName},
		{Name: "displays", Section: section.Peripherals, OS: linux, Every: hourly, Learn: learnDisplays},
		{Name: "usb", Section: section.Peripherals, OS: linux, Learn: learnUSB},
		{Name: "printers", Section: section.Peripherals, OS: linux, Every: hourly, Watch: []string{printersFile}, Learn: learnPrinters},
		{Name: "os", Section: section.OS, OS: linux, Learn: learnOS},
		{Name: "kernel", Section: section.OS, OS: linux, Learn: learnKernel},
		{Name: "locale", Section: section.OS, OS: linux, Learn: learnLocale},
		{Name: "installation", Section: section.OS, OS: linux, Learn: learnInstallation},
		{Name: "hostname", Section: section.Network, OS: linux, Learn: learnHostname},
		{Name: "interfaces", Section: section.Network, OS: linux, Learn: learnInterfaces},
		{Name: "volumes", Section: section.Storage, OS: linux, Learn: learnStorage},
		{Name: "disk_encryption", Section: section.Security, OS: linux, Learn: learnEncryption},
		{Name: "firewall", Section: section.Security, OS: linux, Learn: learnFirewall},
		{Name: "secure_boot", Section: section.Security, OS: linux, Learn: learnSecureBoot},
		{Name: "integrity_protection", Section: section.Security, OS: linux, Learn: learnIntegrity},
		{Name: "local_admins", Section: section.Security, OS: linux, Learn: learnAdmins},
		{Name: "screen_lock", Section: section.Security, OS: linux, Learn: learnScreenLock},
		{Name: "protection", Section: section.Security, OS: linux, Learn: new(protection).learn},
		{Name: "mdm", Section: section.Security, OS: linux, Learn: learnEnrolment},
		{Name: "primary_user", Section: section.Users, OS: linux, Learn: learnPrimaryUser},
	}
}
