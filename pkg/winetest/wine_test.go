package winetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// deadline is how long one program may take; it is a bound for a hung test and
// no measure of speed. Wine makes its folder in ten seconds.
const deadline = 3 * time.Minute

// wine is a Windows of its own for one test.
type wine struct {
	t      *testing.T
	binary string
	prefix string
	agent  string
}

// newWine builds the agent and makes a Windows for it; without Wine it skips
// the test.
func newWine(t *testing.T) *wine {
	t.Helper()
	binary := findWine()
	if binary == "" {
		t.Skip("Wine is not installed, so that the Windows agent is not run: install wine64")
	}
	if err := touchSources(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	w := &wine{t: t, binary: binary, prefix: filepath.Join(dir, "prefix"), agent: filepath.Join(dir, "rollcall-agent.exe")}
	build := exec.Command("go", "build", "-o", w.agent, "./agent")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the agent: %v\n%s", err, out)
	}
	server := filepath.Join(filepath.Dir(binary), "wineserver")
	t.Cleanup(func() {
		// It outlives its programs, and writes into the folder.
		stop := exec.Command(server, "-k", "-w")
		stop.Env = w.env()
		_ = stop.Run()
	})
	w.must("wineboot", "-i")
	// What that has begun goes on for a while, and would undo what is done to the
	// registry meanwhile.
	if _, err := w.run(server, "-w"); err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(w.prefix, "drive_c", "windows", "system32", "bcryptprimitives.dll")
	if _, err := os.Stat(library); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(library, prngLibrary(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// findWine returns the program that starts others, "" for none. Debian keeps
// it out of the way.
func findWine() string {
	for _, name := range []string{"wine64", "/usr/lib/wine/wine64", "wine"} {
		if path, err := exec.LookPath(name); err == nil {
			if real, err := filepath.EvalSymlinks(path); err == nil {
				path = real
			}
			return path
		}
	}
	return ""
}

// touchSources looks at what the agent is built from, so that go test does not
// answer from its cache after it changed.
func touchSources() error {
	for _, dir := range []string{"agent", "pkg", "proto"} {
		err := filepath.WalkDir(filepath.Join("..", "..", dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *wine) env() []string {
	// No screen, no messages of Wine itself, no offers to install more of it.
	return append(os.Environ(), "WINEPREFIX="+w.prefix, "WINEDEBUG=-all", "DISPLAY=", "WINEDLLOVERRIDES=mscoree,mshtml=")
}

// run runs a program and returns what it prints. That goes into a file: a pipe
// would be held open by what Wine leaves behind.
func (w *wine) run(program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), deadline)
	defer cancel()
	out, err := os.CreateTemp(w.t.TempDir(), "")
	if err != nil {
		return "", err
	}
	defer out.Close()
	errs, err := os.CreateTemp(w.t.TempDir(), "")
	if err != nil {
		return "", err
	}
	defer errs.Close()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = w.env(), out, errs
	err = cmd.Run()
	text, rerr := os.ReadFile(out.Name())
	if err != nil {
		complaint, _ := os.ReadFile(errs.Name())
		return string(text), fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(program), strings.Join(args, " "), err, text, complaint)
	}
	return string(text), rerr
}

// must runs a program of Windows that must succeed.
func (w *wine) must(args ...string) string {
	w.t.Helper()
	out, err := w.run(w.binary, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// register puts a file of the registry editor into the registry.
func (w *wine) register(text string) {
	w.t.Helper()
	// Only in UTF-16 can it have all letters.
	b := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune("Windows Registry Editor Version 5.00\n\n" + text)) {
		b = append(b, byte(unit), byte(unit>>8))
	}
	if err := os.WriteFile(filepath.Join(w.prefix, "drive_c", "test.reg"), b, 0o644); err != nil {
		w.t.Fatal(err)
	}
	w.must("reg", "import", `C:\test.reg`)
}

// programs is what the test installs.
const programs = `
[HKEY_LOCAL_MACHINE\Software\Microsoft\Windows\CurrentVersion\Uninstall\Widget]
"DisplayName"="Widget Studio"
"DisplayVersion"="4.2.1"
"Publisher"="Example GmbH"

[HKEY_LOCAL_MACHINE\Software\Microsoft\Windows\CurrentVersion\Uninstall\{5F0E5B6A-91A7-4B4C-9A43-0D5F1B2C3D4E}]
"DisplayName"="Widget Server"
"Version"=dword:01060004
"WindowsInstaller"=dword:00000001

[HKEY_LOCAL_MACHINE\Software\Microsoft\Windows\CurrentVersion\Uninstall\Hidden]
"DisplayName"="Part of Widget"
"SystemComponent"=dword:00000001

[HKEY_LOCAL_MACHINE\Software\Microsoft\Windows\CurrentVersion\Uninstall\Nameless]
"DisplayVersion"="1.0"

[HKEY_LOCAL_MACHINE\Software\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall\Legacy]
"DisplayName"="Größenrechner"
"DisplayVersion"="1.0"

[HKEY_CURRENT_USER\Software\Microsoft\Windows\CurrentVersion\Uninstall\Mine]
"DisplayName"="My Notes"
"DisplayVersion"="2.0"
"InstallLocation"="C:\\users\\me\\notes\\"
`

// observation is what of the agent's answer is looked at here.
type observation struct {
	Device struct {
		Name    string
		OS      struct{ Family, Name, Build, Architecture string }
		Network struct {
			Hostname   string
			Interfaces []struct{ Name string }
		}
		Software []struct {
			Kind, Name, Version, Publisher, Architecture, Location string
			ProductID                                              string `json:"product_id"`
		}
	}
	Sections []struct{ Name, State, Reason string }
}

// The agent runs on Windows. One Windows serves both parts: to make it takes
// longer than they do.
func TestAgent(t *testing.T) {
	w := newWine(t)
	for name, test := range map[string]func(*testing.T, *wine){"collect": testCollect, "service": testService} {
		t.Run(name, func(t *testing.T) {
			part := *w
			part.t = t
			test(t, &part)
		})
	}
}

// The agent lists what is in each of the lists of programs.
func testCollect(t *testing.T, w *wine) {
	w.register(programs)
	var o observation
	if err := json.Unmarshal([]byte(w.must(w.agent, "collect")), &o); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range o.Device.Software {
		got[s.Name] = strings.Join([]string{s.Kind, s.Version, s.Publisher, s.Architecture, s.Location, s.ProductID}, "|")
	}
	for name, want := range map[string]string{
		"Widget Studio": "exe|4.2.1|Example GmbH|x86_64||Widget",
		"Widget Server": "msi|1.6.4||x86_64||{5F0E5B6A-91A7-4B4C-9A43-0D5F1B2C3D4E}",
		"Größenrechner": "exe|1.0||x86||Legacy",
		"My Notes":      `exe|2.0|||C:\users\me\notes|Mine`,
	} {
		if got[name] != want {
			t.Errorf("%s: %q instead of %q, among %v", name, got[name], want, got)
		}
	}
	for _, name := range []string{"Part of Widget", ""} {
		if _, ok := got[name]; ok {
			t.Errorf("%q is listed", name)
		}
	}
	d := o.Device
	if d.OS.Family != "windows" || d.OS.Name == "" || d.OS.Build == "" || d.OS.Architecture != "x86_64" || d.Name == "" || d.Network.Hostname == "" || len(d.Network.Interfaces) == 0 {
		t.Errorf("the machine is %+v", d)
	}
	for _, s := range o.Sections {
		if s.Name == "software" && s.State != "complete" || s.Name == "os" && s.State != "complete" {
			t.Errorf("%s is %s: %s", s.Name, s.State, s.Reason)
		}
	}
}

// The agent makes itself a service, which starts and stops.
func testService(t *testing.T, w *wine) {
	config := filepath.Join(w.prefix, "drive_c", "agent.yaml")
	// Nobody listens there: a service must run whether or not its collector does.
	if err := os.WriteFile(config, []byte("collector: 127.0.0.1:1\nstate_dir: C:\\state\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// Services end with the last program of a session, so that one stays.
	ctx, cancel := context.WithCancel(t.Context())
	session := exec.CommandContext(ctx, w.binary, "cmd", "/c", "ping -n 600 127.0.0.1")
	session.Env = w.env()
	if err := session.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = session.Wait() }()

	status := func(want string) {
		t.Helper()
		first, _, _ := strings.Cut(w.must(w.agent, "status", "--state-dir", `C:\state`), "\n")
		if fields := strings.Fields(first); strings.Join(fields, " ") != "service "+want {
			t.Errorf("%q instead of %s", first, want)
		}
	}
	status("not installed")
	w.must(w.agent, "install", "--config", `C:\agent.yaml`)
	status("stopped")
	if _, err := w.run(w.binary, w.agent, "install", "--config", `C:\agent.yaml`); err == nil || !strings.Contains(err.Error(), "installed already") {
		t.Errorf("installed twice: %v", err)
	}
	w.must(w.agent, "start")
	status("running")
	w.must(w.agent, "stop")
	status("stopped")
	w.must(w.agent, "uninstall")
	status("not installed")

	// One that cannot begin says so to the manager, which else waits half a minute
	// for its answer and then says that there was none.
	w.must(w.agent, "install", "--config", `C:\agent.yaml`)
	if err := os.WriteFile(config, []byte("state_dir: C:\\state\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, _ = w.run(w.binary, w.agent, "start")
	out := w.must("sc", "query", "rollcall-agent")
	for range 20 {
		if strings.Contains(out, "STOPPED") {
			break
		}
		out = w.must("sc", "query", "rollcall-agent")
	}
	if !strings.Contains(out, "1066") {
		t.Errorf("a service without a collector ends otherwise than with an error of its own (1066):\n%s", out)
	}
	w.must(w.agent, "uninstall")
}
