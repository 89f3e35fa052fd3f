package advisory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	shelfSuffix  = ".advisories"
	catalogFile  = "known-exploited.json"
	maxShelves   = 200
	maxCatalog   = 64 << 20
	abandonAfter = 24 * time.Hour
)

// Library is a folder of advisories. It is safe for use by several goroutines, and
// of several processes one may import while others read.
type Library struct {
	dir string
	log *slog.Logger
	now func() time.Time

	mu sync.Mutex
	// files are those that were read, by name, with the state that they had.
	files map[string]fileState
	held  map[string]*shelf
	// catalog and about are what CISA's catalog says, and where it is from.
	catalog *catalogRecord
	broken  map[string]Problem
	set     *Set
}

// fileState tells one state of a file from another.
type fileState struct {
	size int64
	at   time.Time
}

// catalogRecord is the file that the catalog is kept in.
type catalogRecord struct {
	Info    Info     `json:"info"`
	Catalog *Catalog `json:"catalog"`
}

// Problem is a file or an address that could not be read. What was held before
// holds on.
type Problem struct {
	Name  string
	Since time.Time
	Text  string
}

// Open opens a folder, which need not be there yet. Files that are damaged are
// left out, told in the log and by Problems.
func Open(dir string, log *slog.Logger, now func() time.Time) (*Library, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the advisories: %w", err)
	}
	l := &Library{dir: dir, log: log, now: now, files: make(map[string]fileState), held: make(map[string]*shelf), broken: make(map[string]Problem), set: newSet(nil, nil)}
	l.sweep()
	_, err := l.Reload()
	return l, err
}

// sweep removes what imports left behind that did not come to their end.
func (l *Library) sweep() {
	for _, pattern := range []string{".import-*", ".sort-*", ".fetch-*"} {
		names, _ := filepath.Glob(filepath.Join(l.dir, pattern)) // the pattern is right
		for _, name := range names {
			if info, err := os.Stat(name); err == nil && l.now().Sub(info.ModTime()) > abandonAfter {
				_ = os.Remove(name) // it is tried again at the next start
			}
		}
	}
}

// Set returns all advisories that are held now.
func (l *Library) Set() *Set {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.set
}

// Reload reads the files that changed, and tells whether what is held became
// another. A file that is damaged does not take the place of what it held.
func (l *Library) Reload() (changed bool, err error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return false, fmt.Errorf("read the folder of the advisories: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	here := make(map[string]bool)
	for _, e := range entries {
		name := e.Name()
		if !e.Type().IsRegular() || name != catalogFile && !strings.HasSuffix(name, shelfSuffix) || strings.HasPrefix(name, ".") {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // it went in this moment
		}
		here[name] = true
		state := fileState{info.Size(), info.ModTime()}
		if before, known := l.files[name]; known && before.size == state.size && before.at.Equal(state.at) {
			continue
		}
		if len(here) > maxShelves {
			return changed, fmt.Errorf("the folder of the advisories has more than %d files: remove some with rollcall-collector advisories remove", maxShelves)
		}
		l.files[name] = state
		if err := l.read(name); err != nil {
			l.log.Warn("advisories cannot be read, what was held before holds on", "file", filepath.Join(l.dir, name), "error", err)
			l.broken[name] = Problem{Name: nameOf(name), Since: l.now(), Text: err.Error()}
			continue
		}
		delete(l.broken, name)
		changed = true
	}
	for name := range l.files {
		if !here[name] {
			delete(l.files, name)
			delete(l.held, name)
			delete(l.broken, name)
			if name == catalogFile {
				l.catalog = nil
			}
			changed = true
		}
	}
	if changed {
		l.set = l.join()
	}
	return changed, nil
}

func nameOf(file string) string {
	if file == catalogFile {
		return CatalogName
	}
	return strings.TrimSuffix(file, shelfSuffix)
}

// CatalogName is the name of CISA's catalog among what is imported.
const CatalogName = "known-exploited"

// read reads one file. The caller holds l.mu.
func (l *Library) read(name string) error {
	path := filepath.Join(l.dir, name)
	if name != catalogFile {
		s, err := openShelf(path)
		if err != nil {
			return err
		}
		l.held[name] = s
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCatalog))
	if err != nil {
		return err
	}
	r := new(catalogRecord)
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(r); err != nil {
		return err
	}
	if r.Catalog == nil || len(r.Catalog.Entries) == 0 || slices.ContainsFunc(mapValues(r.Catalog.Entries), func(e *Exploited) bool { return e == nil }) {
		return errDamaged
	}
	l.catalog = r
	return nil
}

func mapValues(m map[string]*Exploited) []*Exploited {
	out := make([]*Exploited, 0, len(m))
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

// join makes a set of what is held. The caller holds l.mu.
func (l *Library) join() *Set {
	var shelves []*shelf
	for _, s := range l.held {
		shelves = append(shelves, s)
	}
	slices.SortFunc(shelves, func(a, b *shelf) int { return strings.Compare(a.Name, b.Name) })
	if l.catalog == nil {
		return newSet(shelves, nil)
	}
	return newSet(shelves, l.catalog.Catalog)
}

// Infos tells what is held, by name.
func (l *Library) Infos() []Info {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Info
	for _, s := range l.held {
		out = append(out, s.Info)
	}
	if l.catalog != nil {
		out = append(out, l.catalog.Info)
	}
	slices.SortFunc(out, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Problems tells what could not be read, by name.
func (l *Library) Problems() []Problem {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Problem
	for _, p := range l.broken {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Problem) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// failed notes that a source could not be read, or that it could.
func (l *Library) failed(name string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.broken["source "+name]
	if err == nil {
		delete(l.broken, "source "+name)
		return
	}
	p := Problem{Name: name, Since: l.now(), Text: err.Error()}
	if before.Name != "" {
		p.Since = before.Since
	}
	l.broken["source "+name] = p
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// ErrName says that advisories cannot be kept under a name.
var ErrName = errors.New("a name has lower-case letters, digits, and . _ - between them, 64 at most")

// Remove removes what was imported under a name. It wraps fs.ErrNotExist where
// that is nothing.
func Remove(dir, name string) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("remove advisories %q: %w", name, ErrName)
	}
	file := name + shelfSuffix
	if name == CatalogName {
		file = catalogFile
	}
	if err := os.Remove(filepath.Join(dir, file)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("nothing was imported as %q: %w", name, fs.ErrNotExist)
		}
		return fmt.Errorf("remove advisories: %w", err)
	}
	return nil
}
