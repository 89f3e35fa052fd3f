package advisory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Import tells what is read and as what it is kept.
type Import struct {
	// Dir is the folder of the library.
	Dir string
	// Path is a file or a folder, and From what is told of where it is from; Path
	// if empty.
	Path, From string
	// Name is what it is kept as, in the place of what was kept as that; by From if
	// empty. CISA's catalog is always kept as CatalogName.
	Name string
	// Stamp is kept with it.
	Stamp string
	// Held is what is held now: what has far less of the same name does not take its
	// place. Nil for no look at it.
	Held []Info
	Now  time.Time
}

// ErrNothing says that what was read has no advisory that can be matched.
var ErrNothing = errors.New("there is nothing here that can be matched")

// ErrShrunk says that what was read has far less than what is held.
var ErrShrunk = errors.New("what was held holds on")

// fewest is how many advisories are so many that a source does not lose a quarter of
// them from one day to the next.
const fewest = 100

// shrunk refuses what a broken mirror would give.
func (im Import) shrunk(list Info, catalog *catalogRecord) error {
	var now []Info
	if list.Advisories > 0 {
		now = append(now, list)
	}
	if catalog != nil {
		now = append(now, catalog.Info)
	}
	for _, n := range now {
		for _, held := range im.Held {
			// A catalog has exploited vulnerabilities and no advisories.
			before, after := max(held.Advisories, held.Exploited), max(n.Advisories, n.Exploited)
			if held.Name == n.Name && before >= fewest && after*4 < before*3 {
				return fmt.Errorf("%s has %d advisories, and %d are held as %s: %w; if that is right, run rollcall-collector advisories import --fewer %s",
					shown(im.From), after, before, held.Name, ErrShrunk, shown(im.From))
			}
		}
	}
	return nil
}

// shown is where advisories are from, without the password of an address.
func shown(from string) string {
	if u, err := url.Parse(from); err == nil && Remote(from) {
		return u.Redacted()
	}
	return from
}

// Run reads advisories and puts them in the place of those of the same name. If
// that fails, these are left as they were.
func (im Import) Run(ctx context.Context) (out []Info, err error) {
	if im.From == "" {
		im.From = im.Path
	}
	if im.Name == "" {
		im.Name = NameFor(im.From)
	}
	if !nameForm.MatchString(im.Name) || im.Name == CatalogName {
		return nil, fmt.Errorf("keep advisories as %q: %w", im.Name, ErrName)
	}
	if err := os.MkdirAll(im.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the advisories: %w", err)
	}
	b, err := newBuilder(im.Dir)
	if err != nil {
		return nil, err
	}
	defer b.discard()
	b.info = Info{Name: im.Name, From: im.From, Stamp: im.Stamp, ImportedAt: im.Now.UTC().Truncate(time.Second)}
	var catalog *catalogRecord
	r := &reader{ctx: ctx, record: b.add, skip: b.skips.add, records: maxRecords, text: maxText}
	r.catalog = func(data []byte) error {
		left := make(skips)
		c, err := parseCatalog(data, left.add)
		if err != nil {
			return err
		}
		catalog = &catalogRecord{Catalog: c, Info: Info{Name: CatalogName, From: im.From, Stamp: im.Stamp, ImportedAt: b.info.ImportedAt, Newest: c.Released,
			Records: len(c.Entries), Exploited: len(c.Entries), Skipped: left.list()}}
		return nil
	}
	if err := r.path(im.Path); err != nil {
		return nil, err
	}
	if b.info.Advisories == 0 && catalog == nil {
		return nil, fmt.Errorf("%s: %w%s: name a file or a folder of OSV records of a distribution, or CISA's catalog", im.From, ErrNothing, b.skips.why())
	}
	if err := im.shrunk(b.info, catalog); err != nil {
		return nil, err
	}
	if b.info.Advisories > 0 {
		info, err := b.finish(im.Name + shelfSuffix)
		if err != nil {
			return nil, err
		}
		out = append(out, info)
	}
	if catalog != nil {
		if err := writeCatalog(im.Dir, catalog); err != nil {
			return nil, err
		}
		out = append(out, catalog.Info)
	}
	return out, nil
}

// why tells what was left out, in a clause.
func (s skips) why() string {
	var parts []string
	for _, left := range s.list() {
		parts = append(parts, fmt.Sprintf("%d %s, such as %s", left.Count, left.Reason, left.Examples[0]))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (left out: " + strings.Join(parts, "; ") + ")"
}

func writeCatalog(dir string, r *catalogRecord) (err error) {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write the catalog: %w", err)
	}
	f, err := os.CreateTemp(dir, ".import-*")
	if err != nil {
		return fmt.Errorf("write the catalog: %w", err)
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write the catalog: %w", err)
	}
	return replaceFile(f.Name(), filepath.Join(dir, catalogFile))
}

// NameFor returns what advisories from a path or an address are kept as: the name
// of the file or, where that is all.zip as OSV has it for each ecosystem, of the
// folder above.
func NameFor(from string) string {
	from, _, _ = strings.Cut(filepath.ToSlash(from), "?")
	parts := strings.Split(strings.Trim(from, "/"), "/")
	name := parts[len(parts)-1]
	if strings.EqualFold(name, "all.zip") && len(parts) > 1 {
		name = parts[len(parts)-2]
	}
	name = strings.TrimSuffix(name, path.Ext(name))
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, strings.ReplaceAll(name, "%20", " "))
	name = strings.TrimLeft(name, "._-")
	if name == "" || name == CatalogName {
		name = "advisories"
	}
	return name[:min(len(name), 64)]
}
