package advisory

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"
)

// A shelf is a file of advisories, made by one import and read as a whole only
// when it is opened:
//
//	magic
//	advisories, each as its length and JSON
//	entries by scope and package, in the order of these
//	the index: each key with the length of its entries
//	Info as JSON
//	the lengths of these four parts, 8 bytes each, and a CRC-32C of all before
const (
	magic       = "rollcall advisories 1\n"
	tailBytes   = 4*8 + 4
	maxInfo     = 1 << 20
	maxIndex    = 256 << 20
	maxEntries  = 20_000_000
	maxOfOne    = 50_000
	maxGroup    = 64 << 20
	maxExamples = 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Info tells what a shelf holds and where it is from.
type Info struct {
	Name string `json:"name"`
	// From is what was imported: a path or an address.
	From       string    `json:"from"`
	ImportedAt time.Time `json:"imported_at"`
	// Stamp tells this state of a source from another.
	Stamp string `json:"stamp,omitempty"`
	// Newest is when the newest of the advisories was last changed.
	Newest time.Time `json:"newest,omitzero"`
	// Records were read; Advisories are those that are kept, which are about
	// Entries packages, one release of a distribution each.
	Records    int `json:"records"`
	Advisories int `json:"advisories"`
	Entries    int `json:"entries"`
	// Scopes are the releases of distributions that are covered.
	Scopes []string `json:"scopes,omitempty"`
	// Skipped tells what was left out, and why.
	Skipped []Skipped `json:"skipped,omitempty"`
	// Exploited counts the entries of CISA's catalog, where it is that.
	Exploited int `json:"exploited,omitempty"`
}

// Skipped is what was left out for one reason.
type Skipped struct {
	Reason string `json:"reason"`
	Count  int    `json:"count"`
	// Examples name the first of them.
	Examples []string `json:"examples,omitempty"`
}

// skips counts what is left out.
type skips map[string]*Skipped

func (s skips) add(reason, name string) {
	if s[reason] == nil {
		s[reason] = &Skipped{Reason: reason}
	}
	s[reason].Count++
	if len(s[reason].Examples) < maxExamples {
		s[reason].Examples = append(s[reason].Examples, summary(name, ""))
	}
}

func (s skips) list() []Skipped {
	var out []Skipped
	for _, reason := range slices.Sorted(maps.Keys(s)) {
		out = append(out, *s[reason])
	}
	return out
}

// builder writes a shelf.
type builder struct {
	dir    string
	file   *os.File
	sum    *checksum
	w      *bufio.Writer
	sorted *sorter
	info   Info
	scopes map[string]bool
	skips  skips
}

// checksum counts and sums what is written.
type checksum struct {
	to  io.Writer
	n   int64
	sum uint32
}

// Write implements io.Writer.
func (c *checksum) Write(b []byte) (int, error) {
	n, err := c.to.Write(b)
	c.n += int64(n)
	c.sum = crc32.Update(c.sum, castagnoli, b[:n])
	return n, err
}

func newBuilder(dir string) (*builder, error) {
	f, err := os.CreateTemp(dir, ".import-*")
	if err != nil {
		return nil, fmt.Errorf("write advisories: %w", err)
	}
	b := &builder{dir: dir, file: f, sum: &checksum{to: f}, sorted: newSorter(dir, runBytes), scopes: make(map[string]bool), skips: make(skips)}
	b.w = bufio.NewWriterSize(b.sum, 1<<18)
	_, _ = b.w.WriteString(magic) // an error stays in the writer
	return b, nil
}

// offset is where the next byte goes.
func (b *builder) offset() int64 { return b.sum.n + int64(b.w.Buffered()) }

// add takes in a record.
func (b *builder) add(data []byte, name string) error {
	b.info.Records++
	p, err := parseRecord(data)
	if err != nil {
		b.skips.add(skipBroken, name+": "+err.Error())
		return nil
	}
	for _, why := range p.skipped {
		b.skips.add(why, p.advisory.ID)
	}
	if len(p.affected) == 0 {
		return nil
	}
	if b.info.Entries += len(p.affected); b.info.Entries > maxEntries {
		return fmt.Errorf("there are more than %d affected packages: import fewer ecosystems", maxEntries)
	}
	at := b.offset()
	text, err := json.Marshal(&p.advisory)
	if err != nil {
		return fmt.Errorf("write advisory %s: %w", p.advisory.ID, err)
	}
	writeBytes(b.w, text)
	b.info.Advisories++
	if p.advisory.Modified.After(b.info.Newest) {
		b.info.Newest = p.advisory.Modified
	}
	for i := range p.affected {
		a := &p.affected[i]
		b.scopes[a.scope] = true
		if err := b.sorted.add([]byte(key(a.scope, a.name)), encodeEntry(at, a)); err != nil {
			return err
		}
	}
	return nil
}

// finish completes the file and puts it in its place.
func (b *builder) finish(name string) (Info, error) {
	entriesAt := b.offset()
	var index []byte
	if err := b.writeEntries(&index); err != nil {
		return b.info, err
	}
	indexAt := b.offset()
	if len(index) > maxIndex {
		return b.info, fmt.Errorf("there are more packages than can be kept: import fewer ecosystems")
	}
	_, _ = b.w.Write(index)
	infoAt := b.offset()
	b.info.Scopes, b.info.Skipped = slices.Sorted(maps.Keys(b.scopes)), b.skips.list()
	text, err := json.Marshal(b.info)
	if err != nil {
		return b.info, fmt.Errorf("write advisories: %w", err)
	}
	_, _ = b.w.Write(text)
	var tail []byte
	for _, n := range []int64{entriesAt, indexAt - entriesAt, infoAt - indexAt, b.offset() - infoAt} {
		tail = binary.BigEndian.AppendUint64(tail, uint64(n))
	}
	_, _ = b.w.Write(tail)
	err = b.w.Flush()
	_, sumErr := b.file.Write(binary.BigEndian.AppendUint32(nil, b.sum.sum))
	if err := errors.Join(err, sumErr, b.file.Sync()); err != nil {
		return b.info, fmt.Errorf("write advisories: %w", err)
	}
	return b.info, replaceFile(b.file.Name(), filepath.Join(b.dir, name))
}

// writeEntries writes the entries of each key, and puts it into the index.
func (b *builder) writeEntries(index *[]byte) error {
	last, start, of := "", b.offset(), 0
	flush := func() {
		if of > 0 {
			*index = binary.AppendUvarint(*index, uint64(len(last)))
			*index = append(*index, last...)
			*index = binary.AppendUvarint(*index, uint64(b.offset()-start))
		}
		start, of = b.offset(), 0
	}
	err := b.sorted.each(func(key, value []byte) error {
		if string(key) != last {
			flush()
			last = string(key)
		}
		if of++; of > maxOfOne {
			b.info.Entries--
			b.skips.add(skipCrowded, strings.ReplaceAll(last, "\x00", " "))
			return nil
		}
		writeBytes(b.w, value)
		return nil
	})
	flush()
	return err
}

// discard removes what was written on the way.
func (b *builder) discard() {
	_ = b.sorted.close()
	_ = b.file.Close()
	_ = os.Remove(b.file.Name()) // it is not there where it was put in its place
}

// replaceFile puts a file that was written whole in the place of another.
func replaceFile(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("put the advisories in their place: %w", err)
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return fmt.Errorf("put the advisories in their place: %w", err)
	}
	defer dir.Close()
	return dir.Sync()
}

