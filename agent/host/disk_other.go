//go:build !linux

package host

import "errors"

// readDiskLog gives nothing: macOS and Windows tell the health of a disk
// through what they are asked for it otherwise.
func readDiskLog(string, string) (DiskLog, error) { return DiskLog{}, errors.ErrUnsupported }
