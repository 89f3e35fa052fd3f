package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rollcall-itam/rollcall/collector/diagnose"
)

// supportCommands are for who helps an administrator.
type supportCommands struct {
	Bundle supportBundleCommand `cmd:"" help:"Write an archive (zip) that tells how the collector fares, to send to who helps you; the collector may run, be stopped or be damaged."`
	Mask   supportMaskCommand   `cmd:"" help:"Copy a text, such as the log of a collector that is stopped, without secrets, addresses and what may name a device."`
}

type supportBundleCommand struct {
	configFlags
	List    bool          `help:"Tell what would be in it, and write nothing."`
	CPU     time.Duration `name:"cpu" placeholder:"10s" help:"Take a profile of the processors' time as well, for so long (1s to 2m)."`
	Timeout time.Duration `default:"5m" help:"How long to wait for one part, such as the check of a large store."`
	File    string        `arg:"" optional:"" placeholder:"FILE.zip" help:"Where to; a file that is not there yet. rollcall-support-TIME.zip unless you say so."`
}

// Run writes the bundle and lists what is in it.
func (c supportBundleCommand) Run(world outside) error {
	// Wrong settings are a reason to ask for help, and do not keep it away.
	s, settingsErr := c.settings(world.getenv)
	if s.DataDir == "" {
		s.DataDir = first(defaultDataDir, c.DataDir)
		s.Store = first("badger:"+filepath.Join(s.DataDir, "store"), c.Store)
	}
	if c.CPU != 0 {
		if err := diagnose.CheckProfile("cpu", c.CPU); err != nil {
			return fmt.Errorf("--cpu: %w", err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := bundle{settings: s, settingsErr: settingsErr, world: world, cpu: c.CPU, timeout: c.Timeout, log: newLogger(io.Discard, s)}
	b.ask()
	if c.List {
		fmt.Fprintln(world.stdout, b.state())
		for _, p := range b.parts(ctx) {
			fmt.Fprintf(world.stdout, "%-20s %s\n", p.Name, p.About)
		}
		return nil
	}
	now := time.Now()
	file := c.File
	if file == "" {
		file = "rollcall-support-" + now.UTC().Format("20060102T150405Z") + ".zip"
	}
	all, err := writeNew(file, func(w io.Writer) ([]diagnose.Written, error) {
		return diagnose.WriteBundle(w, newMasker(), now, b.parts(ctx))
	})
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return errors.Join(errors.New("interrupted: no bundle was written"), os.Remove(file))
	}
	fmt.Fprintln(world.stdout, b.state())
	diagnose.List(world.stdout, all)
	fmt.Fprintf(world.stdout, "%s is written. Look through it, then send it.\n", file)
	return nil
}

// writeNew makes a file that only its owner may read. What cannot be finished is
// removed.
func writeNew[T any](name string, write func(io.Writer) (T, error)) (made T, err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return made, fmt.Errorf("%s is there already: choose another name", name)
	}
	if err != nil {
		return made, fmt.Errorf("write the file: %w", err)
	}
	made, err = write(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return made, errors.Join(err, os.Remove(name))
	}
	return made, nil
}

type supportMaskCommand struct {
	File string `arg:"" optional:"" placeholder:"FILE" help:"The text; standard input unless you name one."`
}

// Run copies the text to standard output.
func (c supportMaskCommand) Run(world outside) error {
	in := io.Reader(os.Stdin)
	if c.File != "" {
		f, err := os.Open(c.File)
		if err != nil {
			return fmt.Errorf("read the text: %w", err)
		}
		defer f.Close()
		in = f
	}
	const most = 64 << 20
	b, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return fmt.Errorf("read the text: %w", err)
	}
	if len(b) > most {
		return fmt.Errorf("the text has more than %d MiB: cut out what matters", most>>20)
	}
	_, err = io.WriteString(world.stdout, newMasker().Log(strings.ToValidUTF8(string(b), "?")))
	return err
}
