package facts

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/facts/hive"
	"github.com/rollcall-itam/rollcall/agent/host"
)

// maxOffline is how many users who are not logged on are looked at.
const maxOffline = 200

// person is someone who has a profile here, with his part of the registry:
// loaded while he is logged on, otherwise in a file of the profile.
type person struct {
	r            *winreg
	sid, profile string
	// hive is the file, nil for a part that is loaded.
	hive *hive.Hive
}

// key returns a key of a person's own part.
func (p person) key(elements ...string) regKey {
	name := strings.Join(elements, "")
	if p.hive != nil {
		return p.r.hiveKey(p.profile, p.hive, name)
	}
	return p.r.key(`HKU\`, p.sid, `\`, name)
}

// classes returns a key of a person's own classes, which Windows keeps in
// another file.
func (p person) classes(path string) regKey {
	if p.hive == nil {
		return p.r.key(`HKU\`, p.sid, `_Classes\`, path)
	}
	h, file, err := openHive(p.r.h.FS, p.r.file(p.profile)+"/AppData/Local/Microsoft/Windows/UsrClass.dat")
	if file != nil {
		defer file.Close()
	}
	if err != nil {
		p.r.unopened(err)
		return regKey{}
	}
	return p.r.hiveKey(p.profile, h, path)
}

// people returns those who are logged on, and those who are not as far as their
// part of the registry can be read. Files are open until close.
func (r *winreg) people() []person {
	if r.everybody != nil {
		return r.everybody
	}
	out := []person{}
	loaded := r.users()
	for _, sid := range loaded {
		out = append(out, person{r: r, sid: sid, profile: r.profile(sid)})
	}
	for _, sid := range r.key(profilesKey).subkeys() {
		if !isPerson(sid) || slices.Contains(loaded, sid) || len(out) >= len(loaded)+maxOffline {
			continue
		}
		profile := r.profile(sid)
		name := r.file(profile)
		if name == "" || name == "." {
			continue
		}
		h, file, err := openHive(r.h.FS, name+"/NTUSER.DAT")
		if file != nil {
			r.open = append(r.open, file)
		}
		if err != nil {
			r.unopened(err)
			continue
		}
		out = append(out, person{r: r, sid: sid, profile: profile, hive: h})
	}
	r.everybody = out
	return out
}

// unopened notes that a hive could not be opened. Who has logged on meanwhile
// keeps the file locked; profiles that are gone, or lie on a server, have none.
func (r *winreg) unopened(err error) {
	if !missing(err) && !errors.Is(err, errors.ErrUnsupported) {
		r.bad.add(err)
	}
}

// close closes the files of people.
func (r *winreg) close() {
	for _, f := range r.open {
		_ = f.Close()
	}
	r.open, r.everybody = nil, nil
}

// openHive opens a hive in the host's file system, of which only some pages are
// read.
func openHive(fsys fs.FS, name string) (*hive.Hive, io.Closer, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("/%s is not a regular file", name)
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, nil, err
	}
	at, ok := f.(io.ReaderAt)
	if !ok {
		return nil, f, fmt.Errorf("/%s can only be read as a whole: %w", name, errors.ErrUnsupported)
	}
	h, err := hive.Open(at, info.Size())
	if err != nil {
		return nil, f, fmt.Errorf("/%s: %w", name, err)
	}
	return h, f, nil
}

// hiveKey returns a key of a hive, one of a profile, as one of the registry.
func (r *winreg) hiveKey(profile string, h *hive.Hive, path string) regKey {
	k, err := h.Key(path)
	if err != nil {
		if !missing(err) {
			r.bad.add(fmt.Errorf("registry of %s (NTUSER.DAT or UsrClass.dat): %w", profile, err))
		}
		return regKey{}
	}
	out := &host.RegistryKey{Values: make(map[string]host.RegistryValue, len(k.Values)), Subkeys: k.Subkeys, Written: k.Written}
	for name, v := range k.Values {
		out.Values[name] = host.RegistryValue{Type: host.RegistryType(v.Type), Data: v.Data}
	}
	return regKey{out}
}
