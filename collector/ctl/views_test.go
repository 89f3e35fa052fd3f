package main

import (
	"encoding/json"
	"strings"
	"testing"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestViews(t *testing.T) {
	w := newWorld(t)
	w.report("web1", &pb.Device{Class: "server", Hardware: &pb.Hardware{Serial: "S-WEB-1"}, Os: &pb.Os{Family: "linux", Version: "12"}, Labels: map[string]string{"site": "berlin"}})
	w.report("ann", &pb.Device{Class: "laptop", Hardware: &pb.Hardware{Serial: "S-ANN-1"}, Os: &pb.Os{Family: "macos", Version: "14"}})
	if out := w.ok("views"); out != "" {
		t.Errorf("no views: %s", out)
	}
	if out := w.ok("views", "create", "servers", "--filter", `asset.class == "server"`, "--fields", "name,labels,hardware.serial", "--group-by", "os.family", "--shared"); !strings.Contains(out, "--view servers") {
		t.Errorf("made: %s", out)
	}
	if out := w.ok("views"); !strings.Contains(out, `asset.class == "server"`) || !strings.Contains(out, "yes") {
		t.Errorf("listed: %s", out)
	}
	want := "NAME  LABELS       HARDWARE.SERIAL\nweb1  site=berlin  S-WEB-1\n"
	if out := w.ok("assets", "list", "--view", "servers"); out != want {
		t.Errorf("asked:\n%s", out)
	}
	if out := w.ok("assets", "list", "--view", "servers", "--fields", "name,os.family"); out != "NAME  OS.FAMILY\nweb1  linux\n" {
		t.Errorf("with other fields:\n%s", out)
	}
	if out := w.ok("group", "--view", "servers"); !strings.Contains(out, "linux") || strings.Contains(out, "macos") {
		t.Errorf("counted:\n%s", out)
	}
	w.ok("views", "update", "servers", "--filter", "", "--no-shared")
	var v map[string]any
	if err := json.Unmarshal([]byte(w.ok("views", "show", "servers", "-o", "json")), &v); err != nil || v["filter"] != nil || v["shared"] != nil || v["group_by"] != "os.family" {
		t.Errorf("after the update: %v %v", v, err)
	}
	for _, args := range [][]string{{"views", "update", "servers"}, {"group"}} {
		if _, errs, code := w.call(args...); code != exitUsage {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
	if _, errs, code := w.call("assets", "list", "--view", "none"); code != exitNotFound || !strings.Contains(errs, "none") {
		t.Errorf("a view that is not there: %d %s", code, errs)
	}
	w.ok("views", "delete", "servers")
	if out := w.ok("views"); out != "" {
		t.Errorf("after the end: %s", out)
	}
}
