package api

import (
	"cmp"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Bounds of a guess at what was meant.
const (
	maxGuesses   = 3
	maxGuessText = 64
)

// meant returns ", meant is perhaps ..." with the paths of the schema that a
// misspelt one is nearest to, or nothing.
func meant(path string, d protoreflect.MessageDescriptor) string {
	if len(path) > maxGuessText {
		return ""
	}
	type guess struct {
		path     string
		distance int
	}
	var guesses []guess
	leaf := path[strings.LastIndex(path, ".")+1:]
	for _, p := range paths(d, "") {
		distance := editDistance(path, p)
		// A field that is looked for in the wrong group is near, too.
		if p[strings.LastIndex(p, ".")+1:] == leaf {
			distance = min(distance, 1)
		}
		if distance <= max(1, len(path)/4) {
			guesses = append(guesses, guess{p, distance})
		}
	}
	slices.SortStableFunc(guesses, func(a, b guess) int { return cmp.Compare(a.distance, b.distance) })
	names := make([]string, 0, maxGuesses)
	for _, g := range guesses[:min(len(guesses), maxGuesses)] {
		names = append(names, g.path)
	}
	if len(names) == 0 {
		return ""
	}
	return "; meant is perhaps " + strings.Join(names, " or ")
}

// paths returns all paths that a mask of the message may name, keys of maps
// apart.
func paths(d protoreflect.MessageDescriptor, prefix string) []string {
	var all []string
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		path := prefix + string(fd.Name())
		all = append(all, path)
		if !fd.IsMap() && fd.Message() != nil && fd.Message().ParentFile().Package() == d.ParentFile().Package() {
			all = append(all, paths(fd.Message(), path+".")...)
		}
	}
	return all
}

// editDistance is the number of bytes to insert, delete or replace to make b of
// a (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
