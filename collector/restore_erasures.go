package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/rollcall-itam/rollcall/collector/backup"
)

// eraseAgainPlan is what a restore found out of people who were erased after the
// backup was made.
type eraseAgainPlan struct {
	people int
	// until is up to when erasures are known of, zero where none can be missing.
	until time.Time
	// unread are newer backups that could not be read.
	unread []string
}

func (p eraseAgainPlan) lines() []string {
	var lines []string
	if p.people > 0 {
		lines = append(lines, fmt.Sprintf("After this backup %d people were erased, or taken in again: the collector does so again when it starts, before it answers anybody.", p.people))
	}
	for _, path := range p.unread {
		lines = append(lines, fmt.Sprintf("Backup %s is newer and cannot be read: who was erased by then may be missing.", path))
	}
	if !p.until.IsZero() {
		lines = append(lines, fmt.Sprintf("Who was erased after %s is not known here and may be in the restored records: restore again with --erasures and the file %s of the lost data folder, or erase them again.", p.until.UTC().Format(time.RFC3339), erasuresName))
	}
	return lines
}

// planErasures finds who was erased after the backup was made: in the data folder
// that is replaced, in newer backups beside this one, and in a file that is named.
// It writes what the collector is to do at its start.
func (r *restoring) planErasures(ctx context.Context, a backup.Archive, files string) (eraseAgainPlan, error) {
	var l erasureList
	header, err := a.Header(ctx)
	if err != nil {
		return eraseAgainPlan{}, err
	}
	had, err := l.erasuresOf(ctx, a)
	if err != nil {
		return eraseAgainPlan{}, err
	}
	plan := eraseAgainPlan{until: header.CreatedAt}
	if err := r.newerErasures(ctx, a, &l, &plan); err != nil {
		return plan, err
	}
	for _, path := range []string{r.erased, filepath.Join(r.settings.DataDir, erasuresName)} {
		if path == "" {
			continue
		}
		switch err := l.readErasures(path); {
		case err == nil:
			plan.until = time.Time{}
		case path == r.erased || !errors.Is(err, fs.ErrNotExist):
			return plan, err
		}
	}
	again := l.after(header.CreatedAt, had)
	plan.people = len(again)
	if len(l.ids) > 0 {
		if err := l.write(filepath.Join(files, erasuresName), l.ids); err != nil {
			return plan, err
		}
	}
	if len(again) == 0 {
		return plan, nil
	}
	return plan, l.write(filepath.Join(files, eraseAgainName), again)
}

// newerErasures adds what newer backups of the same folder know. One that an
// earlier of them knows and a later does not was taken back in between.
func (r *restoring) newerErasures(ctx context.Context, a backup.Archive, l *erasureList, plan *eraseAgainPlan) error {
	newer, err := a.Newer()
	if err != nil {
		return err
	}
	for _, b := range newer {
		before := len(l.ids)
		header, err := b.Header(ctx)
		var had map[string]bool
		if err == nil {
			had, err = l.erasuresOf(ctx, b)
		}
		if errors.Is(err, backup.ErrDamaged) || errors.Is(err, fs.ErrNotExist) {
			plan.unread = append(plan.unread, b.Path)
			continue
		}
		if err != nil {
			return err
		}
		for _, id := range l.ids[:before] {
			if k := l.byID[id]; !had[id] && k.ReadmittedAt == nil {
				k.ReadmittedAt = &header.CreatedAt
				l.add(k)
			}
		}
		if header.CreatedAt.After(plan.until) {
			plan.until = header.CreatedAt
		}
	}
	return nil
}
