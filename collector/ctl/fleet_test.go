package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/api"
	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/feed/vendors"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// forgetful is the state of feeds that never read anything.
type forgetful struct{}

func (forgetful) Get(context.Context, string) ([]byte, error) { return nil, nil }
func (forgetful) Put(context.Context, string, []byte) error   { return nil }
func (forgetful) Forget(context.Context, string) error        { return nil }

// newFleet is a collector that has something of everything, under the names that
// the examples of the help use.
func newFleet(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, func(_ string, o *api.Options) {
		m, err := vendors.Load("jamf_pro")
		must(t, err)
		o.Feeds, err = feed.New(feed.Options{State: forgetful{}, Logger: slog.New(slog.DiscardHandler), Now: o.Now, Getenv: func(string) string { return "" },
			Wait: func(ctx context.Context, _ time.Duration) error { <-ctx.Done(); return ctx.Err() }},
			[]feed.Config{{Name: "jamf", Manifest: m, Settings: map[string]string{"url": "https://acme.jamfcloud.com", "client_id": "1", "client_secret": "x"}}})
		must(t, err)
	})
	must(t, w.catalog.DeclareSource(t.Context(), &storagepb.SourceRecord{Id: "operator", Kind: "operator"}))
	must(t, w.catalog.DeclareSource(t.Context(), &storagepb.SourceRecord{Id: "okta", Kind: "idp"}))
	for i, name := range []string{"lt-4711", "lt-4712", "ann-mbp"} {
		d := laptop(fmt.Sprintf("PF3ABCD%d", i))
		d.Labels["site"] = []string{"berlin", "oslo", "oslo"}[i]
		d.Owner = &pb.Owner{Email: "ann@example.com", Department: "Finance"}
		d.Security.DiskEncryption = &pb.DiskEncryption{State: "off"}
		d.Software = append(d.Software, &pb.Software{Kind: "deb", Name: "openssl", Version: "3.0.1" + fmt.Sprint(i)})
		w.report(name, d)
	}
	for i, name := range []string{"Ann Berg", "Bob Dahl"} {
		first, _, _ := strings.Cut(strings.ToLower(name), " ")
		_, err := w.catalog.Accept(t.Context(), &pb.Observation{Source: "okta", SourceId: first, ObservedAt: timestamppb.New(noon), Subject: &pb.Observation_Person{Person: &pb.Profile{
			Name: name, Emails: []string{first + "@example.com"}, EmployeeId: fmt.Sprint(1001 + i), Status: "active", Department: "Finance"}}})
		must(t, err)
	}
	w.judge()
	w.notify()
	w.ok("views", "create", "stale-laptops", "--filter", `asset.class == "laptop"`, "--fields", "name,owner.email", "--group-by", "os.family", "--shared")
	w.ok("subscriptions", "create", "siem", "--webhook", "https://siem.example.com/rollcall", "--paused")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(20 * time.Second); strings.Count(w.ok("findings", "--rule", "disk-encryption"), "\n") != 4; {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("the fleet is not judged")
		}
	}
	return w
}

// selfEnv has this test be the program itself, as in TestMain.
const selfEnv = "ROLLCALL_TEST_BE_THE_PROGRAM"

// program makes this test a program of the name rollcall in a folder of its own,
// and returns that folder.
func program(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "rollcall"), []byte("#!/bin/sh\n"+selfEnv+"=1 exec '"+self+"' \"$@\"\n"), 0o700))
	return dir
}

// process returns a command in which rollcall is found, and asks this world.
func (w *world) process(dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(w.t.Context(), args[0], args[1:]...)
	cmd.Env = []string{"PATH=" + dir + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + w.config, "XDG_CONFIG_HOME=" + w.config, "TERM=xterm"}
	for k, v := range w.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	return cmd
}
