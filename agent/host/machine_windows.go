package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"unsafe" //nolint:depguard // the system call takes the address of what it fills

	"golang.org/x/sys/windows"
)

// systemRoot is where the file system of the machine begins: the drive of
// Windows.
func systemRoot() string {
	if drive := os.Getenv("SystemDrive"); len(drive) == 2 && drive[1] == ':' {
		return drive + `\`
	}
	return `C:\`
}

// quiet keeps a command from showing a window.
func quiet(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{HideWindow: true, CreationFlags: windows.CREATE_NO_WINDOW}
}

// firmwareTable asks for the raw SMBIOS table, see GetSystemFirmwareTable.
func firmwareTable() ([]byte, error) {
	get := windows.NewLazySystemDLL("kernel32.dll").NewProc("GetSystemFirmwareTable")
	if err := get.Find(); err != nil {
		return nil, fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	provider := uintptr(binary.BigEndian.Uint32([]byte("RSMB")))
	size, _, err := get.Call(provider, 0, 0, 0)
	switch {
	case size == 0:
		return nil, fmt.Errorf("how long it is: %w", err)
	case size > maxSMBIOSTable:
		return nil, fmt.Errorf("a table of %d bytes, longer than %d", size, maxSMBIOSTable)
	}
	table := make([]byte, size)
	n, _, err := get.Call(provider, 0, uintptr(unsafe.Pointer(&table[0])), size)
	if n == 0 || n > size {
		return nil, fmt.Errorf("copy it: %w", err)
	}
	return table[:n], nil
}
