package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/policy/eol"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/view"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// supportData is the data that came along as of a day, with less of it where cut
// says so, and Debian 12 supported until 2030-06-10.
func supportData(t *testing.T, day time.Time, cut func(products []map[string]any) []map[string]any) string {
	t.Helper()
	data, err := os.ReadFile("policy/eol/data/products.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		GeneratedAt time.Time        `json:"generated_at"`
		Result      []map[string]any `json:"result"`
	}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	if all.GeneratedAt = day; cut != nil {
		all.Result = cut(all.Result)
	}
	for _, p := range all.Result {
		for _, r := range p["releases"].([]any) {
			if r := r.(map[string]any); p["name"] == "debian" && r["name"] == "12" {
				r["eolFrom"] = "2030-06-10"
			}
		}
	}
	if data, err = json.Marshal(all); err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// today is a day on which data may be: now, or that of what came along where the
// clock is behind it.
func today(t *testing.T) time.Time {
	t.Helper()
	builtin, err := eol.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return latest(time.Now().UTC().Truncate(24*time.Hour), builtin.Date())
}

// Newer end-of-life data takes the place of what came along; data that cannot
// be used does not.
func TestEndOfLifeDataOfAFile(t *testing.T) {
	newer := supportData(t, today(t), nil)
	half := func(all []map[string]any) []map[string]any { return all[:len(all)/2] }
	halfOfEach := func(all []map[string]any) []map[string]any {
		for _, p := range all {
			releases := p["releases"].([]any)
			p["releases"] = releases[:(len(releases)+1)/2]
		}
		return all
	}
	for name, tc := range map[string]struct {
		content string
		newer   bool
		broken  bool
		log     string
	}{
		"newer":              {newer, true, false, ""},
		"older":              {supportData(t, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), nil), false, false, "older than what came along"},
		"not json":           {"<html>", false, true, "cannot be used"},
		"a bad day":          {strings.Replace(newer, "2030-06-10", "2030-13-10", 1), false, true, `is not a day`},
		"end at first":       {strings.Replace(newer, "2030-06-10", "2003-06-10", 1), false, true, "before it came out"},
		"half the products":  {supportData(t, today(t), half), false, true, "fetch the whole"},
		"half of each":       {supportData(t, today(t), halfOfEach), false, true, "fetch the whole"},
		"of a day to come":   {supportData(t, today(t).AddDate(0, 0, 3), nil), false, true, "still to come"},
		"half of the answer": {newer[:len(newer)/2], false, true, "cannot be used"},
	} {
		file := filepath.Join(t.TempDir(), "eol.json")
		if err := os.WriteFile(file, []byte(tc.content), 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		held, err := readSupport(file, newLogger(&log, settings{}))
		if err != nil {
			t.Fatal(err)
		}
		table := held.table.Load()
		if _, broken := held.state(); broken != tc.broken || (table != held.builtin) != tc.newer || !strings.Contains(log.String(), tc.log) {
			t.Errorf("%s: the data is of %v, broken %v, log %s", name, table.Date(), broken, log.String())
		}
	}
}

// While the collector runs, a file that is replaced by a good one brings the fleet
// up to date, and one that is replaced by a bad one changes nothing but the metric.
func TestEndOfLifeDataIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "eol.json")
	modified := time.Now()
	put := func(content string) {
		t.Helper()
		modified = modified.Add(time.Second) // as a clock of coarse steps would not
		if err := errors.Join(os.WriteFile(file, []byte(content), 0o600), os.Chtimes(file, modified, modified)); err != nil {
			t.Fatal(err)
		}
	}
	s := testSettings(t.TempDir())
	s.Store, s.EOLFile = "memory", file
	var log bytes.Buffer
	c, err := openCore(t.Context(), s, newLogger(&log, s), view.New(), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer c.db.Close()
	if _, broken := c.support.state(); !broken || !strings.Contains(log.String(), "cannot be used") {
		t.Errorf("a file that is not there is not told: %s", &log)
	}
	if err := c.catalog.DeclareSource(t.Context(), &storagepb.SourceRecord{Id: "cmdb", Kind: "mdm"}); err != nil {
		t.Fatal(err)
	}
	id, err := c.catalog.Accept(t.Context(), &pb.Observation{Source: "cmdb", SourceId: "1", ObservedAt: timestamppb.Now(), Subject: &pb.Observation_Device{Device: &pb.Device{Name: "web-1",
		Os: &pb.Os{Family: "linux", Id: "debian", Name: "Debian GNU/Linux", Version: "12.9"}}}})
	if err != nil {
		t.Fatal(err)
	}
	newer := supportData(t, today(t), nil)
	for i, step := range []struct {
		content, eol    string
		changed, broken bool
	}{
		{newer, "2030-06-10", true, false},
		{"<html>", "2030-06-10", false, true},
		{strings.ReplaceAll(newer, "2030-06-10", "2031-06-10"), "2031-06-10", true, false},
		{newer[:60], "2031-06-10", false, true},
		{supportData(t, today(t), func(all []map[string]any) []map[string]any { return all[len(all)/2:] }), "2031-06-10", false, true},
		{supportData(t, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), nil), "2026-07-11", true, false},
	} {
		put(step.content)
		changed := c.support.look()
		if changed {
			if err := c.outlive(t.Context(), c.support.table.Load()); err != nil {
				t.Fatal(err)
			}
		}
		var a *pb.Asset
		err := c.store.View(t.Context(), func(tx *store.Tx) (err error) {
			a, err = tx.Asset(id)
			return err
		})
		if _, broken := c.support.state(); err != nil || changed != step.changed || broken != step.broken || a.GetOs().GetEol() != step.eol {
			t.Errorf("step %d: it changed %v, broken %v, the asset is supported until %s, %v", i, changed, broken, a.GetOs().GetEol(), err)
		}
		if c.support.look() {
			t.Errorf("step %d: the same file is taken for another", i)
		}
	}
}
