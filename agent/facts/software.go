package facts

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	// maxSoftware is the number of software rows that a report may carry.
	maxSoftware = 50_000
	// maxSoftwareText is the number of bytes that a text of a row may have.
	maxSoftwareText = 1 << 10
)

// addSoftware adds rows to the device's, keeps all of them in an order that
// does not depend on where they stood, so that an unchanged machine gives the
// same bytes, and cuts what is more than a report may carry, with an error.
func addSoftware(d *pb.Device, rows []*pb.Software) error {
	all := append(d.Software, rows...)
	slices.SortFunc(all, func(a, b *pb.Software) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version),
			strings.Compare(a.Architecture, b.Architecture), strings.Compare(a.Location, b.Location))
	})
	d.Software = all
	if len(all) <= maxSoftware {
		return nil
	}
	kept, cut := withinReport(all)
	d.Software = kept
	return fmt.Errorf("%d software titles, more than the %d that a report carries: %s are left out", len(all), maxSoftware, strings.Join(cut, " and "))
}

// withinReport leaves rows out until a report carries the rest: the last ones of
// the kinds that have the most, so that one that runs wild costs no other. It
// tells how many of which kind it left out.
func withinReport(all []*pb.Software) (kept []*pb.Software, cut []string) {
	counts := make(map[string]int)
	for _, row := range all {
		counts[row.GetKind()]++
	}
	// Each smaller kind keeps all of its rows, and the larger ones share the room
	// that those leave.
	room, quota := maxSoftware, make(map[string]int)
	kinds := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[a], counts[b]), strings.Compare(a, b))
	})
	for i, kind := range kinds {
		quota[kind] = min(counts[kind], room/(len(kinds)-i))
		room -= quota[kind]
	}
	kept = make([]*pb.Software, 0, maxSoftware)
	for _, row := range all {
		if kind := row.GetKind(); quota[kind] > 0 {
			kept = append(kept, row)
			quota[kind]--
			counts[kind]--
		}
	}
	for _, kind := range kinds {
		if counts[kind] > 0 {
			cut = append(cut, fmt.Sprintf("%d of kind %s", counts[kind], kind))
		}
	}
	return kept, cut
}

// softwareRows makes rows of one kind with few allocations.
type softwareRows struct {
	kind string
	rows []*pb.Software
	slab []pb.Software
	// shared has the texts that many rows have in common.
	shared map[string]string
}

func newSoftwareRows(kind string) *softwareRows {
	return &softwareRows{kind: kind, shared: make(map[string]string)}
}

// add appends a row.
func (s *softwareRows) add(name, version []byte) *pb.Software {
	if len(s.slab) == 0 {
		s.slab = make([]pb.Software, 64)
	}
	row := &s.slab[0]
	s.slab = s.slab[1:]
	row.Kind, row.Name, row.Version = s.kind, softwareText(name), softwareText(version)
	s.rows = append(s.rows, row)
	return row
}

// share is softwareText for what many rows have in common.
func (s *softwareRows) share(b []byte) string {
	if text, ok := s.shared[string(b)]; ok {
		return text
	}
	text := softwareText(b)
	s.shared[string(b)] = text
	return text
}

// softwareText makes bytes a text that a report can carry: valid UTF-8 without
// NUL, at most 1 KiB long. What is wrong is replaced or left out, so that a bad
// character never costs a row.
func softwareText(b []byte) string {
	b = bytes.TrimSpace(b)
	if len(b) <= maxSoftwareText && utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 {
		return string(b)
	}
	// A replaced byte grows to three, and a NUL shrinks to none: far more
	// than the bound is enough to fill it.
	text := strings.ToValidUTF8(string(b[:min(len(b), 8*maxSoftwareText)]), "\uFFFD")
	text = strings.ReplaceAll(text, "\x00", "")
	if len(text) > maxSoftwareText {
		text = strings.ToValidUTF8(text[:maxSoftwareText], "")
	}
	return text
}

// personName returns the name of "Name <address>", otherwise unchanged: who
// publishes a package is asked, not where to write to.
func personName(b []byte) []byte {
	if i := bytes.IndexByte(b, '<'); i > 0 {
		b = b[:i]
	}
	return bytes.TrimSpace(b)
}

// unixTime returns a time in Unix seconds, nil for one that nobody means: 0 and
// below, or after the year 9999.
func unixTime(sec int64) *timestamppb.Timestamp {
	if sec <= 0 || sec > 253402300799 {
		return nil
	}
	return &timestamppb.Timestamp{Seconds: sec}
}

// modTime returns the time of the last change of a file or link itself, nil if
// it is not there.
func modTime(fsys fs.FS, name string) *timestamppb.Timestamp {
	info, err := fs.Lstat(fsys, name)
	if err != nil {
		return nil
	}
	return unixTime(info.ModTime().Unix())
}

// readWhole returns a file of at most limit bytes; a longer one gives the bytes
// up to there and an error.
func readWhole(fsys fs.FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var buf bytes.Buffer
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		buf.Grow(int(min(max(info.Size(), 0), limit)) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return buf.Bytes(), fmt.Errorf("read /%s: %w", name, err)
	}
	if b := buf.Bytes(); int64(len(b)) > limit {
		return b[:limit], fmt.Errorf("/%s is longer than %d bytes: the rest is not read", name, limit)
	}
	return buf.Bytes(), nil
}

// missing tells whether an error means that there is no such file.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// latest returns the later of two times.
func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// faults collects what was wrong with single entries of a source: there can be
// as many as there are entries, so the first few are kept in words.
type faults struct {
	first []error
	count int
}

func (f *faults) add(err error) {
	if err == nil {
		return
	}
	if f.count++; len(f.first) < 3 {
		f.first = append(f.first, err)
	}
}

// err returns all as one error, nil if there were none.
func (f *faults) err() error {
	switch {
	case f.count == 0:
		return nil
	case f.count <= len(f.first):
		return errors.Join(f.first...)
	}
	return fmt.Errorf("%d faults, the first: %w", f.count, errors.Join(f.first...))
}
