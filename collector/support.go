package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/rollcall-itam/rollcall/collector/policy/eol"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// lookAtSupport is how often eol_file is looked at for another state.
const lookAtSupport = 15 * time.Second

// support is the end-of-life data that holds: that of eol_file where it is newer
// than what comes along. A file that cannot be used takes the place of nothing,
// neither at the start nor later.
type support struct {
	file string
	log  *slog.Logger
	// builtin is what came along, and table what holds now.
	builtin *eol.Table
	table   atomic.Pointer[eol.Table]
	broken  atomic.Bool
	// size and at are the state of the file that was read last; look's alone.
	size int64
	at   time.Time
}

// readSupport reads the end-of-life data, of the file as well if there is a name.
func readSupport(file string, log *slog.Logger) (*support, error) {
	s := &support{file: file, log: log}
	var err error
	if s.builtin, err = eol.Builtin(); err != nil {
		return nil, err
	}
	s.table.Store(s.builtin)
	s.look()
	return s, nil
}

// Derive fills in what the data that holds says of an asset's system.
func (s *support) Derive(a *pb.Asset) { s.table.Load().Derive(a) }

// state tells the metrics as of which day the data is that holds, and whether the
// file cannot be used.
func (s *support) state() (time.Time, bool) { return s.table.Load().Date(), s.broken.Load() }

// look reads the file if it is another than it was, and tells whether other data
// holds now. One that cannot be used leaves what held.
func (s *support) look() (changed bool) {
	if s.file == "" {
		return false
	}
	info, err := os.Stat(s.file)
	if err == nil {
		if info.Size() == s.size && info.ModTime().Equal(s.at) {
			return false
		}
		s.size, s.at = info.Size(), info.ModTime()
	}
	var table *eol.Table
	if err == nil {
		table, err = supportFile(s.file)
	}
	held := s.table.Load()
	if err == nil {
		err = s.plausible(table, held)
	}
	switch {
	case err != nil:
		if !s.broken.Swap(true) || info != nil { // a file that is not there is told once
			s.log.Warn("eol_file cannot be used, what held before holds on", "file", s.file, "date", held.Date(), "error", err)
		}
		if info == nil {
			s.size, s.at = 0, time.Time{}
		}
		return false
	case table.Date().Before(s.builtin.Date()):
		s.log.Warn("eol_file is older than what came along, which holds", "file", s.file, "date", table.Date(), "builtin_date", s.builtin.Date())
		table = s.builtin
	}
	s.broken.Store(false)
	s.table.Store(table)
	return table != held
}

// plausible refuses data that a broken mirror would give: of days to come, or with
// much less than what holds. What holds is never older than what came along, and of
// that the project takes nothing away.
func (s *support) plausible(table, held *eol.Table) error {
	if last := latest(time.Now(), s.builtin.Date()).Add(48 * time.Hour); table.Date().After(last) {
		return fmt.Errorf("end-of-life data: generated_at is %s, which is still to come: fetch it again", table.Date().Format(time.DateOnly))
	}
	if table.Len()*4 < held.Len()*3 || table.Cycles()*4 < held.Cycles()*3 {
		return fmt.Errorf("end-of-life data: it has %d releases of %d products, of %d of %d that are held: fetch the whole of /api/v1/products/full",
			table.Cycles(), table.Len(), held.Cycles(), held.Len())
	}
	return nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Run looks at the file until ctx ends, and tells changed of other data.
func (s *support) Run(ctx context.Context, changed func(context.Context, *eol.Table) error) error {
	tick := time.NewTicker(lookAtSupport)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !s.look() {
			continue
		}
		table := s.table.Load()
		s.log.Info("other end-of-life data holds", "file", s.file, "date", table.Date())
		if err := changed(ctx, table); err != nil && ctx.Err() == nil {
			s.log.Warn("bring assets up to date with other end-of-life data", "error", err)
		}
	}
}

func supportFile(name string) (*eol.Table, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the end-of-life data: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, eol.MaxData+1))
	if err != nil {
		return nil, fmt.Errorf("read the end-of-life data: %w", err)
	}
	return eol.Parse(b)
}

// outlive has assets judged by other end-of-life data.
func (c *core) outlive(ctx context.Context, table *eol.Table) error {
	c.engine.Outlive(table)
	return c.catalog.Rederive(ctx)
}
