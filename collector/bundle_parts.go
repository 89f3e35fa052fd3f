package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/collector/diagnose"
	"github.com/rollcall-itam/rollcall/collector/kv/badgerkv"
	"github.com/rollcall-itam/rollcall/pkg/buildinfo"
)

// Parts that a running collector tells together.
const (
	feedsText    = "feeds.json"
	messagesText = "notifications.json"
)

const (
	// maxFiles bounds the files of the data folder that are listed.
	maxFiles = 5000
	// soon is how long to wait for what a collector that is well tells at once.
	soon = 20 * time.Second
)

// bundle is one being made.
type bundle struct {
	settings    settings
	settingsErr error
	world       outside
	cpu         time.Duration
	timeout     time.Duration
	log         *slog.Logger
	// silent is why the collector is not asked: nil where it runs.
	silent error
	// fleet is what it told of the fleet.
	fleet    fleetTexts
	fleetErr error
}

// ask finds out whether a collector runs.
func (b *bundle) ask() {
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	b.silent = b.viaControl(ctx, "support/running", io.Discard)
}

// state says for people whether the collector runs.
func (b *bundle) state() string {
	switch {
	case b.silent == nil:
		return "the collector runs on " + b.settings.DataDir
	case errors.Is(b.silent, errNotRunning):
		return "no collector runs on " + b.settings.DataDir
	}
	return fmt.Sprintf("whether a collector runs on %s is not known: %v", b.settings.DataDir, b.silent)
}

func (b *bundle) viaControl(ctx context.Context, command string, w io.Writer) error {
	resp, err := askControl(ctx, b.settings.DataDir, command, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	if said := answered(resp); said != nil {
		return said
	}
	return err
}

// parts returns what the bundle holds: of a collector that is stopped, what its
// files tell.
func (b *bundle) parts(ctx context.Context) []diagnose.Part {
	all := []diagnose.Part{
		{Name: "program.txt", About: "versions, build, machine, whether the collector runs", Write: b.program},
		{Name: "configuration.yaml", About: "the settings that this command found, without secrets", Write: b.configuration},
		{Name: "data-folder.txt", About: "names, sizes and modes of the files in the data folder", Write: b.files},
		{Name: "disk.txt", About: "free disk space", Write: b.disk},
		{Name: "backups.json", About: "the last backup, and restores that were made or interrupted", Write: b.backups},
	}
	if errors.Is(b.silent, errNotRunning) {
		return append(all,
			diagnose.Part{Name: "records.json", About: "records by kind: numbers and bytes", Write: b.within(ctx, b.stoppedRecords)},
			diagnose.Part{Name: "check.txt", About: "what is wrong with records, counted", Write: b.within(ctx, b.stoppedCheck)})
	}
	all = append(all,
		b.asked(ctx, soon, "goroutines", diagnose.Part{Name: "goroutines.txt", About: "what each goroutine is at"}),
		b.asked(ctx, soon, "running", diagnose.Part{Name: "running.json", About: "the running collector: version, memory, log level"}),
		b.asked(ctx, soon, "configuration", diagnose.Part{Name: "running.yaml", About: "the settings that it runs with, without secrets"}),
		b.asked(ctx, soon, "metrics", diagnose.Part{Name: "metrics.txt", About: "all metrics"}),
		b.ofFleet(ctx, logText, "its last lines of log: 2,000 or 1 MiB"),
		b.ofFleet(ctx, feedsText, "how feeds fare: passes, errors, problems counted"),
		b.ofFleet(ctx, messagesText, "how notifications fare"),
		b.asked(ctx, b.timeout, "records", diagnose.Part{Name: "records.json", About: "records by kind: numbers and bytes"}),
		b.asked(ctx, b.timeout, "check", diagnose.Part{Name: "check.txt", About: "what is wrong with records, counted"}),
		b.profile(ctx, "heap", 0, "profile of memory"))
	if b.cpu > 0 {
		all = append(all, b.profile(ctx, "cpu", b.cpu, "profile of the processors' time over "+b.cpu.String()))
	}
	return all
}

// asked is a part that the running collector tells.
func (b *bundle) asked(ctx context.Context, patience time.Duration, name string, p diagnose.Part) diagnose.Part {
	p.Write = func(w io.Writer) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return b.viaControl(ctx, "support/"+name, w)
	}
	return p
}

func (b *bundle) profile(ctx context.Context, kind string, last time.Duration, about string) diagnose.Part {
	return diagnose.Part{Name: kind + ".pb.gz", About: about, Binary: true, Write: func(w io.Writer) error {
		ctx, cancel := context.WithTimeout(ctx, soon+last)
		defer cancel()
		return b.viaControl(ctx, profileCall(kind, last), w)
	}}
}

