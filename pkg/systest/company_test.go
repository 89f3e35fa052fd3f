package systest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	companySize    = flag.Int("company", 200, "devices of the company in TestOneCompanyThroughItsSystems")
	companyProfile = flag.String("company-profile", "", "write a profile of the collector's CPU in its first minute to this file, which is not there yet")
)

// Which systems are read, in the order in which they are connected; Dell comes
// last, as it is asked about devices that the others know.
var companySystems = []string{"jamf", "intune", "okta", "falcon", "abm", "po", "dell"}

// TestOneCompanyThroughItsSystems reads one company through Jamf Pro, Intune,
// Okta, CrowdStrike, Apple Business Manager, a purchase list and Dell, with a
// collector of its own: every device is one asset of all the systems that know
// it. With -v it prints what that costs the collector.
//
//	go test ./pkg/systest -run TestOneCompanyThroughItsSystems -company 20000 -v
func TestOneCompanyThroughItsSystems(t *testing.T) {
	c := company{*companySize}
	systems := httptest.NewServer(c)
	defer systems.Close()
	coll := &collector{dir: t.TempDir(), http: freeAddr(t), grpc: freeAddr(t), more: []string{"--config", c.configuration(t, systems.URL)}}
	coll.serve(t)
	profiled := coll.profile(t)
	begun, before := time.Now(), coll.cost(t)
	for _, name := range companySystems[:len(companySystems)-1] {
		coll.run(t, name)
	}
	coll.whenRead(t, companySystems[:len(companySystems)-1])
	coll.run(t, "dell")
	coll.whenRead(t, companySystems)
	read := time.Since(begun)
	coll.whenIdle(t)
	after := coll.cost(t)
	t.Logf("%d devices: read in %.1f s (wall), %.1f s of the collector's CPU until every asset was judged, peak memory %d MiB (%d MiB before the first page)",
		c.devices, read.Seconds(), after.cpu-before.cpu, after.peak>>20, before.peak>>20)
	c.check(t, coll)
	profiled()
	coll.stop()
	if c.devices >= 1000 {
		// What the fleet itself takes, whoever told of it.
		coll.serve(t)
		t.Logf("started anew with that fleet and no feed running: peak memory %d MiB", coll.cost(t).peak>>20)
		coll.stop()
	}
}

// profile takes a profile of the collector's first minute where one is wanted,
// and returns what waits for it.
func (c *collector) profile(t *testing.T) (wait func()) {
	t.Helper()
	if *companyProfile == "" {
		return func() {}
	}
	p := start(t, "rollcall-collector", "profile", "cpu", *companyProfile, "--data-dir", c.dir, "--seconds", "60")
	return func() {
		if err := p.wait(); err != nil {
			t.Errorf("take a profile: %v: %s", err, p.out)
		}
	}
}

// configuration writes the collector's: the vendors' manifests without their
// bounds on requests a second, which are their systems' and not ours.
func (c company) configuration(t *testing.T, systems string) string {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	pemFile := write("abm.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	limit := regexp.MustCompile(`(?m)^limit: .*$`)
	var b strings.Builder
	b.WriteString("feeds:\n")
	for _, f := range []struct{ name, vendor, settings string }{
		{"jamf", "jamf_pro", "url: " + systems + ", client_id: app, client_secret: s3cret"},
		{"intune", "intune", "tenant: contoso, graph: " + systems + ", login: " + systems + ", client_id: app, client_secret: s3cret"},
		{"okta", "okta", "url: " + systems + ", token: s3cret"},
		{"falcon", "crowdstrike", "url: " + systems + ", client_id: app, client_secret: s3cret"},
		{"abm", "apple_business", "api: " + systems + ", account: " + systems + ", client_id: app, key_id: k, private_key: 'file:" + pemFile + "'"},
		{"po", "csv_assets", "file: " + c.purchases(t)},
		{"dell", "dell", "url: " + systems + ", client_id: app, client_secret: s3cret"},
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", "collector", "feed", "vendors", f.vendor+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		manifest := write(f.vendor+".yaml", limit.ReplaceAll(text, []byte("limit: {per_second: 1000, burst: 1000}")))
		fmt.Fprintf(&b, "  - {name: %s, manifest: %s, settings: {%s}, allow_private: true, paused: true}\n", f.name, manifest, f.settings)
	}
	return write("collector.yaml", []byte(b.String()))
}

func (c *collector) run(t *testing.T, feed string) {
	t.Helper()
	if body, code := c.ask(t, http.MethodPost, "/v1/feeds/"+feed+":run", `{"full":true}`); code != http.StatusOK {
		t.Fatalf("run %s: %d %s", feed, code, body)
	}
}

// whenRead waits until feeds were read to their ends.
func (c *collector) whenRead(t *testing.T, names []string) {
	t.Helper()
	c.patiently(t, "the feeds are read", func() error {
		var page struct {
			Feeds []struct {
				ID, Error   string
				LastSuccess string `json:"last_success"`
			}
		}
		c.get(t, "/v1/feeds", &page)
		for _, f := range page.Feeds {
			if f.Error != "" {
				t.Fatalf("feed %s: %s", f.ID, f.Error)
			}
			if slices.Contains(names, f.ID) && f.LastSuccess == "" {
				return fmt.Errorf("%s is not", f.ID)
			}
		}
		return nil
	})
}

// whenIdle waits until the collector has judged what it was told: it then needs
// next to no CPU.
func (c *collector) whenIdle(t *testing.T) {
	t.Helper()
	quiet, last := 0, c.cost(t).cpu
	c.patiently(t, "the collector is idle", func() error {
		now := c.cost(t).cpu
		if now-last < 0.1 {
			quiet++
		} else {
			quiet = 0
		}
		if last = now; quiet < 5 {
			return fmt.Errorf("it has used %.1f s of CPU", now)
		}
		return nil
	})
}

// patiently waits like until, as long as a company of that size takes.
func (c *collector) patiently(t *testing.T, what string, cond func() error) {
	t.Helper()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	end := time.After(deadline + time.Duration(*companySize)*60*time.Millisecond)
	for {
		err := cond()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s: still not: %v", what, err)
		}
	}
}

// cost is what a collector has needed so far.
type cost struct {
	// cpu is in seconds of all cores, user and system; peak is the most resident
	// memory in bytes, 0 where the operating system does not tell.
	cpu  float64
	peak int
}

// cost reads it from the collector's own metrics and from Linux.
func (c *collector) cost(t *testing.T) cost {
	t.Helper()
	body, code := c.ask(t, http.MethodGet, "/metrics", "")
	found := regexp.MustCompile(`(?m)^process_cpu_seconds_total (\S+)$`).FindSubmatch(body)
	if found == nil {
		t.Fatalf("GET /metrics answers %d without process_cpu_seconds_total", code)
	}
	var out cost
	var err error
	if out.cpu, err = strconv.ParseFloat(string(found[1]), 64); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Open(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid)); err == nil {
		defer f.Close()
		status, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		if peak := regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`).FindSubmatch(status); peak != nil {
			kib, _ := strconv.Atoi(string(peak[1]))
			out.peak = kib << 10
		}
	}
	return out
}
