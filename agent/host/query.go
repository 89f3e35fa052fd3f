package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// WindowsUpdate as the namespace of a query asks the Windows Update Agent,
	// offline, for the updates that the condition selects.
	WindowsUpdate = "Microsoft.Update.Session"
	// UpdateResults as the namespace asks when Windows last searched for updates
	// and installed some; it gives one row.
	UpdateResults = "Microsoft.Update.AutoUpdate"
	// LocalGroup as the namespace asks for the members of the machine's own
	// group that has the class as its security identifier. The properties are
	// SID, Domain and Name; the last two are left out for an account that nobody
	// knows any more.
	LocalGroup = "LocalGroup"
	// maxSMBIOSTable bounds the SMBIOS table; those of large servers have some
	// 100 KiB.
	maxSMBIOSTable = 4 << 20
)

// Query is a question that facts may have put to Windows through WMI or COM.
type Query struct {
	// Name is how facts ask for it, and what a capture keeps its rows under.
	Name string
	// Namespace is that of WMI, such as root\CIMV2, or one of the above.
	Namespace string
	// Class is the WMI class, or what the namespace says.
	Class string
	// Where is a condition in WQL, or the criteria of an update search; it may
	// be empty.
	Where string
	// Properties are what a row has. A dot leads into an object, or into each of
	// a collection: Identity.UpdateID, Categories.CategoryID.
	Properties []string
	// Timeout is how long it may take; 0 means 15 seconds.
	Timeout time.Duration
}

// Row is one answer of a query: text by property. A property that is null is
// left out; booleans are true and false, numbers decimal, dates as WMI writes
// them, and the elements of a list are separated by semicolons.
type Row = map[string]string

// Queries is every query that the agent puts: one that is not here cannot be
// put. Names are unique.
func Queries() []Query { return slices.Clone(queries) }

// Query returns the rows of a listed query. The error wraps
// errors.ErrUnsupported on other systems than Windows, fs.ErrNotExist where the
// machine has no such namespace or class, fs.ErrPermission where the agent may
// not ask, and context.DeadlineExceeded after the query's time.
func (h *Host) Query(ctx context.Context, name string) ([]Row, error) {
	i := slices.IndexFunc(queries, func(q Query) bool { return q.Name == name })
	switch {
	case i < 0:
		return nil, fmt.Errorf("query %s: it is not on the list of queries", name)
	case h.OS != "windows":
		return nil, fmt.Errorf("query %s on %s: %w", name, h.OS, errors.ErrUnsupported)
	case h.source == nil:
		return nil, fmt.Errorf("query %s: %w", name, errNotRunning)
	}
	rows, err := h.source.query(ctx, queries[i])
	if err != nil {
		return rows, fmt.Errorf("query %s: %w", name, err)
	}
	return rows, nil
}

// SMBIOS returns the firmware's table as Windows gives it: a header of eight
// bytes - calling method, major version, minor version, revision, and the
// length in four bytes with the low one first - and then the structures.
// See GetSystemFirmwareTable, RawSMBIOSData. On other systems the table is a
// file or not to be had, and the error wraps errors.ErrUnsupported.
func (h *Host) SMBIOS(ctx context.Context) ([]byte, error) {
	if h.source == nil {
		return nil, fmt.Errorf("read the SMBIOS table: %w", errNotRunning)
	}
	table, err := h.source.smbios(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the SMBIOS table: %w", err)
	}
	return table, nil
}
