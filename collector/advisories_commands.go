package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/rollcall-itam/rollcall/collector/advisory"
)

// advisoriesCommands work on the folder of advisories; a collector that runs takes
// in within some seconds what they change.
type advisoriesCommands struct {
	Import importAdvisories `cmd:"" help:"Take in advisories of OSV, or CISA's catalog of known exploited vulnerabilities; the collector may run."`
	List   listAdvisories   `cmd:"" help:"List what was taken in, and what of it was left out."`
	Remove removeAdvisories `cmd:"" help:"Remove what was taken in under a name."`
}

type importAdvisories struct {
	configFlags
	From         []string `arg:"" name:"from" help:"File (JSON, NDJSON, ZIP), folder, or address of a mirror."`
	Name         string   `placeholder:"NAME" help:"What it is kept as, in the place of what was kept as that; by the name of the file or the folder unless set."`
	CAFile       string   `name:"ca-file" placeholder:"FILE" help:"Certificates to trust beside the system's."`
	Proxy        string   `placeholder:"URL" help:"HTTP proxy, or the word environment."`
	AllowPrivate bool     `help:"Let the address be one of a private network."`
	Fewer        bool     `help:"Let it have far fewer advisories than what it takes the place of."`
}

// Run imports each and tells what came of it.
func (c importAdvisories) Run(world outside) error {
	s, err := c.settings(world.getenv)
	if err != nil {
		return err
	}
	if c.Name != "" && len(c.From) > 1 {
		return fmt.Errorf("--name is for one file, folder or address: import them one by one")
	}
	if err := prepareDataDir(s.DataDir); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for _, from := range c.From {
		infos, err := c.one(ctx, advisoriesDir(s.DataDir), from)
		if err != nil {
			return err
		}
		for _, info := range infos {
			tellImport(world.stdout, info)
		}
	}
	return takeIn(ctx, s.DataDir)
}

// takeIn has a collector that runs take in what changed now.
func takeIn(ctx context.Context, dataDir string) error {
	resp, err := askControl(ctx, dataDir, "advisories", nil)
	if errors.Is(err, errNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (c importAdvisories) one(ctx context.Context, dir, from string) ([]advisory.Info, error) {
	source, err := advisorySettings{From: from, Name: c.Name, CAFile: c.CAFile, Proxy: c.Proxy, AllowPrivate: c.AllowPrivate}.source()
	if err != nil {
		return nil, err
	}
	im := advisory.Import{Dir: dir, Path: from, From: from, Name: c.Name, Now: time.Now()}
	if !c.Fewer {
		if im.Held, err = heldAdvisories(dir); err != nil {
			return nil, err
		}
	}
	if advisory.Remote(from) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the folder of the advisories: %w", err)
		}
		if im.Path, im.Stamp, err = advisory.Download(ctx, source.Client, from, dir, ""); err != nil {
			return nil, err
		}
		defer os.Remove(im.Path)
	}
	return im.Run(ctx)
}

// heldAdvisories returns what a folder holds, nil for a folder that is not there.
func heldAdvisories(dir string) ([]advisory.Info, error) {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	l, err := advisory.Open(dir, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		return nil, err
	}
	return l.Infos(), nil
}

func tellImport(w io.Writer, info advisory.Info) {
	switch {
	case info.Exploited > 0:
		fmt.Fprintf(w, "%s: %d known exploited vulnerabilities as of %s\n", info.Name, info.Exploited, when(info.Newest))
	default:
		fmt.Fprintf(w, "%s: %d of %d records are kept, about %d packages of %s; the newest is of %s\n", info.Name, info.Advisories, info.Records, info.Entries, strings.Join(info.Scopes, ", "), when(info.Newest))
	}
	for _, left := range info.Skipped {
		fmt.Fprintf(w, "  left out: %d %s, such as %s\n", left.Count, left.Reason, strings.Join(left.Examples, ", "))
	}
}

// when writes a day; a dash for one that is not told.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.DateOnly)
}

type listAdvisories struct{ configFlags }

// Run lists what is held.
func (c listAdvisories) Run(world outside) error {
	s, err := c.settings(world.getenv)
	if err != nil {
		return err
	}
	if _, err := os.Stat(advisoriesDir(s.DataDir)); err != nil {
		return fmt.Errorf("no advisories were imported into %s: see rollcall-collector advisories import --help", s.DataDir)
	}
	l, err := advisory.Open(advisoriesDir(s.DataDir), slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(world.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tIMPORTED\tNEWEST\tADVISORIES\tPACKAGES\tLEFT OUT\tFROM")
	for _, info := range l.Infos() {
		left := 0
		for _, x := range info.Skipped {
			left += x.Count
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%s\n", info.Name, info.ImportedAt.Format(time.RFC3339), when(info.Newest), info.Advisories+info.Exploited, info.Entries, left, advisorySettings{From: info.From}.shown().From)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, p := range l.Problems() {
		fmt.Fprintf(world.stdout, "%s cannot be read: %s\n", p.Name, p.Text)
	}
	return nil
}

type removeAdvisories struct {
	configFlags
	Name string `arg:"" help:"Name, as rollcall-collector advisories list has it."`
}

// Run removes what was imported under a name.
func (c removeAdvisories) Run(world outside) error {
	s, err := c.settings(world.getenv)
	if err != nil {
		return err
	}
	if err := advisory.Remove(advisoriesDir(s.DataDir), c.Name); err != nil {
		return err
	}
	fmt.Fprintf(world.stdout, "removed %s\n", c.Name)
	return takeIn(context.Background(), s.DataDir)
}
