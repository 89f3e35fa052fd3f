// Command rollcall is the administrator's command line: it asks a collector's
// API what people ask, and prints it as tables, JSON or YAML.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/rollcall-itam/rollcall/pkg/buildinfo"
)

// Exit codes; scripts rely on them.
const (
	exitOK           = 0
	exitError        = 1
	exitUsage        = 2
	exitNotFound     = 3
	exitUnauthorized = 4
)

// settings are the flags that every command has.
type settings struct {
	URL       string `name:"url" env:"ROLLCALL_URL" placeholder:"URL" help:"The collector, as http://host:8470; also ROLLCALL_URL or what login saved."`
	TokenFile string `type:"path" placeholder:"FILE" help:"A file that holds an API token; also ROLLCALL_TOKEN or what login saved."`
	Output    string `short:"o" enum:"table,json,yaml" default:"table" help:"How to print: table, json or yaml."`
}

// cli is all commands.
type cli struct {
	settings
	Login    loginCmd    `cmd:"" help:"Save the collector's address and a token for later commands."`
	Assets   assetsCmd   `cmd:"" help:"What the fleet is made of."`
	Software softwareCmd `cmd:"" help:"List what is installed on an asset."`
	Token    tokenCmd    `cmd:"" help:"Tokens for the API and for enrolment."`
	Agents   agentsCmd   `cmd:"" help:"Enrolled endpoint agents."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

// app is what a command works with.
type app struct {
	ctx    context.Context
	out    io.Writer
	now    time.Time
	width  int
	format string
	client *client
	env    func(string) string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr, os.Getenv)
	stop()
	os.Exit(code)
}

// run is the whole program, but for the process around it.
func run(ctx context.Context, args []string, out, errs io.Writer, env func(string) string) int {
	var c cli
	parser, err := kong.New(&c, kong.Name("rollcall"), kong.Description("Asks a Rollcall collector. Examples:\n\n  rollcall assets list\n  rollcall assets show ann-mbp\n  rollcall token create --kind enroll --uses 10 --expires 24h"),
		kong.Writers(out, errs), kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.Exit(func(code int) { panic(exit(code)) }), // caught below: kong ends the program after --help
		kong.UsageOnError())
	if err != nil {
		return fail(errs, err)
	}
	return parseAndRun(ctx, parser, &c, args, streams{out, errs, env})
}

// exit carries kong's wish to end the program.
type exit int

type streams struct {
	out, errs io.Writer
	env       func(string) string
}

func parseAndRun(ctx context.Context, parser *kong.Kong, c *cli, args []string, s streams) (code int) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(exit)
			if !ok {
				panic(r)
			}
			code = int(e)
		}
	}()
	parsed, err := parser.Parse(args)
	if err != nil {
		_, _ = fmt.Fprintf(s.errs, "rollcall: %v\nRun `rollcall --help` for the commands.\n", err)
		return exitUsage
	}
	a := &app{ctx: ctx, out: s.out, now: time.Now(), width: terminalWidth(s.out), format: c.Output, env: s.env}
	if err := a.connect(c.settings, parsed.Command()); err != nil {
		return fail(s.errs, err)
	}
	if err := parsed.Run(a, c); err != nil {
		return fail(s.errs, err)
	}
	return exitOK
}

func fail(errs io.Writer, err error) int {
	_, _ = fmt.Fprintln(errs, "rollcall:", plain(err.Error()))
	var e *apiError
	switch {
	case errors.Is(err, errNotFound):
		return exitNotFound
	case errors.As(err, &e) && (e.status == 401 || e.status == 403):
		return exitUnauthorized
	case errors.As(err, &e) && e.status == 404:
		return exitNotFound
	}
	return exitError
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(a *app) error {
	_, err := fmt.Fprintln(a.out, "rollcall", buildinfo.Version())
	return err
}
