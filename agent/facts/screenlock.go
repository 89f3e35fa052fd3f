package facts

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/facts/gvdb"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	maxSettings   = 8 << 20
	schemasDir    = "usr/share/glib-2.0/schemas"
	kdeLock       = "kscreenlockerrc"
	kdeMinutes    = 5
	maxDconfBases = 64
)

// dconfDesktop is a desktop whose settings are kept by dconf. Those that nobody
// has set are as in its schemas.
type dconfDesktop struct {
	// program is there where the desktop is installed.
	program string
	// session and screensaver are the folders of the keys idle-delay, in seconds
	// of which 0 is never, and lock-enabled and lock-delay.
	session, screensaver string
	idle, lockDelay      uint32
}

var dconfDesktops = []dconfDesktop{
	{"usr/bin/gnome-shell", "/org/gnome/desktop/session/", "/org/gnome/desktop/screensaver/", 300, 0},
	{"usr/bin/cinnamon", "/org/cinnamon/desktop/session/", "/org/cinnamon/desktop/screensaver/", 900, 2},
}

// learnScreenLock tells whether the screen locks by itself, and after how many
// seconds, on GNOME, Cinnamon and KDE. Of several people it is the one whose
// machine is open the longest that counts; those who have set nothing have what
// the machine's administrator or the desktop's makers have set.
func learnScreenLock(_ context.Context, h *host.Host, d *pb.Device) error {
	bad := new(faults)
	a := &attributes{h: h}
	desktops := []string{"usr/bin/plasmashell"}
	for _, d := range dconfDesktops {
		desktops = append(desktops, d.program)
	}
	if !slices.ContainsFunc(desktops, func(program string) bool { return a.has(program) }) {
		return absent(a.bad.err(), "no desktop that is known")
	}
	homes := userHomes(h, bad)
	weakest := lockState{after: -1}
	for _, desktop := range dconfDesktops {
		if a.has(desktop.program) {
			weakest = weakest.weaker(desktop.weakest(h, homes, bad))
		}
	}
	if a.has("usr/bin/plasmashell") {
		weakest = weakest.weaker(kdeWeakest(h, homes, bad))
	}
	if weakest.after < 0 {
		return absent(bad.err(), "no desktop that is known")
	}
	security(d).ScreenLock = weakest.message()
	return errors.Join(bad.err(), a.bad.err())
}

// lockState is after how many seconds a screen locks; never is long after.
type lockState struct{ after int64 }

const never = math.MaxInt32

func (s lockState) weaker(other lockState) lockState {
	return lockState{max(s.after, other.after)}
}

func (s lockState) message() *pb.ScreenLock {
	if s.after >= never {
		return &pb.ScreenLock{State: "off"}
	}
	return &pb.ScreenLock{State: "on", Seconds: proto.Int32(int32(s.after))}
}

// weakest returns the state of whom it is the weakest of, of those who use
// dconf; if nobody does, what people find when they begin.
func (t dconfDesktop) weakest(h *host.Host, homes []string, bad *faults) lockState {
	system := systemSettings(h, bad)
	defaults := schemaOverrides(h, bad)
	out, any := lockState{}, false
	for _, home := range homes {
		f := homeFiles{h: h, home: home, bad: bad}
		data, ok := f.read(".config/dconf/user", maxSettings)
		if !ok {
			continue
		}
		user, err := gvdb.Decode(data)
		if err != nil {
			if len(data) > 0 {
				bad.add(fmt.Errorf("/%s/.config/dconf/user: %w", home, err))
			}
			continue
		}
		out, any = out.weaker(t.state(dconf{user: user, system: system, defaults: defaults})), true
	}
	if !any {
		return t.state(dconf{system: system, defaults: defaults})
	}
	return out
}

func (t dconfDesktop) state(s dconf) lockState {
	idle := s.uint(t.session+"idle-delay", t.idle)
	if !s.bool(t.screensaver+"lock-enabled", true) || idle == 0 {
		return lockState{never}
	}
	return lockState{int64(idle) + int64(s.uint(t.screensaver+"lock-delay", t.lockDelay))}
}

// dconf are the settings of one person: what that person set, unless the
// administrator has locked it; what the administrator set; what the
// distribution has set instead of the schemas' makers.
type dconf struct {
	user     *gvdb.Database
	system   []*gvdb.Database
	defaults map[string]string
}

