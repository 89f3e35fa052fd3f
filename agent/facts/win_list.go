package facts

import "github.com/rollcall-itam/rollcall/pkg/section"

// windowsFacts returns what is learnt on Windows, in that order.
func windowsFacts() []Fact {
	windows := []string{"windows"}
	return []Fact{
		{Name: "programs", Section: section.Software, OS: windows, Watch: uninstallWatch, WatchQuietly: uninstallOfPeople, Learn: learnUninstall},
		{Name: "appx", Section: section.Software, OS: windows, Learn: learnAppX},
		{Name: "chocolatey", Section: section.Software, OS: windows, Learn: learnChocolatey},
		{Name: "browser_helpers", Section: section.Software, OS: windows, Learn: learnBrowserHelpers},
		{Name: "installed_updates", Section: section.Patch, OS: windows, Learn: learnWinInstalled},
		{Name: "pending_updates", Section: section.Patch, OS: windows, Every: hourly, Learn: learnWinPending},
		{Name: "reboot", Section: section.Patch, OS: windows, Learn: learnWinReboot},
		{Name: "auto_update", Section: section.Patch, OS: windows, Learn: learnWinAutoUpdate},
		{Name: "smbios", Section: section.Hardware, OS: windows, Every: halfDay, Learn: learnWinSMBIOS},
		{Name: "cpu", Section: section.Hardware, OS: windows, Learn: learnWinCPU},
		{Name: "memory", Section: section.Hardware, OS: windows, Learn: learnWinMemory},
		{Name: "virtual", Section: section.Hardware, OS: windows, Learn: learnVirtual},
		{Name: "cloud", Section: section.Hardware, OS: windows, Learn: learnCloud},
		{Name: "battery", Section: section.Hardware, OS: windows, Every: halfDay, Learn: learnWinBattery},
		{Name: "disks", Section: section.Hardware, OS: windows, Every: quarterDay, Learn: learnWinDisks},
		{Name: "gpus", Section: section.Hardware, OS: windows, Every: halfDay, Learn: learnWinGPUs},
		{Name: "tpm", Section: section.Hardware, OS: windows, Every: halfDay, Learn: learnWinTPM},
		{Name: "name", Section: section.Hardware, OS: windows, Learn: learnWinName},
		{Name: "displays", Section: section.Peripherals, OS: windows, Every: hourly, Learn: learnWinDisplays},
		{Name: "usb", Section: section.Peripherals, OS: windows, Every: hourly, Learn: learnWinUSB},
		{Name: "printers", Section: section.Peripherals, OS: windows, Every: hourly, Learn: learnWinPrinters},
		{Name: "os", Section: section.OS, OS: windows, Learn: learnWinOS},
		{Name: "boot", Section: section.OS, OS: windows, Learn: learnWinBoot},
		{Name: "locale", Section: section.OS, OS: windows, Learn: learnWinLocale},
		{Name: "installation", Section: section.OS, OS: windows, Learn: learnWinInstallation},
		{Name: "hostname", Section: section.Network, OS: windows, Learn: learnWinHostname},
		{Name: "interfaces", Section: section.Network, OS: windows, Learn: learnWinInterfaces},
		{Name: "volumes", Section: section.Storage, OS: windows, Learn: learnWinVolumes},
		{Name: "disk_encryption", Section: section.Security, OS: windows, Learn: learnWinEncryption},
		{Name: "firewall", Section: section.Security, OS: windows, Learn: learnWinFirewall},
		{Name: "secure_boot", Section: section.Security, OS: windows, Learn: learnWinSecureBoot},
		{Name: "integrity_protection", Section: section.Security, OS: windows, Learn: learnWinUAC},
		{Name: "screen_lock", Section: section.Security, OS: windows, Learn: learnWinScreenLock},
		{Name: "antivirus", Section: section.Security, OS: windows, Learn: learnWinAntivirus},
		{Name: "edr", Section: section.Security, OS: windows, Learn: learnWinEDR},
		{Name: "mdm", Section: section.Security, OS: windows, Learn: learnWinMDM},
		{Name: "directory", Section: section.Security, OS: windows, Learn: learnWinDirectory},
		{Name: "local_admins", Section: section.Security, OS: windows, Learn: learnWinAdmins},
		{Name: "primary_user", Section: section.Users, OS: windows, Learn: learnWinPrimaryUser},
	}
}
