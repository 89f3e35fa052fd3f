package advisory

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Bounds of what is imported, well above what there is: the largest ecosystem of a
// distribution is some gigabytes of text in 80,000 records.
const (
	maxRecords   = 10_000_000
	maxText      = 64 << 30 // after decompression
	maxDirectory = 64 << 20 // of a ZIP file: some 700,000 records
	maxDocument  = 64 << 20 // of a file that is one JSON value
)

// reader takes records out of files.
type reader struct {
	ctx     context.Context
	record  func(data []byte, name string) error
	catalog func(data []byte) error
	skip    func(reason, name string)
	// records and text are what is left of the bounds.
	records int
	text    int64
}

// take hands on one record.
func (r *reader) take(data []byte, name string) error {
	if r.records--; r.records < 0 {
		return fmt.Errorf("there are more than %d records: import fewer ecosystems", maxRecords)
	}
	if r.text -= int64(len(data)); r.text < 0 {
		return errors.New("there is more text than any ecosystem has: this is no data of OSV")
	}
	if err := context.Cause(r.ctx); err != nil {
		return err
	}
	return r.record(data, name)
}

// path reads a file, or all files of a folder and of those in it.
func (r *reader) path(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("read advisories: %w", err)
	}
	if !info.IsDir() {
		return r.file(name)
	}
	return filepath.WalkDir(name, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("read advisories: %w", err)
		}
		switch strings.ToLower(path.Ext(name)) {
		case ".json", ".ndjson", ".jsonl", ".zip":
			if d.Type().IsRegular() {
				return r.file(name)
			}
		}
		return context.Cause(r.ctx)
	})
}

// file reads one file, by what it is and not by its name.
func (r *reader) file(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("read advisories: %w", err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<18)
	head, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read advisories: %w", err)
	}
	base := filepath.Base(name)
	if bytes.HasPrefix(head, []byte("PK")) {
		err = r.zip(f)
	} else {
		err = r.json(in, base)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", base, err)
	}
	return nil
}

// metered is a file of which only so much may be read for now, so that the
// directory of a ZIP file cannot fill the memory.
type metered struct {
	io.ReaderAt
	left int64
}

var errDirectory = errors.New("the ZIP file has more entries than are taken: split it")

// ReadAt implements io.ReaderAt.
func (m *metered) ReadAt(b []byte, at int64) (int, error) {
	if m.left -= int64(len(b)); m.left < 0 {
		return 0, errDirectory
	}
	return m.ReaderAt.ReadAt(b, at)
}

// zip reads the records of a ZIP file as OSV publishes an ecosystem.
func (r *reader) zip(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	in := &metered{f, maxDirectory}
	z, err := zip.NewReader(in, info.Size())
	if in.left < 0 {
		return errDirectory
	}
	if err != nil {
		return fmt.Errorf("this is no ZIP file that can be read: %w", err)
	}
	in.left = 1 << 62
	for _, entry := range z.File {
		if entry.FileInfo().IsDir() || strings.ToLower(path.Ext(entry.Name)) != ".json" {
			continue
		}
		if err := r.zipped(entry); err != nil {
			return err
		}
	}
	return nil
}

// zipped reads one entry. One that cannot be read is left out.
func (r *reader) zipped(entry *zip.File) error {
	in, err := entry.Open()
	if err != nil {
		r.skip(skipBroken, entry.Name+": "+err.Error())
		return nil
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, MaxRecord+1))
	switch {
	case err != nil:
		r.skip(skipBroken, entry.Name+": "+err.Error())
	case len(data) > MaxRecord:
		r.text -= MaxRecord // it took as long as if it had been read
		r.skip(skipLarge, entry.Name)
	default:
		return r.take(data, path.Base(entry.Name))
	}
	return nil
}

// json reads a file of text: a record a line, or one JSON value.
func (r *reader) json(in *bufio.Reader, name string) error {
	first, long, err := line(in)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	ended := err != nil
	lines := strings.HasSuffix(name, ".ndjson") || strings.HasSuffix(name, ".jsonl")
	if !lines && !long && !json.Valid(first) {
		whole, err := io.ReadAll(io.LimitReader(in, maxDocument))
		if err != nil {
			return err
		}
		whole = append(append(first, '\n'), whole...)
		if json.Valid(whole) {
			return r.document(whole, name)
		}
		// A line may be broken, the first as well.
		return r.lines(bufio.NewReaderSize(io.MultiReader(bytes.NewReader(whole), in), 1<<18), name, 0)
	}
	if lines || long || len(bytes.TrimSpace(first)) == 0 {
		err = r.line(first, long, fmt.Sprint(name, ":1"))
	} else {
		err = r.document(first, name)
	}
	if err != nil || ended {
		return err
	}
	return r.lines(in, name, 1)
}

// lines reads a record a line.
func (r *reader) lines(in *bufio.Reader, name string, before int) error {
	for number := before + 1; ; number++ {
		text, long, err := line(in)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if taken := r.line(text, long, fmt.Sprint(name, ":", number)); taken != nil {
			return taken
		}
		if err != nil {
			return nil
		}
	}
}

func (r *reader) line(text []byte, long bool, name string) error {
	switch {
	case long:
		r.skip(skipLarge, name)
	case len(bytes.TrimSpace(text)) > 0:
		return r.take(text, name)
	}
	return context.Cause(r.ctx)
}

// line returns the next line; of one that is too long only that it is.
func line(in *bufio.Reader) (text []byte, long bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(text)+len(part) > MaxRecord {
			text, long = nil, true
		}
		if !long {
			text = append(text, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return text, long, err
		}
	}
}

// document reads one JSON value: a record, a list of records, the answer of OSV's
// API, or CISA's catalog.
func (r *reader) document(data []byte, name string) error {
	list := data
	if begin := bytes.TrimLeft(data, " \t\r\n"); !bytes.HasPrefix(begin, []byte("[")) {
		var probe struct {
			CatalogVersion *string         `json:"catalogVersion"`
			Vulns          json.RawMessage `json:"vulns"`
		}
		if err := json.Unmarshal(data, &probe); err != nil {
			r.skip(skipBroken, name+": "+err.Error())
			return nil
		}
		switch {
		case probe.CatalogVersion != nil:
			return r.catalog(data)
		case probe.Vulns == nil:
			return r.take(data, name)
		}
		list = probe.Vulns
	}
	i := 0
	return elements(list, maxRecords, "records", func(dec *json.Decoder) error {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		i++
		return r.take(raw, fmt.Sprint(name, "[", i-1, "]"))
	})
}
