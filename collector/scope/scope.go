// Package scope says which part of the fleet somebody may see and change: the
// assets on which some fields have one of some values.
package scope

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Bounds of a scope.
const (
	maxTerms = 64
	// maxText bounds the path and the value of one term, in bytes.
	maxText = 256
)

// ErrInvalid is wrapped where a text is no scope.
var ErrInvalid = errors.New("invalid scope")

// labels is the map of which any key may be named.
const labels = "labels."

// paths are the fields, beside labels, by which a fleet is parted: what an
// organisation says of an asset, and nothing that changes by itself.
var paths = map[string]func(*pb.Asset) string{
	"class":             (*pb.Asset).GetClass,
	"location.site":     func(a *pb.Asset) string { return a.GetLocation().GetSite() },
	"location.building": func(a *pb.Asset) string { return a.GetLocation().GetBuilding() },
	"location.city":     func(a *pb.Asset) string { return a.GetLocation().GetCity() },
	"location.country":  func(a *pb.Asset) string { return a.GetLocation().GetCountry() },
	"owner.department":  func(a *pb.Asset) string { return a.GetOwner().GetDepartment() },
	"owner.cost_center": func(a *pb.Asset) string { return a.GetOwner().GetCostCenter() },
}

// Scope is a part of the fleet. Nil is all of it. It does not change.
type Scope struct{ terms []Term }

// Term is one field and the values that it may have, of which there is at least
// one and none is empty.
type Term struct {
	// Path is a field as sorting and grouping know it: location.site, labels.site.
	Path   string
	Values []string
}

// Parse reads terms as in labels.site=berlin. Those of one field are
// alternatives, and those of several fields must all hold; none are all assets,
// which is nil. The error wraps ErrInvalid.
func Parse(terms []string) (*Scope, error) {
	if len(terms) == 0 {
		return nil, nil
	}
	if len(terms) > maxTerms {
		return nil, fmt.Errorf("%w: %d terms, at most %d", ErrInvalid, len(terms), maxTerms)
	}
	byPath := make(map[string][]string)
	for _, text := range terms {
		path, value, err := parse(text)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(byPath[path], value) {
			byPath[path] = append(byPath[path], value)
		}
	}
	s := new(Scope)
	for _, path := range slices.Sorted(maps.Keys(byPath)) {
		slices.Sort(byPath[path])
		s.terms = append(s.terms, Term{Path: path, Values: byPath[path]})
	}
	return s, nil
}

func parse(text string) (path, value string, err error) {
	path, value, ok := strings.Cut(text, "=")
	if key, short := strings.CutPrefix(path, "label."); short {
		path = labels + key
	}
	key, isLabel := strings.CutPrefix(path, labels)
	_, known := paths[path]
	switch {
	case !ok || value == "":
		return "", "", fmt.Errorf("%w: %.100q says no value: write it like labels.site=berlin", ErrInvalid, text)
	case len(path) > maxText || len(value) > maxText || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return "", "", fmt.Errorf("%w: a field and its value may have %d bytes each and no control characters", ErrInvalid, maxText)
	case isLabel && key == "" || !isLabel && !known:
		return "", "", fmt.Errorf("%w: a scope cannot be by %.100q, only by labels.KEY or one of: %s", ErrInvalid, path, strings.Join(slices.Sorted(maps.Keys(paths)), ", "))
	}
	return path, value, nil
}

// Terms returns what must hold, in the order of the paths.
func (s *Scope) Terms() []Term {
	if s == nil {
		return nil
	}
	return s.terms
}

// Texts returns the scope as Parse reads it, in one order; none is all assets.
func (s *Scope) Texts() []string {
	var all []string
	for _, t := range s.Terms() {
		for _, v := range t.Values {
			all = append(all, t.Path+"="+v)
		}
	}
	return all
}

// String returns the scope on one line; empty is all assets.
func (s *Scope) String() string { return strings.Join(s.Texts(), " ") }

// Admits tells whether an asset is in the scope. What does not state a field is
// not in a scope by it.
func (s *Scope) Admits(a *pb.Asset) bool {
	for _, t := range s.Terms() {
		if !slices.Contains(t.Values, valueOf(a, t.Path)) {
			return false
		}
	}
	return true
}

func valueOf(a *pb.Asset, path string) string {
	if key, ok := strings.CutPrefix(path, labels); ok {
		return a.GetLabels()[key]
	}
	return paths[path](a)
}

// Decides tells whether an asset may come into the scope or leave it by a change
// of a field, or of a group of fields, of this path. Of an owner one field
// follows from another.
func (s *Scope) Decides(path string) bool {
	for _, t := range s.Terms() {
		if strings.HasPrefix(t.Path, labels) {
			if path == t.Path || path == "labels" {
				return true
			}
			continue
		}
		group, _, _ := strings.Cut(t.Path, ".")
		if changed, _, _ := strings.Cut(path, "."); changed == group {
			return true
		}
	}
	return false
}

// Part returns what of an asset decides in which scopes it is.
func Part(a *pb.Asset) *pb.Asset {
	if a == nil {
		return nil
	}
	return &pb.Asset{Class: a.GetClass(), Labels: a.GetLabels(), Location: a.GetLocation(), Owner: a.GetOwner()}
}

// Deciding tells whether a change of a field may move an asset from one scope to
// another.
func Deciding(path string) bool {
	group, _, _ := strings.Cut(path, ".")
	return slices.Contains([]string{"class", "labels", "location", "owner"}, group)
}
