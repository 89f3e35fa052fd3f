package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rollcall-itam/rollcall/collector/backup"
	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/badgerkv"
)

type backupCommands struct {
	Create backupCommand       `cmd:"" default:"withargs" help:"Copy the store, with the keys beside it, into a folder of backups or a file; the collector may run."`
	List   backupListCommand   `cmd:"" help:"List the backups in a folder."`
	Verify backupVerifyCommand `cmd:"" help:"Read a backup and check every byte of it."`
}

// How a new backup is tried before it is called good.
const (
	tryAuto    = "auto"
	tryRestore = "restore"
	tryRead    = "read"
)

type backupCommand struct {
	configFlags
	Try  string `enum:"auto,restore,read" default:"auto" help:"How the backup is tried: restore it into a scratch folder beside it and count, or read it; auto restores the first of a folder and each file."`
	Keep int    `placeholder:"N" help:"Remove all but the N newest backups of the folder; 0 keeps all."`
	To   string `arg:"" placeholder:"DIR|FILE.rcb" help:"Folder of backups, made where it is not there, or a file whose name ends with .rcb."`
}

// Run makes a backup, tries it, and tells where it is.
func (c backupCommand) Run(world outside) error {
	s, err := c.settings(world.getenv)
	if err != nil {
		return err
	}
	if c.Keep < 0 {
		return fmt.Errorf("--keep %d: want 0 (for all) or more", c.Keep)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	j := backupJob{settings: s, try: c.Try, log: newLogger(world.stderr, s)}
	made, err := j.run(ctx, c.To)
	if err != nil {
		return fmt.Errorf("no backup was made: %w", err)
	}
	fmt.Fprintf(world.stdout, "%s: %d records, %d MB, of %s, commit %d; %s\n", made.Path, made.Records, made.Bytes/1e6,
		made.CreatedAt.Format(time.RFC3339), made.Commit, made.Tried)
	if err := made.note(s.DataDir); err != nil {
		fmt.Fprintln(world.stderr, "rollcall-collector: the backup is good, but the data folder cannot remember where it is:", err)
	}
	if c.Keep == 0 || strings.HasSuffix(c.To, backup.Extension) {
		return nil
	}
	f, err := backup.OpenFolder(c.To)
	if err != nil {
		return err
	}
	removed, err := f.Prune(c.Keep)
	if removed > 0 {
		fmt.Fprintf(world.stdout, "%d older removed\n", removed)
	}
	return err
}

// backupJob is one backup being made.
type backupJob struct {
	settings settings
	try      string
	log      *slog.Logger
	// open is the store where this process has it open; nil otherwise.
	open kv.Marked
}

// madeBackup is what is remembered of a good backup.
type madeBackup struct {
	Path      string    `json:"path"`
	CreatedAt time.Time `json:"created_at"`
	Commit    uint64    `json:"commit"`
	Records   int64     `json:"records"`
	Bytes     int64     `json:"bytes"`
	Tried     string    `json:"tried"`
}

func (j backupJob) run(ctx context.Context, to string) (madeBackup, error) {
	if !strings.HasPrefix(j.settings.Store, "badger:") {
		return madeBackup{}, errors.New("a store in memory is not backed up: name the collector's with --data-dir or --store")
	}
	to, err := filepath.Abs(to)
	if err != nil {
		return madeBackup{}, err
	}
	if strings.HasSuffix(to, backup.Extension) {
		return j.toFile(ctx, to)
	}
	return j.toFolder(ctx, to)
}

func (j backupJob) toFile(ctx context.Context, path string) (madeBackup, error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return madeBackup{}, fmt.Errorf("%s exists already: choose another name", path)
	}
	var a backup.Archive
	var info backup.Info
	err := j.read(ctx, nil, func(r io.Reader) (err error) {
		a, info, err = backup.ReceiveFile(ctx, path, r)
		return err
	})
	if err != nil {
		return madeBackup{}, err
	}
	tried, err := j.tryOut(ctx, a, true)
	if err != nil {
		return madeBackup{}, err
	}
	if a, err = backup.KeepFile(a, path); err != nil {
		return madeBackup{}, err
	}
	return made(a, info, tried), nil
}

