// Command rollcall-agent reads the machine it runs on and reports it to the
// Rollcall collector.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"

	"github.com/rollcall-itam/rollcall/pkg/buildinfo"
)

// How much garbage may lie about, in percent of what is in use. A command that
// ends soon need not tidy up: most of its work would be that. What runs for ever
// stays small, also after a large scan.
const (
	gcPercentOnce    = 200
	gcPercentService = 50
)

// command is the command line.
type command struct {
	Run       runCommand     `cmd:"" help:"Report this machine to the collector until stopped."`
	Collect   collectCommand `cmd:"" help:"Print what would be reported, as JSON; needs no collector."`
	Capture   captureCommand `cmd:"" help:"Record this machine as a folder, to show a fault in what is reported of it."`
	Config    configCommands `cmd:"" help:"Look at the configuration."`
	Install   installCommand `cmd:"" help:"Install the agent as a service that starts with the machine."`
	Uninstall controlCommand `cmd:"" help:"Remove the service; the state folder stays."`
	Start     controlCommand `cmd:"" help:"Start the installed service."`
	Stop      controlCommand `cmd:"" help:"Stop the installed service."`
	Status    statusCommand  `cmd:"" help:"Show the service and what the agent last heard of its collector."`
	Show      showCommand    `cmd:"" help:"Tell in plain words what was reported of this device last, or print all of it."`
	Reset     resetCommand   `cmd:"" help:"Forget who this device is, before its disk becomes an image for others."`
	Version   versionCommand `cmd:"" help:"Print the version."`
}

// outside is what commands use of the world around the program.
type outside struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	// getenv reads one variable of the environment.
	getenv func(string) string
}

func main() {
	debug.SetGCPercent(gcPercentOnce)
	debug.SetMemoryLimit(defaultMemoryLimit << 20)
	// Commands do one thing after the other: threads that look for more to do
	// would only cost.
	runtime.GOMAXPROCS(1)
	os.Exit(execute(os.Args[1:], outside{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}))
}

// execute runs one command line and returns the program's exit code.
func execute(args []string, world outside) int {
	var c command
	exit := -1
	parser, err := kong.New(&c, kong.Name("rollcall-agent"), kong.Writers(world.stdout, world.stderr),
		kong.Description("Reports what this machine is and runs to the Rollcall collector."),
		kong.Exit(func(code int) { exit = code }), kong.UsageOnError())
	if err != nil {
		fmt.Fprintln(world.stderr, "rollcall-agent:", err)
		return 1
	}
	ctx, err := parser.Parse(args)
	if exit >= 0 {
		return exit
	}
	if err == nil {
		err = ctx.Run(world)
	} else {
		err = fmt.Errorf("%w (see rollcall-agent --help)", err)
	}
	var logged loggedError
	if errors.As(err, &logged) {
		return 1
	}
	if err != nil {
		fmt.Fprintln(world.stderr, "rollcall-agent:", err)
		return 1
	}
	return 0
}

// loggedError is an error that was told already.
type loggedError struct{ error }

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(world outside) error {
	fmt.Fprintln(world.stdout, "rollcall-agent", buildinfo.Version())
	return nil
}
