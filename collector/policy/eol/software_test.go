package eol

import (
	"os"
	"strings"
	"testing"
	"time"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// strange are titles that are near a product and are none, or are looked after
// by their distribution.
var strange = []struct{ kind, name, version string }{
	{"deb", "python3.9", "3.9.2-1"},
	{"deb", "nodejs", "12.22.12~dfsg-1~deb11u4"},
	{"rpm", "nodejs", "1:16.20.2-1.el9_2"},
	{"deb", "postgresql-11", "11.21-0+deb10u1"},
	{"rpm", "httpd", "2.4.37-56.el8"},
	{"msi", "Python Launcher", "3.11.4"},
	{"msi", "Not Python 3.8.10 (64-bit)", "3.8"},
	{"msi", "Python 3.8 Tools for Everybody", "3.8"},
	{"msi", "Node.js", "99.1.0"},
	{"app", "My Firefox", "102.0"},
	{"deb", "firefox", "102.15.0"},
	{"appx", "Google Chrome", "100"},
	{"deb", "consul", "1.8.7+dfsg1-2"},
	{"msi", "Java", "8"},
	{"msi", "MySQL Server Workbench", "5.7"},
}

// Titles as package managers and installers list them are of the product and the
// release that were said by hand, and end when endoflife.date says that they do.
func TestSoftwareIsMatchedExactly(t *testing.T) {
	table, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("testdata/titles.tsv")
	if err != nil {
		t.Fatal(err)
	}
	products := make(map[string]bool)
	for line := range strings.SplitSeq(strings.TrimSpace(string(data)), "\n") {
		f := strings.Split(line, "\t")
		if f[0] == "kind" {
			continue
		}
		l, ok := table.Software(&pb.Software{Kind: f[0], Name: f[1], Version: f[2]})
		if !ok || l.Product.Name+" "+l.Release.Name != f[3] {
			t.Errorf("%s %q %s: %v %+v, want %s", f[0], f[1], f[2], ok, l.Release, f[3])
			continue
		}
		products[l.Product.Name] = true
		until := map[bool]string{true: "ended", false: "supported"}[l.Release.Ended]
		if !l.Release.EOL.IsZero() { // the end is the first moment after the last day
			until = l.End.AddDate(0, 0, -1).Format(time.DateOnly)
		}
		if until != f[4] {
			t.Errorf("%s %q %s is supported until %s, want %s", f[0], f[1], f[2], until, f[4])
		}
	}
	if len(products) < 100 {
		t.Errorf("there are titles of %d products, want 100", len(products))
	}
	for _, s := range strange {
		if l, ok := table.Software(&pb.Software{Kind: s.kind, Name: s.name, Version: s.version}); ok {
			t.Errorf("%s %q %s is taken for %s %s", s.kind, s.name, s.version, l.Product.Name, l.Release.Name)
		}
	}
}

// Every product that makers name is one of the data.
func TestMakersNameProducts(t *testing.T) {
	table, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range makers {
		if _, ok := table.Product(m.product); !ok {
			t.Errorf("there is no product %q", m.product)
		}
	}
}

// The end of a release is the first moment without support.
func TestWhenSoftwareEnds(t *testing.T) {
	table, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	l, ok := table.Software(&pb.Software{Kind: "msi", Name: "Python 3.8.10 (64-bit)", Version: "3.8.10150.0"})
	if !ok || l.End.Format("2006-01-02") != "2024-10-08" {
		t.Errorf("python 3.8 ends at %v", l.End)
	}
}
