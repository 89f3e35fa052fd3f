package systest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// mdmSecret must turn up in no answer and no line that the programs print.
const mdmSecret = "acme-secret-5d0a9c42e1"

const mdmManifest = `
schema: 1
name: acme
title: Acme MDM
kind: mdm
unique: true
base: ${url}
settings: {url: {type: url}, token: {secret: true}, site: {default: main}}
auth: {header: {value: "Bearer ${token}"}}
limit: {per_second: 1000, burst: 1000}
streams:
  - name: devices
    get: /devices
    records: data
    pager: {cursor: {from: next, param: after}, total: total}
    key: id
    map: {name: name, hardware.serial: serial}
`

// mdm lists 30 devices on three pages. Between asked and answer, the second
// waits for the test.
type mdm struct {
	*httptest.Server
	asked, answer chan struct{}
}

func newMDM(t *testing.T) *mdm {
	m := &mdm{asked: make(chan struct{}, 8), answer: make(chan struct{})}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+mdmSecret {
			http.Error(w, `{"error":"who are you"}`, http.StatusUnauthorized)
			return
		}
		from, _ := strconv.Atoi(r.URL.Query().Get("after"))
		if from == 10 {
			m.asked <- struct{}{}
			select {
			case <-m.answer:
			case <-r.Context().Done():
				return
			}
		}
		var rows []string
		for i := from; i < from+10; i++ {
			rows = append(rows, fmt.Sprintf(`{"id":%d,"name":"pc-%d","serial":"PF3ABC%02d"}`, i, i, i))
		}
		next := ""
		if from < 20 {
			next = fmt.Sprintf(`,"next":"%d"`, from+10)
		}
		fmt.Fprintf(w, `{"data":[%s],"total":30%s}`, strings.Join(rows, ","), next)
	}))
	t.Cleanup(m.Close)
	return m
}

// Somebody connects a system with the command line, watches it being read,
// pauses it, and takes it away again with and without what it said.
func TestConnectASystemFromTheCommandLine(t *testing.T) {
	system, c := newMDM(t), newCollector(t)
	dir := t.TempDir()
	file, secret := filepath.Join(dir, "acme.yaml"), filepath.Join(dir, "secret")
	for name, text := range map[string]string{file: mdmManifest, secret: mdmSecret + "\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// feeds runs a command and wants a code, and texts in what it prints.
	feeds := func(code int, args string, texts ...string) {
		t.Helper()
		out, errs, got := call(t, c.env(), "rollcall", append([]string{"feeds"}, strings.Fields(args)...)...)
		if got != code {
			t.Fatalf("rollcall feeds %s exits with %d, want %d: %s%s", args, got, code, out, errs)
		}
		for _, text := range texts {
			if !strings.Contains(out+errs, text) {
				t.Errorf("rollcall feeds %s prints no %q: %s%s", args, text, out, errs)
			}
		}
		if strings.Contains(out+errs, mdmSecret) {
			t.Errorf("rollcall feeds %s prints the secret: %s%s", args, out, errs)
		}
	}
	which := "--manifest " + file + " --set url=" + system.URL + " --set token=@" + secret
	feeds(2, "create jamf --vendor jamf --set url=https://acme.jamfcloud.com", `did you mean "jamf_pro"?`)
	feeds(2, "create acme --manifest "+file+" --set url="+system.URL+" --set tokn=x", `setting "tokn" is not one of acme: site, token, url`)
	feeds(2, "create acme --manifest "+file+" --set token=@"+secret, `setting "url"`)
	feeds(2, "create acme "+which+" --every 5s", "every: 5s is less than 1m")
	// What stands in the collector's network is out of bounds unless somebody says so.
	feeds(1, "test "+which, "127.0.0.1; allow it with allow_private")
	feeds(0, "test "+which+" --allow-private --limit 1", `"serial":"PF3ABC00"`, "is a new asset")
	feeds(0, "create acme "+which+" --allow-private")
	<-system.asked
	feeds(0, "", "Acme MDM", "reading 33%", "10 of 30")
	feeds(0, "list -o json", `"secrets"`, "allow_private")
	close(system.answer)
	until(t, "the system is read", func() error {
		if out, _, _ := call(t, c.env(), "rollcall", "feeds"); !strings.Contains(out, " ok ") {
			return fmt.Errorf("the feed fares as %s", out)
		}
		return nil
	})
	if n := len(c.assets(t)); n != 30 {
		t.Errorf("%d assets of 30 devices", n)
	}
	feeds(0, "pause acme", "paused")
	feeds(0, "run acme --full")
	<-system.asked // a paused feed is read when somebody wants it
	feeds(0, "resume acme")
	feeds(0, "update acme --every 30m")
	feeds(2, "update acme --set url=http://elsewhere.example", "settings.url changes where secrets are sent: give settings.token again")
	feeds(0, "delete acme", "0 records of it are withdrawn")
	feeds(0, "", "no system is connected")
	if n := len(c.assets(t)); n != 30 {
		t.Errorf("%d assets are left of a feed that was deleted without withdrawing", n)
	}
	feeds(0, "create acme "+which+" --allow-private --paused")
	feeds(0, "delete acme --withdraw", "30 records of it are withdrawn")
	if n := len(c.assets(t)); n != 0 {
		t.Errorf("%d assets are left of a feed that was deleted with what it said", n)
	}
	c.stop()
	if strings.Contains(c.out.String(), mdmSecret) {
		t.Error("the collector logs the secret")
	}
}