// encodeEntry writes an affected package with the place of its advisory.
func encodeEntry(at int64, a *affected) []byte {
	b := binary.AppendUvarint(nil, uint64(at))
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	text(a.ecosystem)
	b = binary.AppendUvarint(b, uint64(len(a.events)))
	for _, e := range a.events {
		b = append(b, e.kind)
		text(e.version)
	}
	for _, v := range a.versions {
		text(v)
	}
	return b
}

// errEntry says that an entry is not as it was written.
var errEntry = errors.New("an entry is damaged: import the advisories again")

// decodeEntry is the opposite of encodeEntry.
func decodeEntry(b []byte) (at int64, a affected, err error) {
	number := func() uint64 {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			err, n, size = errEntry, 0, 0
		}
		b = b[size:]
		return n
	}
	text := func() string {
		n := number()
		if n > uint64(len(b)) {
			err, n = errEntry, 0
		}
		s := string(b[:n])
		b = b[n:]
		return s
	}
	at = int64(number())
	a.ecosystem = text()
	for n := number(); n > 0 && err == nil; n-- {
		if len(b) == 0 {
			return 0, a, errEntry
		}
		kind := b[0]
		b = b[1:]
		a.events = append(a.events, event{kind, text()})
	}
	for len(b) > 0 && err == nil {
		a.versions = append(a.versions, text())
	}
	return at, a, err
}

// span is where the entries of a key are.
type span struct {
	key  string
	at   int64
	size int
}

// find returns the entries of a key.
func find(index []span, key string) (span, bool) {
	i := sort.Search(len(index), func(i int) bool { return index[i].key >= key })
	if i == len(index) || index[i].key != key {
		return span{}, false
	}
	return index[i], true
}
