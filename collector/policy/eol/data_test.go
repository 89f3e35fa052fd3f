package eol

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write data/products.json anew")

// source is where the files of endoflife.date lie, beside the repository.
const source = "../../../../shared/data/eol/products"

// TestData compares the built-in data with the files that it was made from.
func TestData(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(source, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Skip("the files of endoflife.date are not here")
	}
	slices.Sort(files)
	var products []string
	newest := ""
	for _, file := range files {
		p, last := readProduct(t, file)
		line, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		products, newest = append(products, string(line)), max(newest, last)
	}
	var out bytes.Buffer
	// One product a line, so that a change of the data can be read.
	fmt.Fprintf(&out, "{\"generated_at\":\"%sT00:00:00Z\",\"result\":[\n", newest)
	for i, line := range products {
		out.WriteString(line)
		if i < len(products)-1 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
	}
	out.WriteString("]}\n")
	if *update {
		if err := os.WriteFile("data/products.json", out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(out.Bytes(), embedded) {
		t.Error("data/products.json differs from the files of endoflife.date: run go test -update")
	}
}

// readProduct reads one file, and the last day on which a version came out
// that it knows of.
func readProduct(t *testing.T, file string) (p product, newest string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var in struct {
		Title, Category, Permalink string
		Releases                   []struct {
			ReleaseCycle, ReleaseDate, Latest, LatestReleaseDate string
			EOL                                                  any
		}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	texts(&doc)
	var plain map[string]any
	if err := doc.Decode(&plain); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	encoded, err := json.Marshal(plain)
	if err == nil {
		err = json.Unmarshal(encoded, &in)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	p = product{Name: in.Permalink[1:], Label: in.Title, Category: in.Category}
	for _, r := range in.Releases {
		out := &release{Name: r.ReleaseCycle, ReleaseDate: r.ReleaseDate}
		switch v := r.EOL.(type) {
		case string:
			if out.EOLFrom = v; v == "true" || v == "false" {
				out.EOLFrom, out.IsEOL = "", v == "true"
			}
		}
		if r.Latest != "" {
			out.Latest = &struct {
				Name string `json:"name"`
				Date string `json:"date,omitempty"`
			}{r.Latest, r.LatestReleaseDate}
			newest = max(newest, r.LatestReleaseDate)
		}
		p.Releases = append(p.Releases, out)
	}
	return p, newest
}

// texts makes all scalars text, so that 1.10 stays what it is.
func texts(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		n.Tag = "!!str"
	}
	for _, c := range n.Content {
		texts(c)
	}
}

func TestBuiltin(t *testing.T) {
	table, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	if table.Len() < 400 || table.Date().Before(time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%d products of %v", table.Len(), table.Date())
	}
}
