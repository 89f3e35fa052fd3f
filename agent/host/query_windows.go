package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-ole/go-ole"
	"github.com/go-ole/go-ole/oleutil"
)

// Codes that WMI and COM answer with, from wbemcli.h and winerror.h.
const (
	comFalse         = 1 // S_FALSE: begun already, or nothing more
	comAccessDenied  = 0x80070005
	comClassMissing  = 0x80040154
	wmiAccessDenied  = 0x80041003
	wmiNotFound      = 0x80041002
	wmiBadNamespace  = 0x8004100e
	wmiBadClass      = 0x80041010
	wmiInvalidQuery  = 0x80041017
	comDisabled      = 0x80070422
	comNotWritten    = 0x80004001 // E_NOTIMPL
	wmiForwardOnly   = 0x20
	wmiReturnAtOnce  = 0x10
	maxPropertyParts = 1000
)

const (
	// defaultQueryTimeout is how long a query may take that names no time.
	defaultQueryTimeout = 15 * time.Second
	// maxRows is how many rows a query gives at most.
	maxRows = 20_000
)

// queryMachine puts a query to this machine. COM belongs to threads, so that it
// runs in one of its own, which ends with it. A call of COM cannot be stopped:
// hanging has the queries that were given up on and still run, since one more
// each hour would add up.
func queryMachine(ctx context.Context, q Query, hanging *sync.Map) ([]Row, error) {
	timeout := q.Timeout
	if timeout <= 0 {
		timeout = defaultQueryTimeout
	}
	if _, running := hanging.LoadOrStore(q.Name, true); running {
		return nil, errors.New("not put: it still hangs since an earlier time")
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	type result struct {
		rows []Row
		err  error
	}
	done := make(chan result, 1)
	go func() {
		// The thread is not unlocked: it ends with the goroutine, and with it
		// whatever a component has left in it.
		runtime.LockOSThread()
		defer hanging.Delete(q.Name)
		var r result
		defer func() {
			if crash := recover(); crash != nil {
				r.err = fmt.Errorf("a component of Windows gave what cannot be read: %v", crash)
			}
			done <- r
		}()
		r.rows, r.err = q.put()
	}()
	select {
	case r := <-done:
		return r.rows, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("gave up after %s: %w", timeout, ctx.Err())
	}
}

// put puts the query on the thread that it is called on.
func (q Query) put() (rows []Row, err error) {
	if q.Namespace == LocalGroup {
		return groupMembers(q.Class)
	}
	err = ole.CoInitializeEx(0, ole.COINIT_MULTITHREADED)
	if code, ok := comCode(err); err != nil && !(ok && code == comFalse) {
		return nil, fmt.Errorf("begin with COM: %w", meaning(err))
	}
	defer ole.CoUninitialize()
	if q.Namespace == UpdateResults {
		return q.updateResults()
	}
	rows, err = q.ask(strings.Join(q.columns(), ","))
	if code, ok := comCode(err); ok && uint32(code) == wmiInvalidQuery {
		// This version of Windows has not all of the properties.
		rows, err = q.ask("*")
	}
	return rows, meaning(err)
}

// ask returns the rows of a query for columns, or for updates.
func (q Query) ask(columns string) (rows []Row, err error) {
	items, err := q.search(columns)
	if err != nil {
		return nil, err
	}
	defer items.Clear()
	err = forEach(items.ToIDispatch(), func(item *ole.VARIANT) error {
		object := item.ToIDispatch()
		if object == nil {
			return errors.New("a row is no object")
		}
		if len(rows) == maxRows {
			return fmt.Errorf("more than %d rows", maxRows)
		}
		rows = append(rows, q.row(object))
		return nil
	})
	return rows, err
}

// row returns the properties of an object.
func (q Query) row(object *ole.IDispatch) Row {
	row := make(Row, len(q.Properties))
	for _, name := range q.Properties {
		if value, ok := property(object, name); ok {
			row[name] = value
		}
	}
	return row
}

// updateResults asks when Windows last searched for updates.
func (q Query) updateResults() ([]Row, error) {
	auto, err := object(UpdateResults)
	if err != nil {
		return nil, meaning(err)
	}
	defer auto.Release()
	results, err := oleutil.GetProperty(auto, "Results")
	if err != nil {
		return nil, meaning(fmt.Errorf("results of %s: %w", UpdateResults, err))
	}
	defer results.Clear()
	inner := results.ToIDispatch()
	if inner == nil {
		return nil, nil
	}
	return []Row{q.row(inner)}, nil
}

// search returns the collection that holds the answer.
func (q Query) search(columns string) (*ole.VARIANT, error) {
	if q.Namespace == WindowsUpdate {
		return q.searchUpdates()
	}
	locator, err := object("WbemScripting.SWbemLocator")
	if err != nil {
		return nil, err
	}
	defer locator.Release()
	if err := private(locator); err != nil {
		return nil, err
	}
	service, err := oleutil.CallMethod(locator, "ConnectServer", ".", q.Namespace)
	if err != nil {
		return nil, fmt.Errorf("reach WMI at %s: %w", q.Namespace, err)
	}
	defer service.Clear()
	text := "SELECT " + columns + " FROM " + q.Class
	if q.Where != "" {
		text += " WHERE " + q.Where
	}
	items, err := oleutil.CallMethod(service.ToIDispatch(), "ExecQuery", text, "WQL", wmiForwardOnly|wmiReturnAtOnce)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	return items, nil
}

// private makes calls encrypted, without which the namespace of BitLocker does
// not answer.
func private(locator *ole.IDispatch) error {
	const packetPrivacy = 6
	security, err := oleutil.GetProperty(locator, "Security_")
	if err != nil {
		return fmt.Errorf("secure the calls to WMI: %w", err)
	}
	defer security.Clear()
	if _, err := oleutil.PutProperty(security.ToIDispatch(), "AuthenticationLevel", packetPrivacy); err != nil {
		return fmt.Errorf("secure the calls to WMI: %w", err)
	}
	return nil
}

// columns are the properties without what is inside of them, each once.
func (q Query) columns() []string {
	var out []string
	seen := map[string]bool{}
	for _, p := range q.Properties {
		name, _, _ := strings.Cut(p, ".")
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out
}

// searchUpdates asks the Windows Update Agent for what it knows already: it
// does not go to a server.
func (q Query) searchUpdates() (*ole.VARIANT, error) {
	session, err := object(WindowsUpdate)
	if err != nil {
		return nil, err
	}
	defer session.Release()
	searcher, err := oleutil.CallMethod(session, "CreateUpdateSearcher")
	if err != nil {
		return nil, fmt.Errorf("make an update searcher: %w", err)
	}
	defer searcher.Clear()
	if _, err := oleutil.PutProperty(searcher.ToIDispatch(), "Online", false); err != nil {
		return nil, fmt.Errorf("keep the update search offline: %w", err)
	}
	found, err := oleutil.CallMethod(searcher.ToIDispatch(), "Search", q.Where)
	if err != nil {
		return nil, fmt.Errorf("search for updates: %w", err)
	}
	defer found.Clear()
	return oleutil.GetProperty(found.ToIDispatch(), "Updates")
}

// object makes a COM object for late binding.
func object(name string) (*ole.IDispatch, error) {
	unknown, err := oleutil.CreateObject(name)
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	defer unknown.Release()
	d, err := unknown.QueryInterface(ole.IID_IDispatch)
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	return d, nil
}

// property returns a property as text; false where it is null or missing.
func property(of *ole.IDispatch, name string) (string, bool) {
	first, rest, nested := strings.Cut(name, ".")
	v, err := oleutil.GetProperty(of, first)
	if err != nil {
		return "", false
	}
	defer v.Clear()
	if nested {
		inner := v.ToIDispatch()
		if inner == nil {
			return "", false
		}
		if text, ok := property(inner, rest); ok {
			return text, true
		}
		return list(inner, rest)
	}
	if inner := v.ToIDispatch(); inner != nil {
		return list(inner, "Name")
	}
	return variantText(v)
}

// forEach calls fn with each element of a collection. Unlike that of oleutil it
// tells of an enumeration that fails, which is where WMI says that a class is
// missing or may not be read.
func forEach(of *ole.IDispatch, fn func(*ole.VARIANT) error) error {
	if of == nil {
		return errors.New("the answer is no collection")
	}
	all, err := of.GetProperty("_NewEnum")
	if err != nil {
		return fmt.Errorf("enumerate the answer: %w", err)
	}
	defer all.Clear()
	enum, err := all.ToIUnknown().IEnumVARIANT(ole.IID_IEnumVariant)
	if err != nil {
		return fmt.Errorf("enumerate the answer: %w", err)
	}
	defer enum.Release()
	for {
		item, n, err := enum.Next(1)
		if n == 0 {
			if code, ok := comCode(err); err == nil || ok && code == comFalse {
				return nil
			}
			return fmt.Errorf("enumerate the answer: %w", err)
		}
		err = fn(&item)
		_ = item.Clear()
		if err != nil {
			return err
		}
	}
}

// list returns the elements of a collection: texts, or a property of objects.
func list(of *ole.IDispatch, name string) (string, bool) {
	var parts []string
	err := forEach(of, func(item *ole.VARIANT) error {
		text, ok := "", false
		if inner := item.ToIDispatch(); inner != nil {
			text, ok = property(inner, name)
		} else {
			text, ok = variantText(item)
		}
		if ok && len(parts) < maxPropertyParts {
			parts = append(parts, text)
		}
		return nil
	})
	return strings.Join(parts, ";"), err == nil
}

// variantText returns a value as text.
func variantText(v *ole.VARIANT) (string, bool) {
	if v.VT&ole.VT_ARRAY != 0 {
		values := v.ToArray().ToValueArray()
		var parts []string
		for _, e := range values[:min(len(values), maxPropertyParts)] {
			if text, ok := plainValue(e); ok {
				parts = append(parts, text)
			}
		}
		return strings.Join(parts, ";"), true
	}
	return plainValue(v.Value())
}

// plainValue returns what go-ole makes of a single value as text.
func plainValue(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", false
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case time.Time:
		return v.UTC().Format(time.RFC3339), true
	default:
		return fmt.Sprint(v), true
	}
}

// comCode returns the code of an error of COM: that of the component where it
// gave one, since invoking a method fails with the same code whatever happens.
func comCode(err error) (uintptr, bool) {
	var oe *ole.OleError
	if !errors.As(err, &oe) {
		return 0, false
	}
	if info, ok := oe.SubError().(ole.EXCEPINFO); ok && info.SCODE() != 0 {
		return uintptr(info.SCODE()), true
	}
	return oe.Code(), true
}

// meaning adds what an error of COM stands for.
func meaning(err error) error {
	code, ok := comCode(err)
	if err == nil || !ok {
		return err
	}
	kind := error(nil)
	switch uint32(code) {
	case comAccessDenied, wmiAccessDenied:
		kind = fs.ErrPermission
	case wmiNotFound, wmiBadNamespace, wmiBadClass, comClassMissing:
		kind = fs.ErrNotExist
	case comDisabled, comNotWritten:
		kind = errors.ErrUnsupported
	}
	if kind == nil {
		return fmt.Errorf("code %#x: %w", uint32(code), err)
	}
	return fmt.Errorf("%w (code %#x): %w", kind, uint32(code), err)
}
