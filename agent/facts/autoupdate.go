package facts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	aptConf     = "etc/apt/apt.conf.d"
	maxConfFile = 1 << 20
	maxConf     = 500
	timerWants  = "etc/systemd/system/timers.target.wants/"
)

// learnAutoUpdate tells whether the package manager installs updates by itself:
// apt through unattended-upgrades, dnf through one of its timers, SUSE through
// transactional-update, rpm-ostree through its own. "off" is said only where
// one of these package managers is found and nothing is switched on.
func learnAutoUpdate(_ context.Context, h *host.Host, d *pb.Device) error {
	bad := new(faults)
	managed, on := false, false
	for _, find := range []func(fs.FS, *faults) (managed, on bool){aptAutoUpdate, dnfAutoUpdate, suseAutoUpdate, ostreeAutoUpdate} {
		m, o := find(h.FS, bad)
		managed, on = managed || m, on || o
	}
	switch {
	case on:
		patch(d).AutoUpdate = "on"
	case managed && bad.count == 0:
		patch(d).AutoUpdate = "off"
	case !managed && bad.count == 0:
		return fmt.Errorf("no package manager that is known to update by itself: %w", errors.ErrUnsupported)
	}
	return bad.err()
}

// present tells whether one of several files is there.
func present(fsys fs.FS, bad *faults, names ...string) bool {
	for _, name := range names {
		ok, err := exists(fsys, name)
		bad.add(err)
		if ok {
			return true
		}
	}
	return false
}

// aptAutoUpdate: APT::Periodic::Unattended-Upgrade is not 0 in what apt reads
// last, and there is a program to heed it.
func aptAutoUpdate(fsys fs.FS, bad *faults) (managed, on bool) {
	if !present(fsys, bad, "usr/bin/apt-get") {
		return false, false
	}
	setting := "0"
	var names []string
	entries, err := fs.ReadDir(fsys, aptConf)
	if err != nil && !missing(err) {
		bad.add(fmt.Errorf("list /%s: %w", aptConf, err))
	}
	for _, e := range entries[:min(len(entries), maxConf)] {
		// apt reads what has no extension or this one.
		if !e.IsDir() && (!strings.Contains(e.Name(), ".") || strings.HasSuffix(e.Name(), ".conf")) {
			names = append(names, aptConf+"/"+e.Name())
		}
	}
	for _, name := range append(names, "etc/apt/apt.conf") {
		data, err := readWhole(fsys, name, maxConfFile)
		if err != nil {
			if !missing(err) {
				bad.add(err)
			}
			continue
		}
		if value, ok := aptSetting(string(data), "apt::periodic::unattended-upgrade"); ok {
			setting = value
		}
	}
	// Whose timer is masked has apt ask for nothing.
	if target, err := fs.ReadLink(fsys, "etc/systemd/system/apt-daily-upgrade.timer"); err == nil && target == "/dev/null" {
		return true, false
	}
	return true, setting != "0" && setting != "" && present(fsys, bad, "usr/bin/unattended-upgrade", "usr/bin/unattended-upgrades")
}

// aptSetting returns the last value of a key, in lower case, of a file of apt's
// configuration: `a::b "value";` or `a { b "value"; };`, with // and # comments
// to the end of the line and /* */ ones.
func aptSetting(text, key string) (value string, ok bool) {
	var scopes []string
	for word, pending := "", ""; text != ""; text = strings.TrimLeft(text, " \t\r\n") {
		switch {
		case strings.HasPrefix(text, "//"), text[0] == '#':
			_, text, _ = strings.Cut(text, "\n")
			continue
		case strings.HasPrefix(text, "/*"):
			_, text, _ = strings.Cut(text, "*/")
			continue
		case text[0] == '{':
			scopes, pending, text = append(scopes, pending), "", text[1:]
			continue
		case text[0] == '}':
			scopes, pending, text = scopes[:max(0, len(scopes)-1)], "", text[1:]
			continue
		case text[0] == ';':
			pending, text = "", text[1:]
			continue
		case text[0] == '"':
			word, text, _ = strings.Cut(text[1:], `"`)
			name := strings.ToLower(strings.Join(append(scopes, pending), "::"))
			if strings.Trim(name, ":") == key {
				value, ok = word, true
			}
			continue
		}
		end := strings.IndexAny(text, " \t\r\n{};\"")
		if end < 0 {
			end = len(text)
		}
		pending, text = text[:end], text[end:]
	}
	return value, ok
}

// dnfAutoUpdate: a timer that installs, or the general one with a setting that
// makes it.
func dnfAutoUpdate(fsys fs.FS, bad *faults) (managed, on bool) {
	if !present(fsys, bad, "usr/bin/dnf", "usr/bin/dnf5", "usr/bin/yum") {
		return false, false
	}
	if present(fsys, bad, timerWants+"dnf-automatic-install.timer") {
		return true, true
	}
	if !present(fsys, bad, timerWants+"dnf-automatic.timer", timerWants+"dnf5-automatic.timer", "etc/systemd/system/multi-user.target.wants/yum-cron.service") {
		return true, false
	}
	for _, name := range []string{"etc/dnf/automatic.conf", "etc/dnf/dnf5-plugins/automatic.conf", "etc/yum/yum-cron.conf"} {
		if iniIs(fsys, bad, name, "apply_updates", "yes", "true", "1") {
			return true, true
		}
	}
	return true, false
}

func suseAutoUpdate(fsys fs.FS, bad *faults) (managed, on bool) {
	return present(fsys, bad, "usr/bin/zypper"), present(fsys, bad, timerWants+"transactional-update.timer")
}

func ostreeAutoUpdate(fsys fs.FS, bad *faults) (managed, on bool) {
	if !present(fsys, bad, "usr/bin/rpm-ostree") {
		return false, false
	}
	return true, present(fsys, bad, timerWants+"rpm-ostreed-automatic.timer") &&
		iniIs(fsys, bad, "etc/rpm-ostreed.conf", "AutomaticUpdatePolicy", "apply", "stage")
}

// iniIs tells whether the last setting of a key in an ini file is one of the
// values.
func iniIs(fsys fs.FS, bad *faults, name, key string, values ...string) (is bool) {
	data, err := readWhole(fsys, name, maxConfFile)
	if err != nil && !missing(err) {
		bad.add(err)
	}
	for line := range strings.Lines(string(data)) {
		k, v, ok := strings.Cut(line, "=")
		if !ok || strings.TrimSpace(k) != key {
			continue
		}
		is = false
		for _, value := range values {
			is = is || strings.EqualFold(strings.TrimSpace(v), value)
		}
	}
	return is
}