// ofFleet is one of the parts that are masked together, asked for with the first.
func (b *bundle) ofFleet(ctx context.Context, name, about string) diagnose.Part {
	return diagnose.Part{Name: name, About: about, Write: func(w io.Writer) error {
		if b.fleet == nil && b.fleetErr == nil {
			ctx, cancel := context.WithTimeout(ctx, b.timeout)
			defer cancel()
			b.fleetErr = viaControl(ctx, b.settings.DataDir, "support/fleet", &b.fleet)
		}
		_, err := io.WriteString(w, b.fleet[name])
		return errors.Join(err, b.fleetErr)
	}}
}

func (b *bundle) within(ctx context.Context, write func(context.Context, io.Writer) error) func(io.Writer) error {
	return func(w io.Writer) error {
		ctx, cancel := context.WithTimeout(ctx, b.timeout)
		defer cancel()
		return write(ctx, w)
	}
}

func (b *bundle) stoppedRecords(ctx context.Context, w io.Writer) (err error) {
	db, err := openStopped(ctx, b.settings, b.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return tellRecords(ctx, db, w)
}

func (b *bundle) stoppedCheck(ctx context.Context, w io.Writer) (err error) {
	db, c, err := openCatalog(ctx, b.settings, b.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	summary := newCheckSummary()
	_, err = c.Verify(ctx, summary.report)
	return errors.Join(summary.write(w, newMasker()), err)
}

func (b *bundle) program(w io.Writer) error {
	fmt.Fprintf(w, "rollcall-collector %s, %s, %s/%s, %d processors\n%s\n", buildinfo.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH,
		runtime.NumCPU(), b.state())
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("the program holds nothing about its build")
	}
	for _, s := range info.Settings {
		fmt.Fprintf(w, "build %s=%s\n", s.Key, s.Value)
	}
	for _, m := range info.Deps {
		fmt.Fprintf(w, "module %s %s\n", m.Path, m.Version)
	}
	return nil
}

func (b *bundle) configuration(w io.Writer) error {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "ROLLCALL_") || strings.HasPrefix(name, "GO") {
			fmt.Fprintf(w, "# the environment sets %s\n", name)
		}
	}
	if b.settingsErr != nil {
		fmt.Fprintf(w, "# the configuration is refused: %v\n", b.settingsErr)
	}
	text, err := b.settings.shown()
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// files lists the data folder, and counts the sizes of folders.
func (b *bundle) files(w io.Writer) error {
	n, bytes := 0, int64(0)
	err := filepath.WalkDir(b.settings.DataDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			fmt.Fprintf(w, "%v\n", err)
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil // it went a moment ago
		}
		rel, err := filepath.Rel(b.settings.DataDir, path)
		if err != nil {
			return err
		}
		n++
		if info.Mode().IsRegular() {
			bytes += info.Size()
		}
		if n <= maxFiles {
			fmt.Fprintf(w, "%s %12d %s %s\n", info.Mode(), info.Size(), info.ModTime().UTC().Format(time.RFC3339), rel)
		}
		return nil
	})
	fmt.Fprintf(w, "%d files and folders, %d bytes\n", n, bytes)
	return err
}

func (b *bundle) disk(w io.Writer) error {
	var errs []error
	dirs := []string{b.settings.DataDir, os.TempDir()}
	if dir, ok := strings.CutPrefix(b.settings.Store, "badger:"); ok {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		free, err := badgerkv.FreeSpace(dir)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintf(w, "%12d bytes free for %s\n", free, dir)
	}
	fmt.Fprintf(w, "%12d bytes is min_free, below which nothing is written\n", b.settings.MinFree)
	return errors.Join(errs...)
}

func (b *bundle) backups(w io.Writer) error {
	state := struct {
		Last       json.RawMessage `json:"last_backup"`
		StillThere bool            `json:"still_there"`
		// Interrupted says that a restore was not finished, Replaced what earlier
		// ones put aside.
		Interrupted bool     `json:"restore_interrupted"`
		Replaced    []string `json:"replaced"`
	}{}
	if last, ok := lastBackup(b.settings.DataDir); last.Path != "" {
		text, err := json.Marshal(last)
		if err != nil {
			return err
		}
		state.Last, state.StillThere = text, ok
	}
	entries, err := os.ReadDir(b.settings.DataDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		state.Interrupted = state.Interrupted || e.Name() == restoringName
		if strings.HasPrefix(e.Name(), replacedName) {
			state.Replaced = append(state.Replaced, e.Name())
		}
	}
	return indented(w, state)
}
