package facts

import "github.com/rollcall-itam/rollcall/pkg/section"

// macFacts returns the facts of macOS in the order in which they are learnt.
func macFacts() []Fact {
	mac := []string{"darwin"}
	return []Fact{
		{Name: "applications", Section: section.Software, OS: mac, Every: quarterDay, Watch: []string{"Applications"}, Learn: learnMacApps},
		{Name: "packages", Section: section.Software, OS: mac, Learn: learnMacPackages},
		{Name: "homebrew", Section: section.Software, OS: mac, Learn: learnHomebrew},
		{Name: "macports", Section: section.Software, OS: mac, Learn: learnMacPorts},
		{Name: "nix", Section: section.Software, OS: mac, Learn: learnNix},
		{Name: "updates", Section: section.Patch, OS: mac, Every: hourly, Learn: learnMacUpdates},
		{Name: "installed_updates", Section: section.Patch, OS: mac, Learn: learnMacInstalled},
		{Name: "auto_update", Section: section.Patch, OS: mac, Learn: learnMacAutoUpdate},
		{Name: "platform", Section: section.Hardware, OS: mac, Every: halfDay, Learn: learnMacPlatform},
		{Name: "cpu", Section: section.Hardware, OS: mac, Learn: learnMacCPU},
		{Name: "memory_modules", Section: section.Hardware, OS: mac, Every: halfDay, Learn: learnMacMemory},
		{Name: "virtual", Section: section.Hardware, OS: mac, Learn: learnMacVirtual},
		{Name: "cloud", Section: section.Hardware, OS: mac, Learn: learnMacCloud},
		{Name: "battery", Section: section.Hardware, OS: mac, Every: halfDay, Learn: learnMacBattery},
		{Name: "disks", Section: section.Hardware, OS: mac, Every: quarterDay, Learn: learnMacDisks},
		{Name: "gpus", Section: section.Hardware, OS: mac, Every: halfDay, Learn: learnMacGPUs},
		{Name: "name", Section: section.Hardware, OS: mac, Learn: learnMacName},
		{Name: "displays", Section: section.Peripherals, OS: mac, Every: hourly, Learn: learnMacDisplays},
		{Name: "usb", Section: section.Peripherals, OS: mac, Learn: learnMacUSB},
		{Name: "printers", Section: section.Peripherals, OS: mac, Every: quarterDay, Learn: learnMacPrinters},
		{Name: "os", Section: section.OS, OS: mac, Learn: learnMacOS},
		{Name: "kernel", Section: section.OS, OS: mac, Learn: learnMacKernel},
		{Name: "locale", Section: section.OS, OS: mac, Learn: learnMacLocale},
		{Name: "installation", Section: section.OS, OS: mac, Learn: learnMacInstallation},
		{Name: "hostname", Section: section.Network, OS: mac, Learn: learnMacHostname},
		{Name: "interfaces", Section: section.Network, OS: mac, Learn: learnMacInterfaces},
		{Name: "volumes", Section: section.Storage, OS: mac, Learn: learnMacStorage},
		{Name: "disk_encryption", Section: section.Security, OS: mac, Learn: learnMacEncryption},
		{Name: "firewall", Section: section.Security, OS: mac, Learn: learnMacFirewall},
		{Name: "secure_boot", Section: section.Security, OS: mac, Learn: learnMacSecureBoot},
		{Name: "integrity_protection", Section: section.Security, OS: mac, Learn: learnMacIntegrity},
		{Name: "gatekeeper", Section: section.Security, OS: mac, Learn: learnMacGatekeeper},
		{Name: "local_admins", Section: section.Security, OS: mac, Learn: learnMacAdmins},
		{Name: "screen_lock", Section: section.Security, OS: mac, Learn: learnMacScreenLock},
		{Name: "protection", Section: section.Security, OS: mac, Learn: learnMacProtection},
		{Name: "enrollment", Section: section.Security, OS: mac, Learn: learnMacEnrollment},
		{Name: "primary_user", Section: section.Users, OS: mac, Learn: learnMacPrimaryUser},
	}
}
