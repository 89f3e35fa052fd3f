package host

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// LowerPriority makes this process give way to whatever else the machine has
// to do. It is not put into background mode, which would cut its working set
// so far that it pages.
func LowerPriority() error {
	if err := windows.SetPriorityClass(windows.CurrentProcess(), windows.BELOW_NORMAL_PRIORITY_CLASS); err != nil {
		return fmt.Errorf("lower the priority: %w", err)
	}
	return nil
}
