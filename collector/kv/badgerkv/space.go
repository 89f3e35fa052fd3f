package badgerkv

import (
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/shirou/gopsutil/v3/disk"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

// space watches the free space of the data folder's file system. Badger writes
// through memory maps and dies with a SIGBUS, which nothing can catch, when
// the disk is full; so updates end while there is room for what Badger still
// has to move: its memtables and a compaction.
type space struct {
	dir     string
	minimum uint64
	free    func(dir string) (uint64, error)
	logger  *slog.Logger

	full    atomic.Bool
	blind   atomic.Bool
	written atomic.Int64
}

// spaceStep is how much may be committed before space is looked at again.
const spaceStep = 4 << 20

// diskFree returns the bytes that the process may still write below dir.
func diskFree(dir string) (uint64, error) {
	u, err := disk.Usage(dir)
	if err != nil {
		return 0, err
	}
	return u.Free, nil
}

// FreeSpace returns the bytes that may still be written to a folder's file system.
func FreeSpace(dir string) (uint64, error) {
	free, err := diskFree(dir)
	if err != nil {
		return 0, fmt.Errorf("find the free space of %s: %w", dir, err)
	}
	return free, nil
}

// checkOpen refuses to open a store that could not even write down what its
// logs hold. It asks for half the minimum, so that a collector which stopped
// taking updates can still be restarted.
func (s *space) checkOpen() error {
	free, err := s.free(s.dir)
	if err != nil {
		return fmt.Errorf("find the free space of data folder %s: %w", s.dir, err)
	}
	if free < s.minimum/2 {
		return fmt.Errorf("data folder %s has %s free and needs %s: make space on its disk: %w",
			s.dir, mebibytes(free), mebibytes(s.minimum/2), kv.ErrFull)
	}
	return nil
}

// check looks at the free space and says so once when it changes sides.
func (s *space) check() {
	s.written.Store(0)
	free, err := s.free(s.dir)
	if err != nil {
		if !s.blind.Swap(true) {
			s.logger.Warn("cannot find the free space of the data folder", "dir", s.dir, "error", err)
		}
		return
	}
	s.blind.Store(false)
	full := free < s.minimum
	if s.full.Swap(full) == full {
		return
	}
	if full {
		s.logger.Error("data folder is nearly full, updates are refused", "dir", s.dir, "free_bytes", free, "minimum_bytes", s.minimum)
		return
	}
	s.logger.Info("data folder has space again, updates go on", "dir", s.dir, "free_bytes", free)
}

// spent counts committed bytes, so that a burst between two looks is noticed.
func (s *space) spent(n int) {
	if s.written.Add(int64(n)) >= spaceStep {
		s.check()
	}
}

func (s *space) admit() error {
	if !s.full.Load() {
		return nil
	}
	return fmt.Errorf("data folder %s has less than %s free: %w", s.dir, mebibytes(s.minimum), kv.ErrFull)
}

// room says whether that many bytes more leave the minimum free.
func (s *space) room(more uint64) error {
	free, err := s.free(s.dir)
	if err != nil {
		return fmt.Errorf("find the free space of data folder %s: %w", s.dir, err)
	}
	if free < s.minimum+more {
		return fmt.Errorf("data folder %s has %s free and this needs %s: make space on its disk: %w",
			s.dir, mebibytes(free), mebibytes(s.minimum+more), kv.ErrFull)
	}
	return nil
}

func mebibytes(n uint64) string { return fmt.Sprintf("%d MiB", n>>20) }
