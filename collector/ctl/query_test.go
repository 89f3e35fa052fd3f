package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// three reports machines: two of linux, one of windows with another version of
// bash.
func three(w *world) {
	for i, family := range []string{"linux", "linux", "windows"} {
		d := laptop(fmt.Sprintf("PF3ABCD%d", i))
		d.Os = &pb.Os{Family: family}
		if family == "windows" {
			d.Software = []*pb.Software{{Kind: "deb", Name: "bash", Version: "4.0"}}
		}
		w.report(fmt.Sprintf("host-%d", i), d)
	}
}

func names(t *testing.T, out string) (all []string) {
	t.Helper()
	for line := range strings.Lines(out) {
		name, _, _ := strings.Cut(line, " ")
		all = append(all, name)
	}
	return all[1:]
}

func TestAssetsListFinds(t *testing.T) {
	w := newWorld(t)
	three(w)
	for _, tc := range []struct {
		args []string
		want []string
	}{
		{[]string{"--filter", `asset.os.family == "linux"`, "--order-by", "name desc"}, []string{"host-1", "host-0"}},
		{[]string{"--filter", `has_software("bash", "< 5")`}, []string{"host-2"}},
		{[]string{"--search", "pf3abcd1"}, []string{"host-1"}},
		{[]string{"--search", "vim", "--order-by", "hardware.serial"}, []string{"host-0", "host-1"}},
	} {
		if diff := cmp.Diff(tc.want, names(t, w.ok(append([]string{"assets", "list"}, tc.args...)...))); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tc.args, diff)
		}
	}
	if _, errs, code := w.call("assets", "list", "--search", "nowhere"); code != 0 || !strings.Contains(errs, "no asset is like that") {
		t.Errorf("nothing found: exit %d: %s", code, errs)
	}
	_, errs, code := w.call("assets", "list", "--filter", `asset.os.famly == "linux"`)
	if code != exitUsage || !strings.Contains(errs, "column 9") || !strings.Contains(errs, "did you mean family?") {
		t.Errorf("a misspelt field: exit %d: %s", code, errs)
	}
}

func TestGroup(t *testing.T) {
	w := newWorld(t)
	three(w)
	if diff := cmp.Diff("OS.FAMILY  ASSETS\nlinux      2\nwindows    1\n", w.ok("group", "os.family")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var got struct {
		Groups    []struct{ Value *string }
		TotalSize int `json:"total_size"`
	}
	if err := json.Unmarshal([]byte(w.ok("group", "os.build", "--filter", `asset.os.family == "linux"`, "-o", "json")), &got); err != nil || got.TotalSize != 2 || got.Groups[0].Value != nil {
		t.Errorf("not stated: %+v, %v", got, err)
	}
	if out, errs, _ := w.call("group", "hardware.serial", "--limit", "2"); len(names(t, out)) != 2 || !strings.Contains(errs, "1 more assets are in 1 more groups") {
		t.Errorf("cut off: %s%s", out, errs)
	}
}

func TestSoftwareTop(t *testing.T) {
	w := newWorld(t)
	three(w)
	out := w.ok("software", "top")
	if diff := cmp.Diff([]string{"bash", "vim"}, names(t, out)); diff != "" || !strings.Contains(out, " 5.2 ") {
		t.Errorf("(-want +got):\n%s%s", diff, out)
	}
	if got := names(t, w.ok("software", "top", "--limit", "1", "--search", "VI")); len(got) != 1 || got[0] != "vim" {
		t.Errorf("vim: %v", got)
	}
	if got := names(t, w.ok("software", "host-2")); len(got) != 1 || got[0] != "bash" {
		t.Errorf("software of one asset: %v", got)
	}
}
