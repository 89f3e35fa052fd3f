package host

// windowsCommands are the programs that facts run on Windows.
var windowsCommands = []Command{}

// queries is what Windows is asked through WMI and COM.
var queries = []Query{}
