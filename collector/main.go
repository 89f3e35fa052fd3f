// Command rollcall-collector takes in what agents report, keeps the record of
// every asset, and answers who asks.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/rollcall-itam/rollcall/collector/kv/badgerkv"
	"github.com/rollcall-itam/rollcall/pkg/buildinfo"
)

// command is the command line.
type command struct {
	Serve      serveCommand       `cmd:"" help:"Run the collector until stopped."`
	Backup     backupCommands     `cmd:"" help:"Make and check backups."`
	Restore    restoreCommand     `cmd:"" help:"Put a backup in the place of a data folder; the collector must be stopped."`
	Check      checkStoreCommand  `cmd:"" help:"Check all records and indexes of the store; the collector may run."`
	Compact    compactCommand     `cmd:"" help:"Drop from the store's files what was overwritten and deleted; the collector may run."`
	Rebuild    rebuildCommand     `cmd:"" help:"Make everything anew that is derived from what sources said; the collector must be stopped."`
	Audit      auditCommands      `cmd:"" help:"Look after the audit log."`
	Config     configCommands     `cmd:"" help:"Look at the configuration."`
	Feeds      feedsCommands      `cmd:"" help:"Connect systems that know of devices, and write manifests for them."`
	Rules      rulesCommands      `cmd:"" help:"List the rules that come along, and check those that you write."`
	Advisories advisoriesCommands `cmd:"" help:"Take in what is known of vulnerabilities."`
	Precedence precedenceCommands `cmd:"" help:"Look at what another precedence of sources would alter."`
	Updates    updatesCommands    `cmd:"" help:"Sign versions of the agent, and look at what is signed."`
	Support    supportCommands    `cmd:"" help:"Gather for who helps you what tells how the collector fares, without secrets and names."`
	Log        logCommands        `cmd:"" help:"Look at and change what a collector that runs writes into its log."`
	Profile    profileCommand     `cmd:"" help:"Find out what a collector that runs spends its time and memory on."`
	Version    versionCommand     `cmd:"" help:"Print the version."`
}

// outside is what commands use of the world around the program.
type outside struct {
	stdout, stderr io.Writer
	// getenv reads one variable of the environment.
	getenv func(string) string
}

func main() {
	if handled, code := badgerkv.VerifyMain(os.Args[1:]); handled {
		os.Exit(code)
	}
	os.Exit(execute(os.Args[1:], outside{stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}))
}

// execute runs one command line and returns the program's exit code.
func execute(args []string, world outside) int {
	var c command
	exit := -1
	parser, err := kong.New(&c, kong.Name("rollcall-collector"), kong.Writers(world.stdout, world.stderr),
		kong.Description("Keeps the record of every asset, from what agents and other sources say."),
		kong.Exit(func(code int) { exit = code }))
	if err != nil {
		fmt.Fprintln(world.stderr, "rollcall-collector:", err)
		return 1
	}
	ctx, err := parser.Parse(args)
	if exit >= 0 {
		return exit
	}
	if err == nil {
		err = ctx.Run(world)
	} else {
		err = fmt.Errorf("%w (see rollcall-collector --help)", err)
	}
	if err != nil {
		fmt.Fprintln(world.stderr, "rollcall-collector:", err)
		return 1
	}
	return 0
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(world outside) error {
	fmt.Fprintln(world.stdout, "rollcall-collector", buildinfo.Version())
	return nil
}

type serveCommand struct {
	configFlags
	NoMigrationBackup bool `help:"Migrate the store of an older version without a backup: for who has one."`
}

// Run serves until the first signal; the second ends the program at once.
func (c serveCommand) Run(world outside) error {
	s, err := c.settings(world.getenv)
	if err != nil {
		return err
	}
	s.noMigrationBackup = c.NoMigrationBackup
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // signals have their usual effect again
	return serve(ctx, s, newLogger(world.stderr, s), nil)
}

type rebuildCommand struct{ configFlags }

// Run rebuilds and tells what it made.
func (c rebuildCommand) Run(world outside) error {
	s, err := c.settings(world.getenv)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	stats, err := rebuild(ctx, s, newLogger(world.stderr, s))
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("interrupted: run rebuild again before the collector is started: %w", err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(world.stdout, "rebuilt %d assets from %d observations\n", stats.Assets, stats.Observations)
	return nil
}
