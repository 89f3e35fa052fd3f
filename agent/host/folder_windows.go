package host

import (
	"errors"
	"fmt"
	"os"
	"unsafe" //nolint:depguard // the system call asks for the size of what it is given

	"golang.org/x/sys/windows"
)

// privateFolder lets the system and administrators do everything with a folder
// and what is in it, and nobody else anything. Without it, folders below
// ProgramData can be written to by all users of the machine.
const privateFolder = "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"

// PrivateFolder makes a folder that only administrators may write to, for
// programs that are to be run; one that is there already must be theirs.
func PrivateFolder(dir string) error {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return fmt.Errorf("make a folder for programs: %w", err)
	}
	rights, err := windows.SecurityDescriptorFromString(privateFolder)
	if err != nil {
		return fmt.Errorf("make a folder for programs: %w", err)
	}
	attributes := &windows.SecurityAttributes{SecurityDescriptor: rights}
	attributes.Length = uint32(unsafe.Sizeof(*attributes))
	err = windows.CreateDirectory(name, attributes)
	switch {
	case errors.Is(err, windows.ERROR_ALREADY_EXISTS):
		return takeFolder(dir, rights)
	case err != nil:
		return fmt.Errorf("make a folder for programs (administrator rights are needed): %w", err)
	}
	return nil
}

// takeFolder gives a folder that is there the rights that it must have. Who
// owns it could take them away again.
func takeFolder(dir string, rights *windows.SECURITY_DESCRIPTOR) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("folder for programs: %w", err)
	}
	have, err := windows.GetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return fmt.Errorf("owner of %s: %w", dir, err)
	}
	owner, _, err := have.Owner()
	if err != nil {
		return fmt.Errorf("owner of %s: %w", dir, err)
	}
	if !info.IsDir() || !owner.IsWellKnown(windows.WinBuiltinAdministratorsSid) && !owner.IsWellKnown(windows.WinLocalSystemSid) {
		return fmt.Errorf("%s: want a folder that belongs to the administrators; remove it, and the agent makes it anew", dir)
	}
	list, _, err := rights.DACL()
	if err != nil {
		return fmt.Errorf("rights of %s: %w", dir, err)
	}
	err = windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, list, nil)
	if err != nil {
		return fmt.Errorf("set the rights of %s (administrator rights are needed): %w", dir, err)
	}
	return nil
}
