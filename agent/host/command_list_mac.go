package host

// macCommands are the programs that facts run on macOS.
var macCommands = []Command{}
