package facts

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/agent/host"
)

const (
	softwareHive = `HKLM\SOFTWARE\`
	systemHive   = `HKLM\SYSTEM\CurrentControlSet\`
	windowsKey   = softwareHive + `Microsoft\Windows\CurrentVersion\`
	policiesKey  = softwareHive + `Policies\Microsoft\`
	releaseKey   = softwareHive + `Microsoft\Windows NT\CurrentVersion`
	profilesKey  = releaseKey + `\ProfileList`
	servicesKey  = systemHive + `Services\`

	// localSystem is the account that Windows itself, and its services, run as.
	localSystem = "S-1-5-18"
	// maxRegistryKeys is how many subkeys of one key are looked at.
	maxRegistryKeys = 20_000
)

// winreg reads the registry of a machine. Most keys exist on some machines
// only, so that only what the agent may not or cannot read is a fault.
type winreg struct {
	h   *host.Host
	bad faults
	// root is where Windows lies, once it was asked for.
	root string
	// everybody is who people found, and open the files that it opened.
	everybody []person
	open      []io.Closer
}

// systemRoot returns the folder of Windows itself.
func (r *winreg) systemRoot() string {
	if r.root == "" {
		r.root = r.key(releaseKey).text("SystemRoot")
	}
	if driveOf(r.root) == "" {
		r.root = `C:\Windows`
	}
	return r.root
}

// regKey is a key of the registry that may be missing, which has no values.
type regKey struct{ key *host.RegistryKey }

// key returns the key at a path of which the elements are parts.
func (r *winreg) key(elements ...string) regKey {
	k, err := r.h.RegistryKey(strings.Join(elements, ""))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errors.ErrUnsupported) {
			r.bad.add(err)
		}
		return regKey{}
	}
	return regKey{k}
}

// err returns what could not be read, or that there is nothing to read.
func (r *winreg) err(found bool, what string) error {
	if err := r.bad.err(); err != nil || found {
		return err
	}
	return fmt.Errorf("%s: %w", what, errors.ErrUnsupported)
}

func (k regKey) found() bool { return k.key != nil }

// text returns a value of text, "" for none.
func (k regKey) text(name string) string {
	if k.key == nil {
		return ""
	}
	v, ok := k.key.Value(name)
	if !ok {
		return ""
	}
	text, _ := v.Text()
	return plainText([]byte(text))
}

// texts returns a value of several texts, or one of one.
func (k regKey) texts(name string) []string {
	if k.key == nil {
		return nil
	}
	v, ok := k.key.Value(name)
	if !ok {
		return nil
	}
	list, ok := v.Strings()
	if !ok {
		if text, is := v.Text(); is && text != "" {
			list = []string{text}
		}
	}
	out := make([]string, 0, len(list))
	for _, text := range list {
		out = append(out, plainText([]byte(text)))
	}
	return out
}

// number returns a value that is a number, also one that was written as text:
// many programs do.
func (k regKey) number(name string) (uint64, bool) {
	if k.key == nil {
		return 0, false
	}
	v, ok := k.key.Value(name)
	if !ok {
		return 0, false
	}
	if n, ok := v.Integer(); ok {
		return n, true
	}
	text, ok := v.Text()
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	return n, err == nil
}

// is tells whether a value is a number, and this one.
func (k regKey) is(name string, want uint64) bool {
	n, ok := k.number(name)
	return ok && n == want
}

// bytes returns the bytes of a value.
func (k regKey) bytes(name string) []byte {
	if k.key == nil {
		return nil
	}
	v, _ := k.key.Value(name)
	return v.Data
}

// subkeys returns the names of the keys below, sorted.
func (k regKey) subkeys() []string {
	if k.key == nil {
		return nil
	}
	names := slices.Clone(k.key.Subkeys[:min(len(k.key.Subkeys), maxRegistryKeys)])
	slices.Sort(names)
	return names
}

// written returns when the key was last changed, nil where that is not known.
func (k regKey) written() *timestamppb.Timestamp {
	if k.key == nil {
		return nil
	}
	return unixTime(k.key.Written.Unix())
}

// fileTime returns a time as Windows counts it: 100 ns since 1601, UTC. Zero is
// for none.
func fileTime(n uint64) time.Time {
	const epoch, second = 11644473600, 10_000_000
	sec := int64(n/second) - epoch
	if n == 0 || sec <= 0 || sec > 253402300799 {
		return time.Time{}
	}
	return time.Unix(sec, 0).UTC()
}

// fileTimeOf returns the time in the first eight bytes.
func fileTimeOf(b []byte) time.Time {
	if len(b) < 8 {
		return time.Time{}
	}
	return fileTime(binary.LittleEndian.Uint64(b))
}

// fileTimeParts returns a time that is kept as two numbers of 32 bits.
func (k regKey) fileTimeParts(high, low string) time.Time {
	h, ok := k.number(high)
	l, also := k.number(low)
	if !ok || !also || h > 1<<32-1 || l > 1<<32-1 {
		return time.Time{}
	}
	return fileTime(h<<32 | l)
}

// stamp returns a time as a report carries it, nil for none.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return unixTime(t.Unix())
}

// isPerson tells whether a security identifier is that of an account of a
// machine, of a domain (S-1-5-21) or of Entra ID (S-1-12-1), rather than one of
// Windows's own. HKU has a second key for each, of its classes.
func isPerson(sid string) bool {
	return (strings.HasPrefix(sid, "S-1-5-21-") || strings.HasPrefix(sid, "S-1-12-1-")) && !strings.HasSuffix(sid, "_Classes")
}

// users returns the security identifiers of the people whose part of the
// registry is loaded: those that are logged on.
func (r *winreg) users() []string {
	return slices.DeleteFunc(r.key("HKU").subkeys(), func(sid string) bool { return !isPerson(sid) })
}

// profile returns the folder of an account, such as C:\Users\ann.
func (r *winreg) profile(sid string) string {
	return r.expand(r.key(profilesKey, `\`, sid).text("ProfileImagePath"))
}

// expand replaces the variables that stand in paths of the registry.
func (r *winreg) expand(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	root := r.systemRoot()
	drive := driveOf(root)
	for _, v := range []struct{ name, value string }{
		{"%systemroot%", root}, {"%windir%", root}, {"%systemdrive%", drive}, {"%programfiles%", drive + `\Program Files`},
		{"%programfiles(x86)%", drive + `\Program Files (x86)`}, {"%programdata%", drive + `\ProgramData`},
		{"%allusersprofile%", drive + `\ProgramData`},
	} {
		if len(text) >= len(v.name) && strings.EqualFold(text[:len(v.name)], v.name) {
			return v.value + text[len(v.name):]
		}
	}
	return text
}

// driveOf returns the drive that a path begins with, "" for none.
func driveOf(name string) string {
	if len(name) < 2 || name[1] != ':' {
		return ""
	}
	return name[:2]
}

// file returns the name in the host's file system of a path of Windows, "" for
// one on another drive than the system's.
func (r *winreg) file(name string) string {
	if drive := driveOf(name); drive == "" || !strings.EqualFold(drive, driveOf(r.systemRoot())) {
		return ""
	}
	out := path.Clean(strings.TrimLeft(strings.ReplaceAll(name[2:], `\`, "/"), "/"))
	if !fs.ValidPath(out) {
		return ""
	}
	return out
}

// binary returns the values that are bytes, by name.
func (k regKey) binary() map[string][]byte {
	out := make(map[string][]byte)
	if k.key == nil {
		return out
	}
	for name, v := range k.key.Values {
		if _, text := v.Text(); !text && len(out) < maxUses {
			out[name] = v.Data
		}
	}
	return out
}
