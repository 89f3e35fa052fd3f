package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// prometheusFiles is where the rules and the dashboard lie.
const prometheusFiles = "../installers/prometheus"

// program returns a program of the Debian package prometheus.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed (the Debian package prometheus; .ci/prepare installs it where it can)", name)
	}
	return path
}

// promtool runs it with an input and returns whether it is content.
func promtool(t *testing.T, in string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, "promtool"), args...)
	cmd.Dir, cmd.Stdin = prometheusFiles, strings.NewReader(in)
	if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("FAILED")) {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

func TestPromtoolLikesTheRules(t *testing.T) {
	promtool(t, "", "check", "rules", "rollcall.rules.yaml")
	promtool(t, "", "test", "rules", "rollcall.rules.test.yaml")
}

func TestPromtoolLikesTheMetrics(t *testing.T) {
	program(t, "promtool")
	r := start(t, testSettings(t.TempDir()), io.Discard)
	m := r.metrics(t)
	promtool(t, m, "check", "metrics")
	if n := strings.Count(m, "\n") - strings.Count(m, "\n#"); n > 2000 {
		t.Errorf("%d series", n)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

// Every metric that the dashboard and the rules ask for is one that a collector
// has.
func TestWhatTheDashboardAsksFor(t *testing.T) {
	settings := testSettings(t.TempDir())
	// Some metrics are of feeds, and told once there is one.
	settings.Feeds = []feedSettings{{Name: "po", Vendor: "csv_assets", Settings: map[string]string{"file": filepath.Join(t.TempDir(), "none.csv")}, Paused: true}}
	r := start(t, settings, io.Discard)
	waitFor(t, func() bool { return strings.Contains(r.metrics(t), `feed="po"`) })
	m := r.metrics(t)
	rules, err := os.ReadFile(filepath.Join(prometheusFiles, "rollcall.rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dashboard, err := os.ReadFile(filepath.Join(prometheusFiles, "dashboard.json"))
	if err != nil || !json.Valid(dashboard) {
		t.Fatalf("the dashboard is no JSON: %v", err)
	}
	asked := regexp.MustCompile(`rollcall[_:][a-z_:]+`).FindAllString(string(rules)+string(dashboard), -1)
	for _, name := range asked {
		if strings.Contains(name, ":") {
			if !strings.Contains(string(rules), "record: "+name) {
				t.Errorf("%s is not recorded", name)
			}
		} else if !strings.Contains(m, "# TYPE "+name+" ") {
			t.Errorf("there is no metric %s", name)
		}
	}
	if len(asked) < 20 {
		t.Errorf("only %d metrics are asked for", len(asked))
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

// A real Prometheus scrapes the collector, and an alert fires once a device
// falls out of compliance.
func TestAnAlertFires(t *testing.T) {
	server := program(t, "prometheus")
	r := start(t, testSettings(t.TempDir()), io.Discard)
	dir := t.TempDir()
	rules, err := os.ReadFile(filepath.Join(prometheusFiles, "rollcall.rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	// The same rules, without the five minutes that they wait.
	rules = bytes.ReplaceAll(rules, []byte("for: 5m"), []byte("for: 0s"))
	config := fmt.Sprintf(`global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: rollcall
    authorization: {credentials_file: %s}
    static_configs: [{targets: ['%s']}]
`, filepath.Join(r.dir, "admin-token"), r.http.Addr())
	for name, b := range map[string][]byte{"rules.yaml": rules, "prometheus.yaml": []byte(config)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	address := freeAddress(t)
	cmd := exec.CommandContext(t.Context(), server, "--config.file="+filepath.Join(dir, "prometheus.yaml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // with the error that it was killed
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	}()
	r.ask(t, "PUT", "/v1/sources/cmdb", `{"kind":"mdm"}`, nil)
	say := func(state string) {
		r.push(t, `{"source":"cmdb","source_id":"1","observed_at":"`+time.Now().UTC().Format(time.RFC3339Nano)+`","device":{"name":"a","class":"laptop","security":{"disk_encryption":{"state":"`+state+`"}}}}`)
	}
	say("on")
	alerts := "http://" + address + "/api/v1/alerts"
	passes := "http://" + address + `/api/v1/query?query=rollcall_rule_assets{rule="disk-encryption",result="pass"}==1`
	await(t, passes, `"disk-encryption"`, true)
	await(t, alerts, "RollcallDeviceOutOfCompliance", false)
	say("off")
	await(t, alerts, `"state":"firing"`, true)
	await(t, alerts, `"rule":"disk-encryption"`, true)
	say("on")
	await(t, alerts, "RollcallDeviceOutOfCompliance", false)
}

// await asks until the answer has a text, or has not.
func await(t *testing.T, url, text string, there bool) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	last := ""
	for range 600 {
		if resp, err := http.Get(url); err == nil {
			b, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if last = string(b); err == nil && resp.StatusCode == http.StatusOK && strings.Contains(last, text) == there {
				return
			}
		}
		<-tick.C
	}
	t.Fatalf("%s: %q there should be %v in %s", url, text, there, last)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
