// Package record reads what vendors answer into plain values, and finds values
// in them by path.
package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Bounds of one decoded answer.
const (
	maxDepth = 64
	// maxValues bounds the values of one answer: each costs some 50 bytes here
	// however few it has on the wire.
	maxValues = 4_000_000
)

// ErrNotJSON is wrapped by errors about an answer that is no JSON at all.
var ErrNotJSON = errors.New("the answer is not JSON")

// Decode reads one JSON value. Objects become map[string]any, arrays []any;
// a whole number is an int64 where it fits and keeps its digits as a string
// where it does not, any other number is a float64.
func Decode(b []byte) (any, error) {
	if kind := notJSON(b); kind != "" {
		return nil, fmt.Errorf("%w but %s", ErrNotJSON, kind)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, decodeError(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the answer holds more than one JSON value")
	}
	return plainBounded(v)
}

// DecodeLines reads JSON values one after the other (NDJSON).
func DecodeLines(b []byte) ([]any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var all []any
	for {
		var v any
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", len(all)+1, decodeError(err))
		}
		if v, err = plainBounded(v); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(all)+1, err)
		}
		all = append(all, v)
	}
}

func decodeError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("the answer ends in the middle: %w", io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("decode JSON: %w", err)
}

// notJSON names what an answer is that begins like no JSON value, empty where
// it may be one.
func notJSON(b []byte) string {
	b = bytes.TrimSpace(b)
	switch {
	case len(b) == 0:
		return ""
	case b[0] == '<' && bytes.Contains(bytes.ToLower(b[:min(len(b), 512)]), []byte("<html")), bytes.HasPrefix(bytes.ToLower(b), []byte("<!doctype html")):
		return "an HTML page: a sign-in or error page of a proxy or of the vendor; check the address and whether the network lets the collector through"
	case b[0] == '<':
		return "XML"
	case strings.IndexByte("{[\"-0123456789tfn", b[0]) < 0:
		return "something else, which begins with " + strconv.Quote(string(b[:min(len(b), 40)]))
	}
	return ""
}

func plainBounded(v any) (any, error) {
	left := maxValues
	return plain(v, 0, &left)
}

// plain replaces json.Number within v, in place.
func plain(v any, depth int, left *int) (any, error) {
	*left--
	if depth > maxDepth {
		return nil, fmt.Errorf("the answer is nested more than %d deep", maxDepth)
	}
	if *left < 0 {
		return nil, fmt.Errorf("the answer holds more than %d values: ask for smaller pages", maxValues)
	}
	var err error
	switch v := v.(type) {
	case json.Number:
		return number(v), nil
	case map[string]any:
		for k, e := range v {
			if v[k], err = plain(e, depth+1, left); err != nil {
				return nil, err
			}
		}
	case []any:
		for i, e := range v {
			if v[i], err = plain(e, depth+1, left); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

func number(n json.Number) any {
	if i, err := n.Int64(); err == nil {
		return i
	}
	if strings.ContainsAny(n.String(), ".eE") {
		if f, err := n.Float64(); err == nil {
			return f
		}
	}
	return n.String()
}
