package host

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// Bounds of one key.
const (
	maxRegistryValue   = 1 << 20
	maxRegistryValues  = 4096
	maxRegistrySubkeys = 65536
)

// readRegistryKey reads a key of this machine, of the 64-bit registry whatever
// the agent itself is.
func readRegistryKey(path string) (*RegistryKey, error) {
	root, rest, _ := strings.Cut(path, `\`)
	parent := registry.LOCAL_MACHINE
	if root == "HKU" {
		parent = registry.USERS
	}
	k, err := registry.OpenKey(parent, rest, registry.READ|registry.WOW64_64KEY)
	if err != nil {
		return nil, err
	}
	defer k.Close()
	out := &RegistryKey{Values: map[string]RegistryValue{}}
	if info, err := k.Stat(); err == nil {
		out.Written = info.ModTime().UTC()
	}
	if out.Subkeys, out.SubkeysWritten, err = listSubkeys(k); err != nil {
		return nil, fmt.Errorf("list its subkeys: %w", err)
	}
	names, err := k.ReadValueNames(maxRegistryValues)
	if err != nil && !ended(err) {
		return nil, fmt.Errorf("list its values: %w", err)
	}
	for _, name := range names {
		v, err := readRegistryValue(k, name)
		// One that has gone meanwhile is as one that never was.
		if errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read its value %s: %w", name, err)
		}
		out.Values[name] = v
	}
	return out, nil
}

// listSubkeys lists the subkeys of a key with the times of their last change,
// which cost nothing beside the names. Package registry keeps the names only.
func listSubkeys(k registry.Key) (names []string, written []time.Time, err error) {
	// A list must be asked for from one thread: https://golang.org/issue/49320.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// A name has 255 characters at most.
	var buf [256]uint16
	for i := uint32(0); i < maxRegistrySubkeys; i++ {
		length, at := uint32(len(buf)), windows.Filetime{}
		err := windows.RegEnumKeyEx(windows.Handle(k), i, &buf[0], &length, nil, nil, nil, &at)
		if errors.Is(err, windows.ERROR_NO_MORE_ITEMS) {
			break
		}
		if err != nil {
			return names, written, err
		}
		names = append(names, windows.UTF16ToString(buf[:min(length, uint32(len(buf)))]))
		written = append(written, time.Unix(0, at.Nanoseconds()).UTC())
	}
	return names, written, nil
}

// readRegistryValue reads a value of at most maxRegistryValue bytes; of a longer
// one, which the registry should not hold, the type is all that is given.
func readRegistryValue(k registry.Key, name string) (RegistryValue, error) {
	buf := make([]byte, 256)
	for {
		n, kind, err := k.GetValue(name, buf)
		switch {
		case errors.Is(err, registry.ErrShortBuffer) && n > maxRegistryValue:
			return RegistryValue{Type: RegistryType(kind)}, nil
		case errors.Is(err, registry.ErrShortBuffer):
			// Those of HKEY_PERFORMANCE_DATA do not say how long they are.
			buf = make([]byte, max(n, 2*len(buf)))
		case err != nil:
			return RegistryValue{}, err
		default:
			return RegistryValue{Type: RegistryType(kind), Data: buf[:n:n]}, nil
		}
	}
}

// ended tells whether a list was read to its end, which package registry
// reports as an error.
func ended(err error) bool { return err.Error() == "EOF" }
