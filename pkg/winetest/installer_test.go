package winetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// testInstaller checks that the MSI makes a service with the settings that it
// was given, keeps them over an upgrade, and goes away again.
func testInstaller(t *testing.T, w *wine) {
	for _, tool := range []string{"wixl", "msibuild"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed, so that no MSI is made: install wixl and msitools", tool)
		}
	}
	first, second := buildMSI(t, w, "1.2.3"), buildMSI(t, w, "1.3.0")

	ctx, cancel := context.WithCancel(t.Context())
	session := exec.CommandContext(ctx, w.binary, "cmd", "/c", "ping -n 600 127.0.0.1")
	session.Env = w.env()
	if err := session.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = session.Wait() }()

	const service, uninstalled = `HKLM\SYSTEM\CurrentControlSet\Services\rollcall-agent`, "not installed"
	check := func(collector string) {
		t.Helper()
		key := w.must("reg", "query", service)
		for _, want := range []string{"ROLLCALL_AGENT_COLLECTOR=" + collector, `ROLLCALL_AGENT_TOKEN_FILE=C:\token`, `rollcall-agent.exe`, "run --service"} {
			if !strings.Contains(key, want) {
				t.Errorf("the service lacks %s:\n%s", want, key)
			}
		}
	}
	// Nobody listens there: a service must run whether or not its collector does.
	w.must("msiexec", "/i", first, "/qn", "COLLECTOR=127.0.0.1:1", `TOKEN=C:\token`)
	check("127.0.0.1:1")
	if got := w.must(w.agent, "status"); !strings.Contains(got, "running") {
		t.Errorf("the installed service does not run: %s", got)
	}
	// Wine does not wait for a service that it stops, Windows does.
	w.must(w.agent, "stop")
	w.must("msiexec", "/i", second, "/qn")
	check("127.0.0.1:1")

	w.must(w.agent, "stop")
	w.must("msiexec", "/x", second, "/qn")
	if got := w.must(w.agent, "status"); !strings.Contains(got, uninstalled) {
		t.Errorf("after the MSI is uninstalled: %s", got)
	}
	if _, err := os.Stat(filepath.Join(w.prefix, "drive_c", "Program Files", "Rollcall", "rollcall-agent.exe")); err == nil {
		t.Error("the program is still there")
	}
}

// buildMSI makes an MSI of the agent and returns its name in Windows.
func buildMSI(t *testing.T, w *wine, version string) string {
	t.Helper()
	dir := t.TempDir()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{w.agent: "rollcall-agent.exe", filepath.Join(root, "installers", "config", "agent.yaml"): "agent.yaml"} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	name := "agent-" + version + ".msi"
	build := exec.CommandContext(t.Context(), filepath.Join(root, "installers", "windows", "build"), "amd64", version, dir, filepath.Join(w.prefix, "drive_c", name))
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the MSI: %v\n%s", err, out)
	}
	return `C:\` + name
}
