package vendors_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/collector/feed/feedtest"
	"github.com/rollcall-itam/rollcall/collector/feed/vendors"
)

var update = flag.Bool("update", false, "write docs/feeds-coverage.md anew")

const (
	feedsPage    = "../../../docs/feeds.md"
	coveragePage = "../../../docs/feeds-coverage.md"
)

const coverageHead = `# What of each system is covered

Written by ` + "`go test ./collector/feed/vendors -run TestCoverage -update`" + ` from the manifests and the suite; the same
test, without -update, fails where this page is not current. A count of cases stands here only if the suite runs them for
that stream, and the tests do not pass unless every one does.

* **fields**: fields of a device or person that the stream maps.
* **checked**: what the shapes were checked against: **R** recorded answers of the vendor, **D** its documentation or
  published examples, **M** nothing but memory. The specification is linked.
* **suite**: cases of collector/feed/feedtest that the stream passes against a fake system that refuses any request which
  is not as the specification says (those without tokens cannot have one that ends). **own**: the reader has tests of its own.
* **examples**: records and recorded exchanges in the manifest, with what becomes of them.

`

// TestCoverage holds docs/feeds-coverage.md to the manifests and the suite.
func TestCoverage(t *testing.T) {
	want := coverageHead + coverage(t)
	if *update {
		if err := os.WriteFile(coveragePage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(coveragePage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/feeds-coverage.md is not current; run go test ./collector/feed/vendors -run TestCoverage -update:\n%s", diff)
	}
}

// coverage makes the table.
func coverage(t *testing.T) string {
	t.Helper()
	cases := make(map[string]int)
	for _, v := range slices.Concat(everyVendor(t), people(t)) {
		cases[v.Manifest+"/"+v.Stream] = feedtest.Cases(v)
	}
	page, err := os.ReadFile(feedsPage)
	if err != nil {
		t.Fatal(err)
	}
	checked := make(map[string]string)
	for _, row := range regexp.MustCompile(`(?m)^\| ([a-z0-9_]+)[^|]*\|[^|]*\|[^|]*\|[^|]*\|[^|]*\| ([^|]+) \|$`).FindAllStringSubmatch(string(page), -1) {
		checked[row[1]] = row[2]
	}
	var b strings.Builder
	b.WriteString("| system | stream | fields | checked | suite | examples |\n|---|---|---|---|---|---|\n")
	streams, mapped, passed := 0, 0, 0
	for _, name := range vendors.Names() {
		m, err := vendors.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		title := fmt.Sprintf("%s (%s)", m.Title, name)
		if m.Docs != "" {
			title = fmt.Sprintf("[%s](%s) (%s)", m.Title, m.Docs, name)
		}
		for _, s := range m.Streams {
			suite, ran := "own", cases[name+"/"+s.Name]
			if ran > 0 {
				suite = fmt.Sprint(ran)
				delete(cases, name+"/"+s.Name)
			}
			fmt.Fprintf(&b, "| %s | %s | %d | %s | %s | %d |\n", title, s.Name, len(s.Map), checked[name], suite, len(m.Tests))
			streams, mapped, passed = streams+1, mapped+len(s.Map), passed+ran
		}
	}
	for left := range cases {
		t.Errorf("the suite is run for %s, which no manifest has", left)
	}
	fmt.Fprintf(&b, "\n%d systems, %d streams, %d mapped fields, %d cases of the suite.\n", len(vendors.Names()), streams, mapped, passed)
	return b.String()
}

// everyVendor are all streams of devices that the suite is run for.
func everyVendor(t *testing.T) []feedtest.Vendor {
	return slices.Concat(deviceManagers(t), sensors(), clouds(t), others(t), desks())
}
