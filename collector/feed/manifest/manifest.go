// Package manifest reads the files that describe vendors: strictly, with the
// line and column of whatever is wrong.
package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"go.yaml.in/yaml/v3"
)

// Version is the version of the language that this package reads.
const Version = 1

// maxBytes bounds a manifest file.
const maxBytes = 1 << 20

// Parse reads a manifest. Every mistake is told with its line and column.
func Parse(r io.Reader) (*Manifest, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	if len(b) > maxBytes {
		return nil, fmt.Errorf("the manifest has more than %d bytes", maxBytes)
	}
	var doc yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the manifest is empty")
		}
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file holds more than one document")
	}
	m := &Manifest{}
	if err := decode(&doc, m); err != nil {
		return nil, err
	}
	m.defaults()
	return m, m.check()
}

// or returns v, or otherwise where v is the zero value.
func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func (m *Manifest) defaults() {
	m.Every, m.FullEvery = or(m.Every, Duration(15*time.Minute)), or(m.FullEvery, Duration(24*time.Hour))
	m.Limit.PerSecond, m.Limit.Burst = or(m.Limit.PerSecond, 5), or(m.Limit.Burst, 1)
	if m.Retry.Codes == nil {
		m.Retry.Codes = []int{408, 425, 429, 500, 502, 503, 504}
	}
	m.Retry.Attempts, m.Retry.Wait, m.Retry.MaxWait = or(m.Retry.Attempts, 5), or(m.Retry.Wait, Duration(time.Second)), or(m.Retry.MaxWait, Duration(2*time.Minute))
	m.Absent.After, m.Absent.Share = or(m.Absent.After, 2), or(m.Absent.Share, 0.2)
	for i := range m.Streams {
		m.Streams[i].defaults()
	}
}

func (s *Stream) defaults() {
	if s.Pager.Good == nil {
		good := Duration(10 * time.Minute)
		if s.Pager.Cursor != nil && s.Pager.Cursor.Scroll {
			good = 0
		}
		s.Pager.Good = &good
	}
	if s.Cursor != nil {
		s.Cursor.Overlap = or(s.Cursor.Overlap, Duration(10*time.Minute))
	}
	if s.Batch != nil {
		s.Batch.Size = or(s.Batch.Size, 100)
	}
	for i := range s.FanOut {
		f := &s.FanOut[i]
		f.Parallel, f.TTL = or(f.Parallel, 2), or(f.TTL, Duration(24*time.Hour))
	}
	if l := s.Lookup; l != nil {
		l.Size, l.Join, l.TTL, l.Daily = or(l.Size, 1), or(l.Join, ","), or(l.TTL, Duration(7*24*time.Hour)), or(l.Daily, 1000)
	}
}
