package vendors_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/mapping"
	"github.com/rollcall-itam/rollcall/collector/feed/vendors"
)

func TestManifestsCompile(t *testing.T) {
	for _, name := range vendors.Names() {
		m, err := vendors.Load(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if m.Name != name {
			t.Errorf("%s.yaml describes %s", name, m.Name)
		}
		for i := range m.Streams {
			if _, err := mapping.Compile(&m.Streams[i], nil); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestManifestTests runs the tests that the manifests hold, on records and
// recorded exchanges of the vendors.
func TestManifestTests(t *testing.T) {
	for _, name := range vendors.Names() {
		m, err := vendors.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		outcomes, err := feed.RunTests(t.Context(), m, os.DirFS("."))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, o := range outcomes {
			for _, d := range o.Differences {
				t.Errorf("%s: %s: %s", name, o.Name, d)
			}
		}
	}
}

func TestScaffoldPassesItsOwnTest(t *testing.T) {
	m, err := manifest.Parse(strings.NewReader(vendors.New("acme")))
	if err != nil {
		t.Fatal(err)
	}
	outcomes, err := feed.RunTests(t.Context(), m, os.DirFS("."))
	if err != nil || len(outcomes) != 1 || len(outcomes[0].Differences) > 0 {
		t.Error(outcomes, err)
	}
}

// TestDocumentationCountsFields holds the table of docs/feeds.md to the
// manifests.
func TestDocumentationCountsFields(t *testing.T) {
	b, err := os.ReadFile("../../../docs/feeds.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| ([a-z0-9_]+)[^|]*\|[^|]*\| ([a-z]+) \| ([0-9 +]+) \|`).FindAllStringSubmatch(string(b), -1)
	found := make(map[string]bool)
	for _, row := range rows {
		m, err := vendors.Load(row[1])
		if err != nil {
			t.Error(err)
			continue
		}
		found[row[1]] = true
		var counts []string
		for _, s := range m.Streams {
			counts = append(counts, strconv.Itoa(len(s.Map)))
		}
		if got := strings.Join(counts, " + "); got != row[3] || m.Kind != row[2] {
			t.Errorf("%s has %s fields and is of kind %s, docs/feeds.md says %s and %s", row[1], got, m.Kind, row[3], row[2])
		}
	}
	for _, name := range vendors.Names() {
		if !found[name] {
			t.Errorf("docs/feeds.md has no row for %s", name)
		}
	}
}
