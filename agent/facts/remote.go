package facts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// remoteTool is a program by which a machine is looked at or controlled from
// elsewhere.
type remoteTool struct {
	name string
	// paths are what its installation leaves, by GOOS; the last element of one
	// may be a pattern.
	paths map[string][]string
	// processes are what it is called while it runs on Linux, cut to the 15
	// bytes that the kernel keeps. Many of these tools need no installation.
	processes []string
}

const (
	programs   = "Program Files/"
	programs32 = "Program Files (x86)/"
)

// remoteTools are known by where their makers put them. What comes with a
// desktop and is off until somebody switches it on counts only while it runs.
var remoteTools = []remoteTool{
	{"anydesk", map[string][]string{
		"linux": {"usr/bin/anydesk", "etc/systemd/system/anydesk.service"}, "darwin": {"Applications/AnyDesk.app"},
		"windows": {programs32 + "AnyDesk*", programs + "AnyDesk*"},
	}, []string{"anydesk"}},
	{"beyondtrust", map[string][]string{
		"linux": {"opt/bomgar"}, "darwin": {"Applications/.com.bomgar.scc*", "Users/Shared/bomgar-scc-*"}, "windows": {"ProgramData/bomgar-scc-*"},
	}, []string{"bomgar-scc"}},
	{"chrome_remote_desktop", map[string][]string{
		"linux":   {"opt/google/chrome-remote-desktop"},
		"darwin":  {"Library/PrivilegedHelperTools/ChromeRemoteDesktopHost.app"},
		"windows": {programs32 + "Google/Chrome Remote Desktop", programs + "Google/Chrome Remote Desktop"},
	}, nil},
	{"dwservice", map[string][]string{
		"linux": {"usr/share/dwagent"}, "darwin": {"Library/DWAgent"}, "windows": {programs + "DWAgent"},
	}, []string{"dwagsvc", "dwagent"}},
	{"gnome_remote_desktop", nil, []string{"gnome-remote-de", "vino-server"}},
	{"krfb", nil, []string{"krfb"}},
	{"litemanager", map[string][]string{"windows": {programs32 + "LiteManager*", programs + "LiteManager*"}}, nil},
	{"logmein", map[string][]string{"darwin": {"Library/Application Support/LogMeIn"}, "windows": {programs32 + "LogMeIn", programs + "LogMeIn"}}, nil},
	{"meshcentral", map[string][]string{
		"linux": {"usr/local/mesh_services", "usr/local/mesh"}, "darwin": {"usr/local/mesh_services"}, "windows": {programs + "Mesh Agent", programs32 + "Mesh Agent"},
	}, []string{"meshagent"}},
	{"nomachine", map[string][]string{
		"linux": {"usr/NX/bin/nxserver"}, "darwin": {"Applications/NoMachine.app"}, "windows": {programs + "NoMachine", programs32 + "NoMachine"},
	}, []string{"nxserver.bin"}},
	{"parsec", map[string][]string{
		"linux": {"usr/bin/parsecd"}, "darwin": {"Applications/Parsec.app"}, "windows": {programs + "Parsec"},
	}, []string{"parsecd"}},
	{"remote_utilities", map[string][]string{
		"windows": {programs32 + "Remote Utilities - Host", programs + "Remote Utilities - Host", programs32 + "Remote Manipulator System*"},
	}, nil},
	{"rudesktop", map[string][]string{"linux": {"usr/bin/rudesktop"}, "windows": {programs + "RuDesktop"}}, []string{"rudesktop"}},
	{"rustdesk", map[string][]string{
		"linux": {"usr/bin/rustdesk"}, "darwin": {"Applications/RustDesk.app"}, "windows": {programs + "RustDesk"},
	}, []string{"rustdesk"}},
	{"screenconnect", map[string][]string{
		"linux":   {"opt/connectwisecontrol-*", "opt/screenconnect-*"},
		"darwin":  {"opt/connectwisecontrol-*", "opt/screenconnect-*", "Applications/connectwisecontrol-*", "Applications/screenconnect-*"},
		"windows": {programs32 + "ScreenConnect Client*", programs + "ScreenConnect Client*"},
	}, nil},
	{"simplehelp", map[string][]string{
		"linux": {"opt/JWrapper-Remote Access"}, "darwin": {"Library/Application Support/JWrapper-Remote Access"},
		"windows": {"ProgramData/JWrapper-Remote Access"},
	}, nil},
	{"splashtop", map[string][]string{
		"linux": {"opt/splashtop-streamer"}, "darwin": {"Applications/Splashtop Streamer.app"},
		"windows": {programs32 + "Splashtop/Splashtop Remote/Server", programs + "Splashtop/Splashtop Remote/Server"},
	}, []string{"SRAgent", "splashtop-strea"}},
	{"supremo", map[string][]string{"windows": {programs32 + "Supremo", programs + "Supremo"}}, nil},
	{"tactical_rmm", map[string][]string{
		"linux": {"etc/tacticalagent"}, "darwin": {"opt/tacticalagent"}, "windows": {programs + "TacticalAgent"},
	}, []string{"tacticalagent"}},
	{"teamviewer", map[string][]string{
		"linux": {"opt/teamviewer"}, "darwin": {"Applications/TeamViewer*.app"}, "windows": {programs32 + "TeamViewer", programs + "TeamViewer"},
	}, []string{"teamviewerd", "TeamViewer"}},
	{"ultraviewer", map[string][]string{"windows": {programs32 + "UltraViewer", programs + "UltraViewer"}}, nil},
	{"vnc", map[string][]string{
		"linux":   {"usr/bin/Xvnc", "usr/bin/Xtigervnc", "usr/bin/Xtightvnc", "usr/bin/x11vnc", "usr/bin/vncserver-x11", "usr/bin/x0vncserver", "usr/bin/wayvnc"},
		"darwin":  {"Library/vnc"},
		"windows": {programs + "RealVNC/VNC Server", programs + "TightVNC", programs + "TigerVNC Server", programs + "uvnc bvba", programs + "UltraVNC", programs32 + "TightVNC"},
	}, []string{"Xvnc", "Xtigervnc", "Xtightvnc", "x11vnc", "vncserver-x11", "vncserver-x11-c", "x0vncserver", "x0tigervncserve", "wayvnc"}},
	{"xrdp", map[string][]string{"linux": {"usr/sbin/xrdp"}}, []string{"xrdp"}},
	{"apple_remote_desktop", map[string][]string{"darwin": {"Library/Application Support/Apple/Remote Desktop/RemoteManagement.launchd"}}, nil},
}

