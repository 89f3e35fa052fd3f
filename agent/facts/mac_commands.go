package facts

// Commands of macOS, as they are called on the list in agent/host.
const (
	macCommandSysctl   = "mac_sysctl"
	macCommandPlatform = "mac_ioreg_platform"
	macCommandProduct  = "mac_ioreg_product"
	macCommandBattery  = "mac_ioreg_battery"
	macCommandUSB      = "mac_ioreg_usb"
	// Framebuffers of Apple's first own processors, and of those since.
	macCommandFramebuffer     = "mac_ioreg_framebuffer"
	macCommandFramebufferShim = "mac_ioreg_framebuffer_shim"
	macCommandHardware        = "mac_profile_hardware"
	macCommandMemory          = "mac_profile_memory"
	macCommandDisplays        = "mac_profile_displays"
	macCommandDisks           = "mac_profile_disks"
	macCommandBridge          = "mac_profile_bridge"
	macCommandPower           = "mac_profile_power"
	macCommandPrinters        = "mac_profile_printers"
	macCommandIfconfig        = "mac_ifconfig"
	macCommandPorts           = "mac_ports"
	macCommandMounts          = "mac_mounts"
	macCommandAPFS            = "mac_apfs"
	macCommandFileVault       = "mac_filevault"
	macCommandFirewall        = "mac_firewall"
	macCommandSIP             = "mac_sip"
	macCommandGatekeeper      = "mac_gatekeeper"
	macCommandEnrollment      = "mac_enrollment"
	macCommandAdmins          = "mac_admins"
	macCommandLast            = "mac_last"
	macCommandUsed            = "mac_last_used"
	macCommandAdded           = "mac_date_added"
)
