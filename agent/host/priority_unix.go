//go:build unix && !linux

package host

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// LowerPriority makes this process give way to whatever else the machine has
// to do.
func LowerPriority() error {
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 10); err != nil {
		return fmt.Errorf("lower the priority: %w", err)
	}
	return nil
}
