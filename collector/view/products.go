package view

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"
)

// product is the titles of one kind and name.
type product struct {
	id     string
	name   *name
	titles []uint32
}

// ProductID returns the id of the software of a kind and a name. It follows
// from the two, so that it is the same on every collector.
func ProductID(kind, name string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + name))
	return hex.EncodeToString(sum[:8])
}

// Product is the software of one kind and name.
type Product struct {
	ID, Kind, Name string
	// Publisher is that of the title on the most assets.
	Publisher string
	// Installs counts the assets that have it, in any version.
	Installs int
	Versions []Version
}

// Version is a version of a product and how many assets have it. An asset may
// have several.
type Version struct {
	Version  string
	Installs int
}

// ProductQuery asks for software.
type ProductQuery struct {
	// Search is text that names contain, whatever the case of its letters; empty
	// is all.
	Search string
	// After is the Last of the page before, and Limit the most that a page may
	// hold.
	After string
	Limit int
}

// ErrNoProduct is returned for an id that no software has.
var ErrNoProduct = errors.New("there is no software of that id")

// Products returns a page of the software that any asset has, by the number of
// its installs, the most first, where that is equal by id, how many products
// there are, and where the next page begins, empty on the last.
func (p Part) Products(ctx context.Context, q ProductQuery) (page []Product, total int, last string, err error) {
	s, err := p.fresh(ctx)
	if err != nil {
		return nil, 0, "", err
	}
	after, afterID, err := parsePlace(q.After)
	if err != nil {
		return nil, 0, "", err
	}
	found := s.products(strings.ToLower(q.Search))
	if ctx.Err() != nil {
		return nil, 0, "", context.Cause(ctx)
	}
	total = len(found)
	slices.SortFunc(found, func(a, b counted) int {
		return cmp.Or(cmp.Compare(b.installs, a.installs), strings.Compare(a.id, b.id))
	})
	first := 0
	if q.After != "" {
		first, _ = slices.BinarySearchFunc(found, after, func(c counted, n int) int {
			return cmp.Or(cmp.Compare(n, c.installs), strings.Compare(c.id, afterID))
		})
		if first < total && found[first].id == afterID {
			first++
		}
	}
	end := min(first+q.Limit, total)
	for _, c := range found[first:end] {
		page = append(page, s.describe(c))
	}
	if end < total {
		last = fmt.Sprintf("%d %s", found[end-1].installs, found[end-1].id)
	}
	return page, total, last, nil
}

func parsePlace(after string) (installs int, id string, err error) {
	if after == "" {
		return 0, "", nil
	}
	number, id, _ := strings.Cut(after, " ")
	if installs, err = strconv.Atoi(number); err != nil {
		return 0, "", ErrPosition
	}
	return installs, id, nil
}

// counted is a product as one snapshot knows it.
type counted struct {
	id       string
	titles   []uint32
	installs int
}

// products returns the products that any asset has and whose names, in lower
// case, contain a text.
func (s *Snapshot) products(lower string) []counted {
	t := &s.view.titles
	t.mu.RLock()
	out := make([]counted, 0, len(t.products))
	for _, p := range t.products {
		if strings.Contains(p.name.lower, lower) {
			out = append(out, counted{id: p.id, titles: (&name{titles: p.titles}).below(len(s.titles))})
		}
	}
	t.mu.RUnlock()
	for i := range out {
		out[i].installs = s.installs(out[i].titles)
	}
	return slices.DeleteFunc(out, func(c counted) bool { return c.installs == 0 })
}

// installs counts the rows that have any of some titles.
func (s *Snapshot) installs(titles []uint32) int {
	var some []*roaring.Bitmap
	for _, title := range titles {
		if p := s.postings.get(title); p != nil && !p.rows.IsEmpty() {
			some = append(some, p.rows)
		}
	}
	var all *roaring.Bitmap
	switch len(some) {
	case 0:
		return 0
	case 1:
		all = some[0]
	default:
		all = roaring.FastOr(some...)
	}
	if s.part != nil {
		return int(all.AndCardinality(s.partRows))
	}
	return int(all.GetCardinality())
}

// describe tells what a product is and in which versions it is there, those on
// the most assets first.
func (s *Snapshot) describe(c counted) Product {
	out := Product{ID: c.id, Kind: s.titles[c.titles[0]].GetKind(), Name: s.titles[c.titles[0]].GetName(), Installs: c.installs}
	versions, most := make(map[string][]uint32), 0
	for _, title := range c.titles {
		versions[s.titles[title].GetVersion()] = append(versions[s.titles[title].GetVersion()], title)
		if n := s.installs([]uint32{title}); n > most {
			most, out.Publisher = n, s.titles[title].GetPublisher()
		}
	}
	for version, titles := range versions {
		if n := s.installs(titles); n > 0 {
			out.Versions = append(out.Versions, Version{version, n})
		}
	}
	slices.SortFunc(out.Versions, func(a, b Version) int {
		return cmp.Or(cmp.Compare(b.Installs, a.Installs), strings.Compare(a.Version, b.Version))
	})
	return out
}

// having returns the rows among some that have a product, in one version or, if
// version is empty, in any.
func (s *Snapshot) having(id, version string, among set) (set, error) {
	t := &s.view.titles
	t.mu.RLock()
	p := t.products[id]
	var titles []uint32
	if p != nil {
		titles = (&name{titles: p.titles}).below(len(s.titles))
	}
	t.mu.RUnlock()
	if len(titles) == 0 || s.part != nil && s.installs(titles) == 0 {
		return nil, ErrNoProduct
	}
	out := newSet(s.rows)
	for _, title := range titles {
		if version == "" || s.titles[title].GetVersion() == version {
			s.addPosting(out, title)
		}
	}
	return out.and(among), nil
}