// learnRemoteAccess lists the tools for remote access that are installed or,
// as far as the machine's files tell, run.
func learnRemoteAccess(_ context.Context, h *host.Host, d *pb.Device) error {
	a := &attributes{h: h}
	running := a.processes()
	var found []string
	for _, tool := range remoteTools {
		if slices.ContainsFunc(tool.processes, func(p string) bool { return running[p] }) || slices.ContainsFunc(tool.paths[h.OS], a.matches) {
			found = append(found, tool.name)
		}
	}
	switch h.OS {
	case "darwin":
		found = append(found, a.macServices()...)
	case "windows":
		on, err := remoteDesktop(h)
		a.bad.add(err)
		if on {
			found = append(found, "remote_desktop")
		}
	}
	if len(found) == 0 {
		return absent(a.bad.err(), "no remote access to be seen")
	}
	slices.Sort(found)
	security(d).RemoteAccess = found
	return a.bad.err()
}

// matches tells whether there is a file or folder whose last element matches a
// pattern.
func (a *attributes) matches(pattern string) bool {
	dir, last := path.Split(pattern)
	if !strings.Contains(last, "*") {
		_, err := fs.Lstat(a.h.FS, pattern)
		return err == nil
	}
	return slices.ContainsFunc(a.names(dir), func(name string) bool {
		ok, err := path.Match(last, name)
		return err == nil && ok
	})
}

// macServices returns the ways in that macOS itself has and that are open:
// launchd keeps which services are switched off, and these are unless they stand
// there as not so.
func (a *attributes) macServices() []string {
	data := a.raw("private/var/db/com.apple.xpc.launchd/disabled.plist")
	if data == nil {
		return nil
	}
	list, err := proplist.DecodeDict(data)
	if err != nil {
		a.bad.add(fmt.Errorf("services that are switched off: %w", err))
	}
	var open []string
	for _, s := range []struct{ service, name string }{
		{"com.apple.screensharing", "screen_sharing"}, {"com.openssh.sshd", "remote_login"}, {"com.apple.AEServer", "remote_apple_events"},
	} {
		if off, stated := list.Bool(s.service); stated && !off {
			open = append(open, s.name)
		}
	}
	return open
}

// remoteDesktop tells whether Windows lets people in by remote desktop.
func remoteDesktop(h *host.Host) (bool, error) {
	// A policy stands above the setting.
	for _, key := range []string{
		`HKLM\SOFTWARE\Policies\Microsoft\Windows NT\Terminal Services`, `HKLM\SYSTEM\CurrentControlSet\Control\Terminal Server`,
	} {
		k, err := h.RegistryKey(key)
		if missing(err) || errors.Is(err, errors.ErrUnsupported) {
			continue
		}
		if err != nil {
			return false, err
		}
		value, _ := k.Value("fDenyTSConnections")
		if deny, ok := value.Integer(); ok {
			return deny == 0, nil
		}
	}
	return false, nil
}
