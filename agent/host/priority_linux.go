package host

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	niceness = 10
	// ioIdle is the class of input and output that waits for all others: see
	// ioprio_set(2).
	ioIdle        = 3 << 13
	ioWhoseThread = 1
)

// LowerPriority makes this process give way to whatever else the machine has
// to do, for its disks as well as for its processors. Linux keeps priorities by
// thread, and new threads inherit them, so every thread there is gets them.
func LowerPriority() error {
	var bad error
	done := make(map[int]bool)
	// A thread that began while the list was read can be missing from it.
	for range 3 {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("list own threads: %w", err)
		}
		for _, t := range tasks {
			id, err := strconv.Atoi(t.Name())
			if err != nil || done[id] {
				continue
			}
			done[id] = true
			bad = errors.Join(bad, lowerThread(id))
		}
	}
	return bad
}

// lowerThread leaves a thread that has ended, and a priority that is lower
// already, as they are.
func lowerThread(id int) error {
	// The system call answers 20 - niceness.
	if got, err := unix.Getpriority(unix.PRIO_PROCESS, id); err == nil && 20-got < niceness {
		if err := unix.Setpriority(unix.PRIO_PROCESS, id, niceness); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("lower the priority of thread %d: %w", id, err)
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, ioWhoseThread, uintptr(id), ioIdle); errno != 0 && errno != unix.ESRCH {
		return fmt.Errorf("lower the disk priority of thread %d: %w", id, errno)
	}
	return nil
}
