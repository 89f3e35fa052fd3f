package systest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The main job: this machine's agent reports, the collector knows the asset.
func TestThisMachineBecomesAnAsset(t *testing.T) {
	c := newCollector(t)
	token, state := c.enrolToken(t, 2), t.TempDir()
	once := func() {
		t.Helper()
		if _, errs, code := call(t, nil, "rollcall-agent", c.agent(token, state, "--once")...); code != 0 {
			t.Fatalf("agent --once exits with %d:\n%s", code, errs)
		}
	}
	once()
	assets := c.assets(t)
	if len(assets) != 1 {
		t.Fatalf("%d assets, want this machine only: %v", len(assets), assets)
	}
	id := assets[0]["id"].(string)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	var a struct {
		Name     string
		Labels   map[string]string
		Os       struct{ Family string }
		Hardware struct {
			MemoryBytes string `json:"memory_bytes"`
			Cpu         struct{ Threads int }
		}
		SoftwareCount int `json:"software_count"`
		Provenance    map[string]struct{ Source string }
	}
	c.get(t, "/v1/assets/"+id, &a)
	if a.Name != host || a.Os.Family != "linux" || a.Hardware.MemoryBytes == "" || a.Hardware.Cpu.Threads == 0 || a.Labels["site"] != "lab" || a.Provenance["os.family"].Source != "agent" {
		t.Errorf("the asset of %s: %+v", host, a)
	}
	if diff := cmp.Diff(installedPackages(t), softwareOf(t, c, id)); diff != "" {
		t.Errorf("packages (-dpkg-query +asset):\n%s", diff)
	}

	once() // nothing changed, or little
	if again := c.assets(t); len(again) != 1 || again[0]["id"] != id {
		t.Errorf("after a second run: %d assets", len(again))
	}
	// A machine that lost its state enrols anew and is still the same machine,
	// if it has any hardware identifier at all.
	c.stop()
	c = openCollector(t, c.dir)
	if again := c.assets(t); len(again) != 1 || again[0]["id"] != id {
		t.Errorf("after a restart of the collector: %d assets", len(again))
	}
	for _, args := range [][]string{{"assets", "list"}, {"assets", "show", id}, {"assets", "show", host}} {
		if out, errs, code := call(t, c.env(), "rollcall", args...); code != 0 || !strings.Contains(out, host) {
			t.Errorf("rollcall %v exits with %d: %s%s", args, code, out, errs)
		}
	}
	out, _, _ := call(t, c.env(), "rollcall", "assets", "list", "-o", "json")
	if !json.Valid([]byte(out)) || !strings.Contains(out, id) {
		t.Errorf("rollcall assets list -o json prints %s", out)
	}
}

// installedPackages is what dpkg-query shows as installed, as "name version".
func installedPackages(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package} ${Version}\n").Output()
	if err != nil {
		t.Logf("no dpkg-query on this machine (%v): packages are compared with nothing", err)
		return nil
	}
	var rows []string
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) == 3 && len(f[0]) == 2 && f[0][1] == 'i' {
			rows = append(rows, f[1]+" "+f[2])
		}
	}
	slices.Sort(rows)
	return rows
}

func softwareOf(t *testing.T, c *collector, id string) []string {
	t.Helper()
	var rows []string
	for page := ""; ; {
		var answer struct {
			Software      []struct{ Kind, Name, Version string }
			NextPageToken string `json:"next_page_token"`
		}
		c.get(t, "/v1/assets/"+id+"/software?page_size=100&page_token="+page, &answer)
		for _, s := range answer.Software {
			if s.Kind == "deb" {
				rows = append(rows, s.Name+" "+s.Version)
			}
		}
		if page = answer.NextPageToken; page == "" {
			break
		}
	}
	slices.Sort(rows)
	return rows
}

// What is derived can be thrown away: rebuild gives the same answers.
func TestRebuildGivesTheSameAnswers(t *testing.T) {
	c := newCollector(t)
	if _, errs, code := call(t, nil, "fleetsim", c.sim(t, "--agents", "40", "--titles", "50")...); code != 0 {
		t.Fatalf("fleetsim exits with %d:\n%s", code, errs)
	}
	before := c.assets(t)
	if len(before) != 40 {
		t.Fatalf("%d assets, want 40", len(before))
	}
	c.stop()
	if out, errs, code := call(t, nil, "rollcall-collector", "rebuild", "--data-dir", c.dir); code != 0 {
		t.Fatalf("rebuild exits with %d: %s%s", code, out, errs)
	}
	c = openCollector(t, c.dir)
	after := c.assets(t)
	for _, a := range slices.Concat(before, after) {
		delete(a, "findings") // are judged a moment later
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("after rebuild (-before +after):\n%s", diff)
	}
}

// sim returns the arguments of a load generator that enrols with a token of
// this collector.
func (c *collector) sim(t testing.TB, more ...string) []string {
	t.Helper()
	return append([]string{"--collector", c.grpc, "--ca-file", filepath.Join(c.dir, "ca.pem"), "--token-file", c.enrolToken(t, 10_000)}, more...)
}

