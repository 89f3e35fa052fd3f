package host

import "time"

// windowsCommands are the programs that facts run on Windows.
var windowsCommands = []Command{}

// Namespaces of WMI.
const (
	cimv2          = `root\CIMV2`
	wmiDrivers     = `root\WMI`
	securityCenter = `root\SecurityCenter2`
	storage        = `root\Microsoft\Windows\Storage`
	encryption     = `root\CIMV2\Security\MicrosoftVolumeEncryption`
	trustedModule  = `root\CIMV2\Security\MicrosoftTpm`
	defender       = `root\Microsoft\Windows\Defender`
)

// queries is what Windows is asked through WMI and COM. Win32_Product is not
// among them and must never be: whoever reads it makes Windows Installer check,
// and repair, every product there is.
var queries = []Query{
	{Name: "operating_system", Namespace: cimv2, Class: "Win32_OperatingSystem", Properties: []string{"LastBootUpTime"}},
	{Name: "hotfixes", Namespace: cimv2, Class: "Win32_QuickFixEngineering", Properties: []string{"HotFixID", "InstalledOn"}},
	{
		// What the agent found last, without a search on a server. It keeps a
		// processor busy for up to some minutes.
		Name: "pending_updates", Namespace: WindowsUpdate, Where: "IsInstalled=0 and IsHidden=0", Timeout: 10 * time.Minute,
		Properties: []string{
			"Identity.UpdateID", "Title", "KBArticleIDs", "MsrcSeverity", "CveIDs", "Categories.CategoryID", "LastDeploymentChangeTime",
			"BrowseOnly", "IsHidden", "IsInstalled",
		},
	},
	{Name: "update_results", Namespace: UpdateResults, Properties: []string{"LastSearchSuccessDate", "LastInstallationSuccessDate"}},

	// What the firmware's table has, where that cannot be had.
	{Name: "computer_system", Namespace: cimv2, Class: "Win32_ComputerSystem", Properties: []string{"Manufacturer", "Model", "SystemSKUNumber", "TotalPhysicalMemory"}},
	{Name: "system_product", Namespace: cimv2, Class: "Win32_ComputerSystemProduct", Properties: []string{"IdentifyingNumber", "UUID", "Vendor", "Name"}},
	{Name: "bios", Namespace: cimv2, Class: "Win32_BIOS", Properties: []string{"Manufacturer", "SMBIOSBIOSVersion", "Version", "ReleaseDate", "SerialNumber"}},
	{
		Name: "memory_modules", Namespace: cimv2, Class: "Win32_PhysicalMemory",
		Properties: []string{"Capacity", "Speed", "SMBIOSMemoryType", "SerialNumber", "Manufacturer", "PartNumber", "DeviceLocator", "BankLabel"},
	},

	{Name: "processors", Namespace: cimv2, Class: "Win32_Processor", Properties: []string{"Name", "NumberOfCores", "NumberOfLogicalProcessors", "MaxClockSpeed"}},
	{
		Name: "physical_disks", Namespace: storage, Class: "MSFT_PhysicalDisk",
		Properties: []string{
			"DeviceId", "Model", "FriendlyName", "SerialNumber", "AdapterSerialNumber", "Size", "MediaType", "BusType", "HealthStatus", "FirmwareVersion",
		},
	},
	{
		Name: "disk_drives", Namespace: cimv2, Class: "Win32_DiskDrive",
		Properties: []string{"DeviceID", "Model", "SerialNumber", "Size", "InterfaceType", "MediaType", "FirmwareRevision"},
	},
	{Name: "video_controllers", Namespace: cimv2, Class: "Win32_VideoController", Properties: []string{"Name", "AdapterCompatibility", "AdapterRAM", "DriverVersion", "PNPDeviceID"}},
	{Name: "tpm", Namespace: trustedModule, Class: "Win32_Tpm", Properties: []string{"SpecVersion"}},
	{Name: "battery_design", Namespace: wmiDrivers, Class: "BatteryStaticData", Properties: []string{"DesignedCapacity"}},
	{Name: "battery_full", Namespace: wmiDrivers, Class: "BatteryFullChargedCapacity", Properties: []string{"FullChargedCapacity"}},
	{Name: "battery_cycles", Namespace: wmiDrivers, Class: "BatteryCycleCount", Properties: []string{"CycleCount"}},
	{Name: "battery_charge", Namespace: cimv2, Class: "Win32_Battery", Properties: []string{"EstimatedChargeRemaining", "BatteryStatus"}},
	{Name: "monitors", Namespace: wmiDrivers, Class: "WmiMonitorID", Properties: []string{"InstanceName", "Active"}},
	{Name: "monitor_connections", Namespace: wmiDrivers, Class: "WmiMonitorConnectionParams", Properties: []string{"InstanceName", "VideoOutputTechnology"}},
	{
		// Of all devices, of which there are hundreds; in WQL, a backslash is two
		// and an underscore any letter.
		Name: "usb_devices", Namespace: cimv2, Class: "Win32_PnPEntity", Where: `PNPDeviceID LIKE 'USB\\VID_%'`,
		Properties: []string{"Name", "Manufacturer", "PNPDeviceID", "Service"},
	},
	{
		Name: "network_adapters", Namespace: cimv2, Class: "Win32_NetworkAdapter", Where: "NetConnectionID IS NOT NULL",
		Properties: []string{"Index", "Name", "NetConnectionID", "MACAddress", "PNPDeviceID", "ServiceName"},
	},
	{
		Name: "network_configurations", Namespace: cimv2, Class: "Win32_NetworkAdapterConfiguration", Where: "IPEnabled = TRUE",
		Properties: []string{"Index", "IPAddress", "IPSubnet"},
	},
	{
		Name: "volumes", Namespace: cimv2, Class: "Win32_Volume",
		Properties: []string{"DeviceID", "DriveLetter", "Name", "FileSystem", "Capacity", "FreeSpace", "DriveType"},
	},

	{Name: "bitlocker", Namespace: encryption, Class: "Win32_EncryptableVolume", Properties: []string{"DeviceID", "ProtectionStatus", "ConversionStatus", "VolumeType"}},
	{Name: "antivirus_products", Namespace: securityCenter, Class: "AntiVirusProduct", Properties: []string{"displayName", "productState"}},
	{Name: "firewall_products", Namespace: securityCenter, Class: "FirewallProduct", Properties: []string{"displayName", "productState"}},
	{Name: "defender", Namespace: defender, Class: "MSFT_MpComputerStatus", Properties: []string{"AntivirusEnabled", "RealTimeProtectionEnabled", "AntivirusSignatureAge"}},
	{Name: "services", Namespace: cimv2, Class: "Win32_Service", Properties: []string{"Name", "State"}},
	// The group of administrators has another name in each language.
	{Name: "local_admins", Namespace: LocalGroup, Class: "S-1-5-32-544", Properties: []string{"SID", "Domain", "Name"}},
}
