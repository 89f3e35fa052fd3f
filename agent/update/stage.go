package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/rollcall-itam/rollcall/pkg/release"
)

// take fetches a version, judges it, tries it and makes it the active one.
func (u *Updater) take(ctx context.Context, offered string) error {
	v, err := release.ParseVersion(offered)
	if err != nil {
		return err
	}
	if v.Compare(u.running) <= 0 {
		return fmt.Errorf("%w (%s)", ErrDowngrade, u.running)
	}
	dir := filepath.Join(u.Folder.dir, incoming)
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
		return fmt.Errorf("make room for it: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := u.fetch(ctx, v, dir); err != nil {
		return err
	}
	if err := u.try(ctx, v, filepath.Join(dir, programName(u.Platform))); err != nil {
		if ctx.Err() == nil && errors.Is(err, ErrBroken) {
			err = errors.Join(err, u.Folder.change(func(r *record) { r.refuse(v.String(), err.Error(), u.Now(), false) }))
		}
		return err
	}
	return u.activate(v, dir)
}

// fetch puts the program and its manifest into dir.
func (u *Updater) fetch(ctx context.Context, v release.Version, dir string) error {
	var to *sink
	err := u.Fetch(ctx, v.String(), func(signed []byte) (io.Writer, error) {
		if to != nil {
			return nil, errors.New("a second manifest arrived")
		}
		want, err := u.judge(signed, v)
		if err != nil {
			return nil, err
		}
		if err := replace(filepath.Join(dir, manifestFile), signed); err != nil {
			return nil, fmt.Errorf("keep the manifest: %w", err)
		}
		to, err = newSink(filepath.Join(dir, programName(u.Platform)), want)
		return to, err
	})
	if to == nil {
		if err == nil {
			err = errors.New("the collector sent no manifest")
		}
		return err
	}
	if err != nil {
		return errors.Join(err, to.file.Close())
	}
	return to.close()
}

// judge decides by its manifest whether a version may be taken.
func (u *Updater) judge(signed []byte, v release.Version) (release.File, error) {
	m, err := release.Open(signed, u.Keys)
	if err != nil {
		return release.File{}, err
	}
	r, err := u.Folder.read()
	if err != nil {
		return release.File{}, err
	}
	if m.Sequence < r.Sequence {
		return release.File{}, fmt.Errorf("%w: its number is %d, that of the other %d", ErrOld, m.Sequence, r.Sequence)
	}
	if m.Sequence > r.Sequence {
		if err := u.Folder.change(func(r *record) { r.Sequence = m.Sequence }); err != nil {
			return release.File{}, err
		}
	}
	if err := m.Fresh(u.Now()); err != nil {
		return release.File{}, err
	}
	found, file, err := m.Find(v.String(), u.Platform)
	if err != nil || found.MinimumAgent == "" {
		return file, err
	}
	least, err := release.ParseVersion(found.MinimumAgent)
	if err == nil && u.running.Compare(least) < 0 {
		err = fmt.Errorf("%w: it asks for %s, this is %s", ErrTooOld, least, u.running)
	}
	return file, err
}

// try has the program tell its version: one that this machine cannot run, or
// that is another than it is called, is found out before it matters.
func (u *Updater) try(ctx context.Context, v release.Version, path string) error {
	got, err := u.Try(ctx, path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	if want := "rollcall-agent " + v.String(); got != want && got != "rollcall-agent v"+v.String() {
		return fmt.Errorf("%w: it says that it is %.80q, not %q", ErrBroken, got, want)
	}
	return nil
}

// activate makes a version that was fetched the one to run. The record decides,
// and is replaced at once: whatever happens before leaves things as they were.
func (u *Updater) activate(v release.Version, from string) error {
	to := filepath.Join(u.Folder.dir, v.String())
	err := os.RemoveAll(to)
	if err == nil {
		err = os.Rename(from, to)
	}
	if err == nil {
		err = syncFolder(u.Folder.dir)
	}
	if err != nil {
		return fmt.Errorf("put the program in its place: %w", err)
	}
	var keep []string
	err = u.Folder.change(func(r *record) {
		// What runs has just reached its collector, so it is worth going back to.
		r.Previous = nil
		if r.Active != nil && r.Active.Version == u.running.String() {
			r.Previous = r.Active
			keep = append(keep, r.Active.Version)
		}
		r.Active = &program{Version: v.String(), Since: u.Now().UTC()}
		r.Problem = ""
	})
	if err != nil {
		return err
	}
	u.tidy(append(keep, v.String()))
	return nil
}

// tidy removes the versions that nothing leads back to.
func (u *Updater) tidy(keep []string) {
	entries, err := os.ReadDir(u.Folder.dir)
	for _, e := range entries {
		if _, no := release.ParseVersion(e.Name()); no != nil || slices.Contains(keep, e.Name()) {
			continue
		}
		err = errors.Join(err, os.RemoveAll(filepath.Join(u.Folder.dir, e.Name())))
	}
	if err != nil {
		u.Log.Warn("old versions cannot be removed", "error", err)
	}
}
