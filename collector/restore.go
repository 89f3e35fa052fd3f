package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rollcall-itam/rollcall/collector/backup"
	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/kv/badgerkv"
)

// Names in the data folder of a restore: where it is being made, and the start
// of the name of what it replaced.
const (
	restoringName = "restore.partial"
	replacedName  = "replaced-"
)

type restoreCommand struct {
	configFlags
	Replace bool   `help:"Put what is in the data folder aside, into a folder replaced-TIME in it; without this, the data folder must be empty."`
	Erased  string `name:"erasures" placeholder:"FILE" help:"A copy of erasures.jsonl of the data folder that was lost: whom it names is erased again."`
	From    string `arg:"" placeholder:"DIR|FILE.rcb" help:"A backup, or a folder of which the newest is meant."`
}

// Run puts a backup in the place of a data folder.
func (c restoreCommand) Run(world outside) error {
	s, err := c.settings(world.getenv)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r := restoring{settings: s, replace: c.Replace, erased: c.Erased, now: time.Now()}
	info, err := r.run(ctx, c.From)
	if err != nil {
		return fmt.Errorf("not restored: %w", err)
	}
	fmt.Fprintf(world.stdout, "restored into %s: %d records and %d files, of %s, commit %d\n", s.DataDir, info.Records, info.Files, info.CreatedAt.Format(time.RFC3339), info.Mark.Commit)
	if r.aside != "" {
		fmt.Fprintf(world.stdout, "what was there before is in %s: remove it when you need it no longer\n", r.aside)
	}
	for _, line := range r.again.lines() {
		fmt.Fprintln(world.stdout, line)
	}
	fmt.Fprintln(world.stdout, "A backup holds neither the configuration file, nor the certificate of --http-addr, rules and secrets that it names. What was reported after the backup, agents and feeds report again.")
	return nil
}

// restoring is one restore.
type restoring struct {
	settings settings
	replace  bool
	// erased is a file of erasures, empty for none; again is who is to be erased again.
	erased string
	again  eraseAgainPlan
	now    time.Time
	// aside is where went what was in the data folder.
	aside string
}

func (r *restoring) run(ctx context.Context, from string) (info backup.Info, err error) {
	store, ok := strings.CutPrefix(r.settings.Store, "badger:")
	if !ok {
		return info, errors.New("a store in memory cannot be restored")
	}
	if from, err = filepath.Abs(from); err != nil {
		return info, err
	}
	a, err := backup.Open(from)
	if err != nil {
		return info, err
	}
	if err := r.checkFree(ctx, store, a.Path); err != nil {
		return info, err
	}
	work := filepath.Join(r.settings.DataDir, restoringName)
	if err := errors.Join(os.RemoveAll(work), os.RemoveAll(store+".partial")); err != nil {
		return info, fmt.Errorf("remove what an interrupted restore left: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(work, "files"), 0o700); err != nil {
		return info, fmt.Errorf("make the data folder: %w", err)
	}
	// The store may lie on another disk than the data folder, and what is
	// beside its place can be moved there.
	if info, err = r.fill(ctx, a, store+".partial", filepath.Join(work, "files")); err != nil {
		return info, errors.Join(err, os.RemoveAll(store+".partial"), os.RemoveAll(work))
	}
	if r.again, err = r.planErasures(ctx, a, filepath.Join(work, "files")); err != nil {
		return info, errors.Join(err, os.RemoveAll(store+".partial"), os.RemoveAll(work))
	}
	return info, r.swap(store, work)
}

// checkFree makes sure that nobody works on the data folder, and that nothing is
// lost in it.
func (r *restoring) checkFree(ctx context.Context, store, archive string) error {
	resp, err := askControl(ctx, r.settings.DataDir, "state", nil)
	if err == nil {
		_ = resp.Body.Close() // it is enough that somebody answers
	}
	if !errors.Is(err, errNotRunning) {
		return fmt.Errorf("a collector runs on %s: stop it first", r.settings.DataDir)
	}
	if err := badgerkv.CheckUnused(store); err != nil {
		return err
	}
	if r.replace {
		if within(r.settings.DataDir, archive) && !within(filepath.Join(r.settings.DataDir, backupsName), archive) {
			return fmt.Errorf("backup %s lies in the data folder that it is to replace: move it elsewhere first", archive)
		}
		return nil
	}
	for _, dir := range []string{r.settings.DataDir, store} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			if !stays(e.Name()) && e.Name() != restoringName && e.Name() != filepath.Base(store)+".partial" {
				return fmt.Errorf("%s is not empty (it holds %s): choose an empty folder, or add --replace to put what is there aside", dir, e.Name())
			}
		}
	}
	return nil
}

func within(dir, path string) bool {
	dir, err := filepath.Abs(dir)
	rel, relErr := filepath.Rel(dir, path)
	return err == nil && relErr == nil && filepath.IsLocal(rel)
}

// stays tells what of a data folder is not put aside.
func stays(name string) bool {
	return strings.HasPrefix(name, replacedName) || name == backupsName || name == "lost+found"
}

// fill makes the store and the files.
func (r *restoring) fill(ctx context.Context, a backup.Archive, store, files string) (info backup.Info, err error) {
	db, err := badgerkv.Open(ctx, badgerkv.Options{Dir: store, MinFree: r.settings.MinFree})
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return a.Restore(ctx, db, func(f backup.File) error {
		path := filepath.Join(files, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("restore %s: %w", f.Name, err)
		}
		return enroll.WriteFile(path, f.Content, f.Mode.Perm()&0o644)
	})
}

// swap puts aside what is there and moves the restored in its place. While the
// folder restoringName is there, no collector starts; it goes last.
func (r *restoring) swap(store, work string) error {
	data := r.settings.DataDir
	if err := r.putAside(store); err != nil {
		return fmt.Errorf("put aside what is in %s: %w", data, err)
	}
	entries, err := os.ReadDir(filepath.Join(work, "files"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(work, "files", e.Name()), filepath.Join(data, e.Name())); err != nil {
			return fmt.Errorf("move %s into its place: %w", e.Name(), err)
		}
	}
	if err := os.Rename(store+".partial", store); err != nil {
		return fmt.Errorf("move the store into its place: %w", err)
	}
	return os.RemoveAll(work)
}

func (r *restoring) putAside(store string) error {
	data := r.settings.DataDir
	aside := filepath.Join(data, replacedName+r.now.UTC().Format("20060102T150405Z"))
	move := func(path string) error {
		if r.aside == "" {
			if err := os.MkdirAll(aside, 0o700); err != nil {
				return err
			}
			r.aside = aside
		}
		return os.Rename(path, filepath.Join(aside, filepath.Base(path)))
	}
	entries, err := os.ReadDir(data)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if stays(e.Name()) || e.Name() == restoringName || filepath.Join(data, e.Name()) == store+".partial" {
			continue
		}
		if err := move(filepath.Join(data, e.Name())); err != nil {
			return err
		}
	}
	// A store elsewhere is put aside where it is: it may be on another disk.
	if _, err := os.Stat(store); err == nil {
		return os.Rename(store, store+"."+filepath.Base(aside))
	}
	return nil
}

// checkRestored refuses a data folder whose restore was interrupted.
func checkRestored(dataDir string) error {
	if _, err := os.Stat(filepath.Join(dataDir, restoringName)); err == nil {
		return fmt.Errorf("a restore into %s was interrupted: run it again, with --replace", dataDir)
	}
	return nil
}
