//go:build !windows

package host

import (
	"context"
	"errors"
	"os/exec"
	"sync"
)

func readRegistryKey(string) (*RegistryKey, error) { return nil, errors.ErrUnsupported }

func queryMachine(context.Context, Query, *sync.Map) ([]Row, error) {
	return nil, errors.ErrUnsupported
}

func firmwareTable() ([]byte, error) { return nil, errors.ErrUnsupported }

// systemRoot is where the file system of the machine begins.
func systemRoot() string { return "/" }

// quiet keeps a command from showing a window, which only Windows does.
func quiet(*exec.Cmd) {}
