package host

// linuxCommands are the programs that facts run on Linux: none, since all that
// they learn stands in files.
var linuxCommands []Command