// layers returns the databases in the order in which they count for a key.
func (s dconf) layers(key string) []*gvdb.Database {
	var out []*gvdb.Database
	locked := slices.ContainsFunc(s.system, func(d *gvdb.Database) bool { return d.Locked(key) })
	if s.user != nil && !locked {
		out = append(out, s.user)
	}
	return append(out, s.system...)
}

func (s dconf) bool(key string, otherwise bool) bool {
	for _, d := range s.layers(key) {
		if v, ok := d.Bool(key); ok {
			return v
		}
	}
	if v, err := strconv.ParseBool(s.defaults[key]); err == nil {
		return v
	}
	return otherwise
}

func (s dconf) uint(key string, otherwise uint32) uint32 {
	for _, d := range s.layers(key) {
		if v, ok := d.Uint(key); ok {
			return v
		}
	}
	if v, err := strconv.ParseUint(strings.TrimPrefix(s.defaults[key], "uint32 "), 10, 32); err == nil {
		return uint32(v)
	}
	return otherwise
}

// systemSettings returns the databases that the profile of dconf names beside
// a person's own, the first of which counts most. See dconf(7).
func systemSettings(h *host.Host, bad *faults) []*gvdb.Database {
	var out []*gvdb.Database
	profile, err := h.ReadFile("etc/dconf/profile/user", maxValueFile)
	if err != nil && !missing(err) {
		bad.add(err)
	}
	for line := range strings.Lines(string(profile)) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "system-db:")
		if !ok || name == "" || strings.ContainsAny(name, "/\\ ") || len(out) >= maxDconfBases {
			continue
		}
		file := "etc/dconf/db/" + name
		data, err := h.ReadFile(file, maxSettings)
		if missing(err) {
			continue
		}
		var d *gvdb.Database
		if err == nil {
			d, err = gvdb.Decode(data)
		}
		if err != nil {
			bad.add(fmt.Errorf("/%s: %w", file, err))
			continue
		}
		out = append(out, d)
	}
	return out
}

// schemaOverrides returns the defaults that the distribution has set, by key.
// Files count in the order of their names, the last most; a group for one
// desktop only, named schema:GNOME, counts more.
func schemaOverrides(h *host.Host, bad *faults) map[string]string {
	out := make(map[string]string)
	a := &attributes{h: h}
	for _, suffix := range []string{"", ":GNOME"} {
		for _, name := range a.names(schemasDir) {
			if path.Ext(name) == ".override" {
				for key, value := range decodeKeyFile(a.raw(schemasDir, name)) {
					if schema, name, ok := strings.Cut(key, "/"); ok && strings.HasSuffix(schema, suffix) {
						schema = strings.TrimSuffix(schema, suffix)
						out["/"+strings.ReplaceAll(schema, ".", "/")+"/"+name] = value
					}
				}
			}
		}
	}
	bad.add(a.bad.err())
	return out
}

// decodeKeyFile returns the values of a file of groups and keys, as
// group/key.
func decodeKeyFile(data []byte) map[string]string {
	out := make(map[string]string)
	group := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			group = strings.TrimSuffix(name, "]")
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if ok && !strings.HasPrefix(line, "#") {
			out[group+"/"+strings.TrimSpace(key)] = softwareText([]byte(value))
		}
	}
	return out
}

// kdeWeakest is what weakest is for KDE, whose settings are files: a person's
// own above that of the machine.
func kdeWeakest(h *host.Host, homes []string, bad *faults) lockState {
	system := decodeKeyFile((&attributes{h: h}).raw("etc/xdg", kdeLock))
	out, any := lockState{}, false
	for _, home := range homes {
		f := homeFiles{h: h, home: home, bad: bad}
		if data, ok := f.read(".config/"+kdeLock, maxSettings); ok {
			out, any = out.weaker(kdeState(decodeKeyFile(data), system)), true
		}
	}
	if !any {
		return kdeState(nil, system)
	}
	return out
}

// kdeState reads the time in minutes, of which 0 is never. Keys that an
// administrator has marked with [$i] people cannot change.
func kdeState(user, system map[string]string) lockState {
	setting := func(key, otherwise string) string {
		key = "Daemon/" + key
		return first(system[key+"[$i]"], user[key], system[key], otherwise)
	}
	minutes, err := strconv.ParseUint(setting("Timeout", strconv.Itoa(kdeMinutes)), 10, 16)
	if err != nil {
		minutes = kdeMinutes
	}
	if setting("Autolock", "true") == "false" || minutes == 0 {
		return lockState{never}
	}
	return lockState{int64(minutes) * 60}
}