func (j backupJob) toFolder(ctx context.Context, dir string) (madeBackup, error) {
	f, err := backup.OpenFolder(dir)
	if err != nil {
		return madeBackup{}, err
	}
	before, err := f.Archives()
	if err != nil {
		return madeBackup{}, err
	}
	have, err := f.Have()
	if err != nil {
		return madeBackup{}, err
	}
	var a backup.Archive
	var info backup.Info
	err = j.read(ctx, have, func(r io.Reader) (err error) {
		a, info, err = f.Receive(ctx, r)
		return err
	})
	if err != nil {
		return madeBackup{}, err
	}
	tried, err := j.tryOut(ctx, a, len(before) == 0)
	if err != nil {
		return madeBackup{}, err
	}
	if a, err = f.Keep(a, info); err != nil {
		return madeBackup{}, err
	}
	return made(a, info, tried), nil
}

func made(a backup.Archive, info backup.Info, tried string) madeBackup {
	return madeBackup{Path: a.Path, CreatedAt: info.CreatedAt, Commit: info.Mark.Commit, Records: info.Records, Bytes: info.Bytes, Tried: tried}
}

// read hands the state of the store to receive: through the collector where one
// runs, and else from the store itself.
func (j backupJob) read(ctx context.Context, have map[backup.ID]bool, receive func(io.Reader) error) error {
	if j.open != nil {
		return j.readOpen(ctx, j.open, have, receive)
	}
	var body bytes.Buffer
	for id := range have {
		body.Write(id[:])
	}
	resp, err := askControl(ctx, j.settings.DataDir, "backup", &body)
	if errors.Is(err, errNotRunning) {
		return j.readStopped(ctx, have, receive)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	err = receive(resp.Body)
	if said := answered(resp); said != nil {
		return said // the cause of a stream that ends early
	}
	return err
}

func (j backupJob) readStopped(ctx context.Context, have map[backup.ID]bool, receive func(io.Reader) error) error {
	db, err := openStopped(ctx, j.settings, j.log)
	if err != nil {
		return err
	}
	return errors.Join(j.readOpen(ctx, db, have, receive), db.Close())
}

// readOpen hands over the state of a store that is open here.
func (j backupJob) readOpen(ctx context.Context, db kv.Marked, have map[backup.ID]bool, receive func(io.Reader) error) error {
	r, w := io.Pipe()
	wrote := make(chan error, 1)
	go func() {
		err := writeBackup(ctx, w, j.settings.DataDir, db, have)
		wrote <- err
		_ = w.CloseWithError(err) // never fails
	}()
	err := receive(r)
	_ = r.CloseWithError(errors.New("nobody reads the backup any more")) // never fails
	if writeErr := <-wrote; err == nil {
		err = writeErr
	}
	return err
}

// tryOut reads a backup, or restores it where that is asked for, and tells
// what was done.
func (j backupJob) tryOut(ctx context.Context, a backup.Archive, first bool) (string, error) {
	if j.try == tryRead || (j.try == tryAuto && !first) {
		_, err := a.Verify(ctx)
		return "every byte read and checked", err
	}
	return "restored into a scratch folder, counted and compared", tryRestoring(ctx, a, j.settings.MinFree)
}

// tryRestoring restores a backup into a scratch folder beside it.
func tryRestoring(ctx context.Context, a backup.Archive, minFree uint64) (err error) {
	scratch := filepath.Join(filepath.Dir(a.Path), "scratch.partial")
	if err := os.RemoveAll(scratch); err != nil {
		return fmt.Errorf("remove an old scratch folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	db, err := badgerkv.Open(ctx, badgerkv.Options{Dir: scratch, MinFree: minFree})
	if err != nil {
		return fmt.Errorf("make a scratch store to try the backup: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = a.Restore(ctx, db, nil)
	return err
}

// openStopped opens the store of a collector that is stopped.
func openStopped(ctx context.Context, s settings, log *slog.Logger) (*badgerkv.DB, error) {
	dir, ok := strings.CutPrefix(s.Store, "badger:")
	if !ok {
		return nil, errors.New("a store in memory holds nothing once its collector ended: name another with --data-dir or --store")
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("there is no store: %w; name the collector's with --data-dir or --store", err)
	}
	db, err := openEngine(ctx, s, log)
	if err != nil {
		return nil, err
	}
	return db.(*badgerkv.DB), nil
}

const lastBackupName = "last-backup.json"

// note remembers in the data folder where the backup is, for the day when the
// store is damaged.
func (m madeBackup) note(dataDir string) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return enroll.WriteFile(filepath.Join(dataDir, lastBackupName), append(b, '\n'), 0o644)
}

// lastBackup returns the last good backup that is still there.
func lastBackup(dataDir string) (madeBackup, bool) {
	var m madeBackup
	b, err := os.ReadFile(filepath.Join(dataDir, lastBackupName))
	if err != nil || json.Unmarshal(b, &m) != nil || m.Path == "" {
		return m, false
	}
	_, err = os.Stat(m.Path)
	return m, err == nil
}

// damaged tells how to restore a store that cannot be used, in one command.
func damaged(err error, s settings) error {
	command := fmt.Sprintf("rollcall-collector restore --replace --data-dir %s", quoted(s.DataDir))
	m, ok := lastBackup(s.DataDir)
	if !ok {
		return fmt.Errorf("%w\nNo backup is known here. With one, run: %s BACKUP", err, command)
	}
	return fmt.Errorf("%w\nThe last good backup is of %s, commit %d. Run: %s %s", err, m.CreatedAt.Format(time.RFC3339), m.Commit, command, quoted(m.Path))
}

// quoted returns a path as a shell takes it.
func quoted(path string) string {
	if strings.ContainsFunc(path, func(r rune) bool {
		return !strings.ContainsRune("/._-+:@", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}

type backupListCommand struct {
	Dir string `arg:"" placeholder:"DIR" help:"Folder of backups."`
}

// Run lists backups, the oldest first.
func (c backupListCommand) Run(world outside) error {
	if _, err := os.Stat(c.Dir); err != nil {
		return err
	}
	f, err := backup.OpenFolder(c.Dir)
	if err != nil {
		return err
	}
	all, err := f.Archives()
	if err != nil {
		return err
	}
	for _, a := range all {
		h, err := a.Header(context.Background())
		if err != nil {
			fmt.Fprintln(world.stdout, err)
			continue
		}
		fmt.Fprintf(world.stdout, "%s  %s  commit %d  version %s\n", a.Path, h.CreatedAt.Format(time.RFC3339), h.Mark.Commit, h.Program)
	}
	return nil
}

type backupVerifyCommand struct {
	Restore bool   `help:"Restore it into a scratch folder beside it as well, and count."`
	From    string `arg:"" placeholder:"DIR|FILE.rcb" help:"A backup, or a folder of which all are meant."`
}

// Run checks backups. One that is damaged hides nothing of the others.
func (c backupVerifyCommand) Run(world outside) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	newest, err := backup.Open(c.From)
	if err != nil {
		return err
	}
	all := []backup.Archive{newest}
	if info, err := os.Stat(c.From); err == nil && info.IsDir() {
		folder, err := backup.OpenFolder(c.From)
		if err != nil {
			return err
		}
		if all, err = folder.Archives(); err != nil {
			return err
		}
	}
	var errs []error
	for _, a := range all {
		errs = append(errs, c.verify(ctx, world, a))
	}
	return errors.Join(errs...)
}

func (c backupVerifyCommand) verify(ctx context.Context, world outside, a backup.Archive) error {
	info, err := a.Verify(ctx)
	if err == nil && c.Restore {
		err = tryRestoring(ctx, a, badgerkv.DefaultMinFree)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(world.stdout, "%s is good: %d records and %d files, of %s, commit %d\n", a.Path, info.Records, info.Files, info.CreatedAt.Format(time.RFC3339), info.Mark.Commit)
	return nil
}

var _ kv.Marked = (*badgerkv.DB)(nil)