func TestRevokedAgentIsRefusedAndItsRecordKept(t *testing.T) {
	c := newCollector(t)
	token, state := c.enrolToken(t, 1), t.TempDir()
	if _, errs, code := call(t, nil, "rollcall-agent", c.agent(token, state, "--once")...); code != 0 {
		t.Fatalf("agent --once exits with %d:\n%s", code, errs)
	}
	var answer struct{ Agents []struct{ ID string } }
	c.get(t, "/v1/agents", &answer)
	if len(answer.Agents) != 1 {
		t.Fatalf("agents: %+v", answer)
	}
	if _, errs, code := call(t, c.env(), "rollcall", "agents", "revoke", answer.Agents[0].ID); code != 0 {
		t.Fatalf("revoke exits with %d: %s", code, errs)
	}
	_, errs, code := call(t, nil, "rollcall-agent", c.agent(token, state, "--once")...)
	if code == 0 || !strings.Contains(errs, "revoked") {
		t.Errorf("a revoked agent exits with %d and says:\n%s", code, errs)
	}
	if n := len(c.assets(t)); n != 1 {
		t.Errorf("%d assets after the revocation, want 1", n)
	}
}

func TestWrongTokensAreExplained(t *testing.T) {
	c := newCollector(t)
	used := c.enrolToken(t, 1)
	if _, errs, code := call(t, nil, "rollcall-agent", c.agent(used, t.TempDir(), "--once")...); code != 0 {
		t.Fatalf("agent --once exits with %d:\n%s", code, errs)
	}
	unknown := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(unknown, []byte("rce_abcdefgh_"+strings.Repeat("A", 43)), 0o600); err != nil {
		t.Fatal(err)
	}
	other := newCollector(t)
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"used up":             {c.agent(used, t.TempDir(), "--once"), "token"},
		"unknown":             {c.agent(unknown, t.TempDir(), "--once"), "token"},
		"another collector's": {replaced(c.agent(c.enrolToken(t, 1), t.TempDir(), "--once"), "--ca-file", filepath.Join(other.dir, "ca.pem")), "certificate"},
		"no such file":        {c.agent(filepath.Join(t.TempDir(), "none"), t.TempDir(), "--once"), "none"},
	} {
		_, errs, code := call(t, nil, "rollcall-agent", tc.args...)
		if code == 0 || !strings.Contains(errs, tc.want) {
			t.Errorf("%s: exits with %d and says:\n%s", name, code, errs)
		}
	}
	if n := len(c.assets(t)); n != 1 {
		t.Errorf("%d assets, want 1", n)
	}
}

func replaced(args []string, flag, value string) []string {
	args = slices.Clone(args)
	args[slices.Index(args, flag)+1] = value
	return args
}

func TestCollectorSaysWhyItCannotStart(t *testing.T) {
	c := newCollector(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	serve := func(dir, http, grpc string) []string {
		return []string{"serve", "--data-dir", dir, "--http-addr", http, "--grpc-addr", grpc}
	}
	for name, tc := range map[string]struct {
		args []string
		want []string
	}{
		"locked by another collector": {serve(c.dir, freeAddr(t), freeAddr(t)), []string{c.dir, "another"}},
		"http port in use":            {serve(t.TempDir(), c.http, freeAddr(t)), []string{c.http, "--http-addr"}},
		"grpc port in use":            {serve(t.TempDir(), freeAddr(t), c.grpc), []string{c.grpc, "--grpc-addr"}},
		"data folder is a file":       {serve(file, freeAddr(t), freeAddr(t)), []string{file}},
		"open to the world":           {serve(t.TempDir(), "0.0.0.0:0", freeAddr(t)), []string{"TLS"}},
		"unknown store":               {append(serve(t.TempDir(), freeAddr(t), freeAddr(t)), "--store", "oracle:x"), []string{"--store", "oracle"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, errs, code := call(t, nil, "rollcall-collector", tc.args...)
			for _, want := range tc.want {
				if code == 0 || !strings.Contains(out+errs, want) {
					t.Errorf("exits with %d, want a failure that mentions %q:\n%s%s", code, want, out, errs)
				}
			}
		})
	}
	if n := len(c.assets(t)); n != 0 {
		t.Errorf("%d assets", n)
	}
}

// collect needs no collector, and its JSON has the promised keys.
func TestCollectPrintsTheObservation(t *testing.T) {
	out, errs, code := call(t, nil, "rollcall-agent", "collect", "-o", "json")
	var o struct {
		Source string
		Device struct {
			Os       struct{ Family string }
			Software []struct{ Kind, Name, Version string }
		}
		Sections []struct{ Name, State string }
	}
	if err := json.Unmarshal([]byte(out), &o); code != 0 || err != nil {
		t.Fatalf("collect exits with %d, %v:\n%s", code, err, errs)
	}
	var rows []string
	for _, s := range o.Device.Software {
		if s.Kind == "deb" {
			rows = append(rows, fmt.Sprint(s.Name, " ", s.Version))
		}
	}
	slices.Sort(rows)
	if diff := cmp.Diff(installedPackages(t), rows); diff != "" {
		t.Errorf("packages (-dpkg-query +collect):\n%s", diff)
	}
	if o.Source != "agent" || o.Device.Os.Family != "linux" || len(o.Sections) != 9 {
		t.Errorf("source %q, family %q, sections %v", o.Source, o.Device.Os.Family, o.Sections)
	}
}
