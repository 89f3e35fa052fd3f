// Command rollcall asks a collector on behalf of an administrator: it lists
// what is known and manages tokens and agents, over the API that scripts use.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rollcall-itam/rollcall/pkg/buildinfo"
)

// command is the command line.
type command struct {
	connection
	Output string `short:"o" enum:"table,json,yaml,csv" default:"table" placeholder:"FORMAT" help:"How to print: table, json, yaml or csv."`

	Login           loginCommand            `cmd:"" help:"Sign in at the collector's provider, or with --token-file, and save that for later calls."`
	Logout          logoutCommand           `cmd:"" help:"End your session, and forget what login has saved."`
	Assets          assetsCommands          `cmd:"" help:"Look at assets."`
	Show            assetsShowCommand       `cmd:"" help:"Show what is known of one asset."`
	Search          searchCommand           `cmd:"" help:"Look for words in everything: assets, people, software."`
	Views           viewsCommands           `cmd:"" help:"Look after questions for assets that are kept under a name."`
	Group           groupCommand            `cmd:"" help:"Count assets by the values of a field."`
	Software        softwareCommands        `cmd:"" help:"List the software of an asset, or of all."`
	People          peopleCommands          `cmd:"" help:"Look at people: who they are, what they have, and what needs a look."`
	History         historyCommand          `cmd:"" help:"Tell what happened to an asset."`
	Export          exportCommand           `cmd:"" help:"Write assets, or their software, as NDJSON, CSV or XLSX."`
	Watch           watchCommand            `cmd:"" help:"Tell what happens to assets, as it happens."`
	Explain         explainCommand          `cmd:"" help:"Say why the records of an asset are one thing."`
	Set             setCommand              `cmd:"" help:"State what you know of an asset: its owner, stage, labels; or that it is the same as another."`
	Findings        findingsCommands        `cmd:"" help:"List the rules that assets fail, and waive or acknowledge that they do."`
	Rules           rulesCommands           `cmd:"" help:"List the rules that assets are judged by, try others, and write the site's own."`
	Subscriptions   subscriptionsCommands   `cmd:"" help:"Look after who is told what happens: webhooks, Slack, Teams, e-mail."`
	Feeds           feedsCommands           `cmd:"" help:"Look after the systems that the collector reads."`
	Whoami          whoamiCommand           `cmd:"" help:"Tell whom the collector takes you for, and which part of the fleet you see."`
	Tokens          tokenCommands           `cmd:"" aliases:"token" help:"Manage the tokens that agents enrol with and the API is asked with."`
	Audit           auditCommands           `cmd:"" help:"Tell who changed what and who signed in, and check that nothing of it was changed."`
	Agents          agentsCommands          `cmd:"" help:"Manage enrolled agents."`
	Completion      completionCommand       `cmd:"" help:"Print what makes a shell complete commands, flags and live values at the tab key."`
	Version         versionCommand          `cmd:"" help:"Print the version of this program."`
	Compliance      complianceCommand       `cmd:"" help:"Tell how the fleet stands by its rules, and stood on each day."`
	Vulnerabilities vulnerabilitiesCommands `cmd:"" help:"Tell which packages have known vulnerabilities, and which assets have them."`
}

// outside is what commands use of the world around the program.
type outside struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	// getenv reads one variable of the environment.
	getenv func(string) string
	// configDir returns the folder of the user's own settings.
	configDir func() (string, error)
	now       func() time.Time
	// open shows an address in the person's browser.
	open func(address string) error
	// screen is what standard output is shown on.
	screen screen
}

func main() {
	world := outside{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, configDir: os.UserConfigDir, now: time.Now, open: openBrowser}
	world.screen = screenOf(os.Getenv, runtime.GOOS, int(os.Stdout.Fd()))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], world)
	stop()
	os.Exit(code)
}

// execute runs one command line and returns the program's exit code.
func execute(ctx context.Context, args []string, world outside) int {
	var c command
	exit := -1
	parser, err := kong.New(&c, kong.Name("rollcall"), kong.Writers(world.stdout, world.stderr),
		kong.Description("Asks a Rollcall collector.\n\n"+exits),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.Exit(func(code int) { exit = code }))
	if err != nil {
		fmt.Fprintln(world.stderr, "rollcall:", err)
		return exitError
	}
	showExamples(parser.Model.Node)
	if len(args) > 1 && args[0] == completeArg {
		complete(ctx, parser.Model.Node, world, args[1], args[2:])
		return 0
	}
	parsed, err := parser.Parse(args)
	if exit >= 0 {
		return exit
	}
	if err != nil {
		err = &failure{code: exitUsage, text: err.Error() + " (see rollcall --help)"}
	} else {
		out := bufio.NewWriter(world.stdout)
		s := &session{ctx: ctx, world: world, connection: c.connection, format: c.Output, out: out}
		err = parsed.Run(s)
		if flushed := out.Flush(); err == nil && flushed != nil {
			err = fmt.Errorf("write the output: %w", flushed)
		}
	}
	if err != nil {
		fmt.Fprintln(world.stderr, "rollcall:", clean(err.Error()))
	}
	return exitCode(err)
}

// session is one run of a command.
type session struct {
	ctx        context.Context
	world      outside
	connection connection
	format     string
	out        *bufio.Writer
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(s *session) error {
	return s.printDone(fmt.Appendf(nil, `{"version":%q}`, buildinfo.Version()), "rollcall "+buildinfo.Version())
}
