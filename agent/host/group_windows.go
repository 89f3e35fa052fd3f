package host

import (
	"fmt"
	"unsafe" //nolint:depguard // the system call hands out the address of what it made

	"golang.org/x/sys/windows"
)

// maxMembers is how many members of a group are listed.
const maxMembers = 5_000

// groupMembers lists the members of the machine's own group with a security
// identifier, see NetLocalGroupGetMembers. Members that are groups of a domain
// are not looked into.
func groupMembers(id string) ([]Row, error) {
	sid, err := windows.StringToSid(id)
	if err != nil {
		return nil, fmt.Errorf("group %s: %w", id, err)
	}
	name, _, _, err := sid.LookupAccount("")
	if err != nil {
		return nil, fmt.Errorf("name of the group %s: %w", id, err)
	}
	group, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return nil, fmt.Errorf("name of the group %s: %w", id, err)
	}
	list := windows.NewLazySystemDLL("netapi32.dll").NewProc("NetLocalGroupGetMembers")
	if err := list.Find(); err != nil {
		return nil, fmt.Errorf("members of the group %s: %w", id, err)
	}
	var buffer *byte
	var read, total uint32
	const wholeLength = ^uint32(0)
	// Level 0 has nothing but the identifiers, which are looked up one by one: one
	// that cannot be found then does not cost the others.
	code, _, _ := list.Call(0, uintptr(unsafe.Pointer(group)), 0, uintptr(unsafe.Pointer(&buffer)), uintptr(wholeLength),
		uintptr(unsafe.Pointer(&read)), uintptr(unsafe.Pointer(&total)), 0)
	if code != 0 {
		return nil, fmt.Errorf("members of the group %s: %w", id, windows.Errno(code))
	}
	if buffer == nil {
		return nil, nil
	}
	defer windows.NetApiBufferFree(buffer) //nolint:errcheck // there is nothing to be done about it
	rows := make([]Row, 0, min(read, maxMembers))
	for _, member := range unsafe.Slice((**windows.SID)(unsafe.Pointer(buffer)), min(read, maxMembers)) {
		row := Row{"SID": member.String()}
		if account, domain, _, err := member.LookupAccount(""); err == nil {
			row["Name"], row["Domain"] = account, domain
		}
		rows = append(rows, row)
	}
	return rows, nil
}
