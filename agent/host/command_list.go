package host

// linuxCommands are the programs that facts run on Linux. Almost all that they
// learn stands in files; these are asked for what their makers keep in none.
var linuxCommands = []Command{
	{Name: "falconctl", OS: "linux", Argv: []string{"/opt/CrowdStrike/falconctl", "-g", "--aid", "--version", "--rfm-state"}, MaxBytes: 16 << 10},
	{Name: "mdatp_health", OS: "linux", Argv: []string{"/usr/bin/mdatp", "health", "--output", "json"}, MaxBytes: 256 << 10},
}
