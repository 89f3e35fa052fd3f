package facts

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/rollcall-itam/rollcall/agent/facts/hive"
	"github.com/rollcall-itam/rollcall/agent/host"
)

// maxOffline is how many users who are not logged on are looked at.
const maxOffline = 200

// offlineUser is someone who is not logged on, with his part of the registry.
type offlineUser struct {
	profile string
	hive    *hive.Hive
}

// offlineUsers returns the people with a profile here whose part of the
// registry is not loaded, but lies in a file in it. done closes the files.
func (r *winreg) offlineUsers() (users []offlineUser, done func()) {
	var open []io.Closer
	loaded := r.users()
	for _, sid := range r.key(profilesKey).subkeys() {
		if !isPerson(sid) || slices.Contains(loaded, sid) || len(users) == maxOffline {
			continue
		}
		profile := r.profile(sid)
		name := r.file(profile)
		if name == "" || name == "." {
			continue
		}
		h, file, err := openHive(r.h.FS, name+"/NTUSER.DAT")
		if file != nil {
			open = append(open, file)
		}
		if err != nil {
			// Who has logged on meanwhile keeps the file locked; profiles that are
			// gone, or lie on a server, have none.
			if !missing(err) && !errors.Is(err, errors.ErrUnsupported) {
				r.bad.add(err)
			}
			continue
		}
		users = append(users, offlineUser{profile: profile, hive: h})
	}
	return users, func() {
		for _, f := range open {
			_ = f.Close()
		}
	}
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

// hiveKey returns a key of a hive as one of the registry.
func (r *winreg) hiveKey(h *hive.Hive, path string) regKey {
	k, err := h.Key(path)
	if err != nil {
		if !missing(err) {
			r.bad.add(err)
		}
		return regKey{}
	}
	out := &host.RegistryKey{Values: make(map[string]host.RegistryValue, len(k.Values)), Subkeys: k.Subkeys, Written: k.Written}
	for name, v := range k.Values {
		out.Values[name] = host.RegistryValue{Type: host.RegistryType(v.Type), Data: v.Data}
	}
	return regKey{out}
}
