package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/view"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

const newer = `{"generated_at":"2099-01-01T00:00:00Z","result":[{"name":"debian","label":"Debian","category":"os","releases":[{"name":"12","releaseDate":"2023-06-10","eolFrom":"2030-06-10"}]}]}`

// Newer end-of-life data takes the place of what came along; data that cannot
// be used does not.
func TestEndOfLifeDataOfAFile(t *testing.T) {
	for name, tc := range map[string]struct {
		content  string
		products int
		broken   bool
		log      string
	}{
		"newer":        {newer, 1, false, ""},
		"older":        {strings.Replace(newer, "2099", "2020", 1), 0, false, "older than what came along"},
		"not json":     {"<html>", 0, true, "cannot be used"},
		"a bad day":    {strings.Replace(newer, "2030-06-10", "2030-13-10", 1), 0, true, `is not a day`},
		"end at first": {strings.Replace(newer, "2030-06-10", "2003-06-10", 1), 0, true, "before it came out"},
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
		if _, broken := held.state(); broken != tc.broken || tc.products > 0 && table.Len() != tc.products || tc.products == 0 && table.Len() < 400 || !strings.Contains(log.String(), tc.log) {
			t.Errorf("%s: %d products, broken %v, log %s", name, table.Len(), broken, log.String())
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
	for _, step := range []struct {
		content, eol    string
		changed, broken bool
	}{
		{newer, "2030-06-10", true, false},
		{"<html>", "2030-06-10", false, true},
		{strings.Replace(newer, "2030", "2031", 1), "2031-06-10", true, false},
		{newer[:60], "2031-06-10", false, true},
		{strings.Replace(newer, "2099", "2020", 1), "2026-07-11", true, false},
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
			t.Errorf("%.40s: it changed %v, broken %v, the asset is supported until %s, %v; want %+v", step.content, changed, broken, a.GetOs().GetEol(), err, step)
		}
		if c.support.look() {
			t.Errorf("%.40s: the same file is taken for another", step.content)
		}
	}
}
