package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/capture"
	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/pkg/buildinfo"
)

type captureCommand struct {
	Dir   string   `arg:"" help:"Folder to record into; it must be new or empty."`
	Scrub bool     `help:"Replace serials, names, accounts and addresses by others of the same shape."`
	Hide  []string `placeholder:"WORD" sep:"none" help:"Also replace this name or number; may be given again. Implies --scrub."`
}

// Run records this machine and tells what to look at before it is sent.
func (c captureCommand) Run(world outside) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	o := capture.Options{Scrub: c.Scrub || len(c.Hide) > 0, Hide: c.Hide, Version: buildinfo.Version(), Random: rand.Reader}
	r, err := capture.Take(ctx, host.Live(), c.Dir, o)
	if err != nil {
		return err
	}
	c.tell(world.stdout, r, o.Scrub)
	return nil
}

// tell says what was recorded and what to do with it.
func (c captureCommand) tell(w io.Writer, r capture.Result, scrubbed bool) {
	fmt.Fprintf(w, "Recorded %d files, %d KiB, in %s.\n", r.Files, (r.Bytes+1023)>>10, c.Dir)
	fmt.Fprintf(w, "Show what they are read as: rollcall-agent collect --from %s\n", c.Dir)
	if len(r.Differs) > 0 {
		fmt.Fprintf(w, "\nThe recording is read otherwise than the machine in: %s.\n", strings.Join(r.Differs, ", "))
	}
	list(w, "What could not be learnt, which the recording has too:", len(r.Problems), func(i int) string {
		return r.Problems[i].GetFact() + ": " + r.Problems[i].GetError()
	})
	list(w, "Left out:", len(r.LeftOut), func(i int) string { return r.LeftOut[i] })
	if !scrubbed {
		fmt.Fprintf(w, "\nIt holds serials, names, accounts and addresses as they are, and the content of every file that was read.\n"+
			"Show it only to those who may know them, or record again with --scrub.\n")
		return
	}
	fmt.Fprintf(w, "\nSerials, names, accounts and addresses were replaced wherever they were recognised.\n"+
		"Before you send it, look for what no program can know: search the folder for your name, your company's,\n"+
		"and those of your servers and projects. Record again with --hide WORD for what you find.\n"+
		"The names of installed programs, and the addresses that they are installed from, are as they were.\n")
	list(w, "Compressed files are as they were:", len(r.Unread), func(i int) string { return r.Unread[i] })
}

// maxListed is how much of a list is told.
const maxListed = 20

func list(w io.Writer, title string, n int, line func(int) string) {
	if n == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for i := range min(n, maxListed) {
		fmt.Fprintf(w, "  %s\n", line(i))
	}
	if n > maxListed {
		fmt.Fprintf(w, "  and %d more\n", n-maxListed)
	}
}
