// Package eol knows when products reach the end of their support, and which
// product and release an operating system or an installed title is of.
//
// The data is that of endoflife.date (MIT licence), in the form in which that
// project and its mirrors serve it: the answer of /api/v1/products/full. A
// newer one can take the place of what is built in.
package eol

import (
	"bytes"
	_ "embed" // the data
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Source is where the data comes from.
const Source = "endoflife.date (https://github.com/endoflife-date/endoflife.date, MIT licence)"

// Bounds of the data, several times what there is.
const (
	// MaxData is the largest data, in bytes.
	MaxData     = 64 << 20
	maxProducts = 5_000
	maxReleases = 2_000
	maxName     = 200
)

//go:embed data/products.json
var embedded []byte

// Table is the support data of products. It is safe for use by several
// goroutines.
type Table struct {
	date     time.Time
	products map[string]*Product
}

// Product is one product with its releases, the newest first.
type Product struct {
	Name, Label, Category string
	Releases              []*Release
	byName                map[string]*Release
}

// Release is one release cycle.
type Release struct {
	// Name is the cycle: "24.04", "11-24h2-e".
	Name string
	// Released is the day on which it came out; zero if that is not known.
	Released time.Time
	// EOL is the last day of support; zero if none is known.
	EOL time.Time
	// Ended tells of a release without a known last day that support has ended.
	Ended bool
	// Latest is its newest version, and LatestAt the day on which that came out.
	Latest   string
	LatestAt time.Time
}

// Builtin returns the data that Rollcall brings along.
func Builtin() (*Table, error) { return Parse(embedded) }

// file is the answer of /api/v1/products/full, as far as we need it.
type file struct {
	GeneratedAt time.Time  `json:"generated_at"`
	Result      []*product `json:"result"`
}

type product struct {
	Name     string     `json:"name"`
	Label    string     `json:"label"`
	Category string     `json:"category"`
	Releases []*release `json:"releases"`
}

type release struct {
	Name        string `json:"name"`
	ReleaseDate string `json:"releaseDate,omitempty"`
	IsEOL       bool   `json:"isEol,omitempty"`
	EOLFrom     string `json:"eolFrom,omitempty"`
	Latest      *struct {
		Name string `json:"name"`
		Date string `json:"date,omitempty"`
	} `json:"latest,omitempty"`
}

// Parse reads data. An error names the product and the release that is wrong;
// whoever refreshes data keeps the old then.
func Parse(data []byte) (*Table, error) {
	if len(data) > MaxData {
		return nil, fmt.Errorf("end-of-life data: %d bytes, %d are the most", len(data), MaxData)
	}
	var f file
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&f); err != nil {
		return nil, fmt.Errorf("end-of-life data: this is not the JSON of /api/v1/products/full: %w", err)
	}
	if f.GeneratedAt.IsZero() {
		return nil, errors.New("end-of-life data: generated_at is missing: fetch /api/v1/products/full")
	}
	if len(f.Result) == 0 || len(f.Result) > maxProducts {
		return nil, fmt.Errorf("end-of-life data: %d products, between 1 and %d are expected", len(f.Result), maxProducts)
	}
	t := &Table{date: f.GeneratedAt.UTC().Truncate(24 * time.Hour), products: map[string]*Product{}}
	for _, in := range f.Result {
		p, err := in.product()
		if err != nil {
			return nil, fmt.Errorf("end-of-life data: %w", err)
		}
		if t.products[p.Name] != nil {
			return nil, fmt.Errorf("end-of-life data: product %q occurs twice", p.Name)
		}
		t.products[p.Name] = p
	}
	return t, nil
}

// Date is the day as of which the data is.
func (t *Table) Date() time.Time { return t.date }

// Len is the number of products.
func (t *Table) Len() int { return len(t.products) }

// Cycles is the number of releases of all products.
func (t *Table) Cycles() (n int) {
	for _, p := range t.products {
		n += len(p.Releases)
	}
	return n
}

// Product returns the product of a name, as in the address of its page.
func (t *Table) Product(name string) (*Product, bool) {
	p, ok := t.products[name]
	return p, ok
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]*$`)

func (in *product) product() (*Product, error) {
	if in == nil || !nameForm.MatchString(in.Name) || len(in.Name) > maxName {
		return nil, errors.New("there is a product without a name in lower-case letters")
	}
	if len(in.Releases) > maxReleases {
		return nil, fmt.Errorf("product %q has %d releases, %d are the most", in.Name, len(in.Releases), maxReleases)
	}
	p := &Product{Name: in.Name, Label: in.Label, Category: in.Category, byName: map[string]*Release{}}
	for _, r := range in.Releases {
		out, err := r.release()
		if err != nil {
			return nil, fmt.Errorf("product %q: %w", in.Name, err)
		}
		if p.byName[strings.ToLower(out.Name)] != nil {
			return nil, fmt.Errorf("product %q: release %q occurs twice", in.Name, out.Name)
		}
		p.Releases = append(p.Releases, out)
		p.byName[strings.ToLower(out.Name)] = out
	}
	return p, nil
}

func (r *release) release() (*Release, error) {
	if r == nil || r.Name == "" || len(r.Name) > maxName {
		return nil, errors.New("there is a release without a name")
	}
	out := &Release{Name: r.Name, Ended: r.IsEOL && r.EOLFrom == ""}
	read := func(into *time.Time, what, text string) error {
		if text == "" {
			return nil
		}
		day, err := time.Parse(time.DateOnly, text)
		if err != nil || day.Year() < 1970 || day.Year() > 2200 {
			return fmt.Errorf("release %q: %s %q is not a day", r.Name, what, text)
		}
		*into = day
		return nil
	}
	err := errors.Join(read(&out.Released, "releaseDate", r.ReleaseDate), read(&out.EOL, "eolFrom", r.EOLFrom))
	if r.Latest != nil {
		out.Latest = r.Latest.Name
		err = errors.Join(err, read(&out.LatestAt, "the date of latest", r.Latest.Date))
	}
	if !out.Released.IsZero() && !out.EOL.IsZero() && out.EOL.Before(out.Released) {
		err = errors.Join(err, fmt.Errorf("release %q: it ends on %s, before it came out", r.Name, r.EOLFrom))
	}
	return out, err
}

// Cycle returns the release that a version belongs to: that whose name is the
// longest beginning of the version, cut at a dot or what else separates.
func (p *Product) Cycle(version string) (*Release, bool) {
	v := strings.ToLower(strings.TrimSpace(version))
	for v != "" {
		if r := p.byName[v]; r != nil {
			return r, true
		}
		i := strings.LastIndexAny(v, ".-_+~ :()")
		if i < 0 {
			break
		}
		v = v[:i]
	}
	return nil, false
}
