// Package redact takes everything that names one person out of records: it is
// pure.
package redact

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mark stands in a text for what was taken out.
const Mark = "[erased]"

// minWord is the shortest name that is looked for within texts, in bytes: shorter
// ones are parts of too many words.
const minWord = 3

// Record is one record about the person, as its source calls it.
type Record struct{ Source, ID string }

// Subject is what names a person.
type Subject struct {
	// Words are e-mail addresses, accounts, names and the like; case does not
	// matter.
	Words []string
	// Numbers identify only where they are all of a text: employee ids.
	Numbers []string
	Records []Record
}

// Redactor takes a person out of records.
type Redactor struct {
	words   []string
	numbers []string
	records map[Record]bool
	// needles are what a record that mentions the person has in it.
	needles [][]byte
}

// New returns a Redactor of a person.
func New(s Subject) *Redactor {
	r := &Redactor{records: make(map[Record]bool)}
	for _, w := range s.Words {
		if w = fold(w); len(w) >= minWord {
			r.words = append(r.words, w)
		}
	}
	// The longest first: an address before the account that it begins with.
	slices.SortFunc(r.words, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	r.words = slices.Compact(r.words)
	for _, n := range s.Numbers {
		r.numbers = append(r.numbers, fold(n))
	}
	for _, rec := range s.Records {
		r.records[rec] = true
	}
	for _, w := range r.words {
		r.needles = append(r.needles, []byte(w))
		// As JSON has it: a backslash is two.
		if b, err := json.Marshal(w); err == nil && len(b) != len(w)+2 {
			r.needles = append(r.needles, b[1:len(b)-1])
		}
	}
	return r
}

func fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// Mentions tells whether a record with this key and value may name the person.
func (r *Redactor) Mentions(key, value []byte) bool {
	key, low := bytes.ToLower(key), bytes.ToLower(value)
	for _, n := range r.needles {
		if bytes.Contains(low, n) || bytes.Contains(key, n) {
			return true
		}
	}
	for rec := range r.records {
		name := strings.ToLower(rec.Source + "\x00" + rec.ID)
		if bytes.Contains(key, []byte(name)) || bytes.Contains(value, append([]byte{byte(len(rec.ID))}, rec.ID...)) && bytes.Contains(value, []byte(rec.Source)) {
			return true
		}
	}
	return false
}

// Names tells whether a text is nothing but a name of the person.
func (r *Redactor) Names(s string) bool {
	s = fold(s)
	return s != "" && (slices.Contains(r.words, s) || slices.Contains(r.numbers, s))
}

// Within tells whether a text has a name of the person in it.
func (r *Redactor) Within(s string) bool {
	_, found := r.Text(s)
	return found
}

// Text takes the person out of a text, and tells whether they were in it.
func (r *Redactor) Text(s string) (string, bool) {
	if s == "" {
		return s, false
	}
	if slices.Contains(r.words, fold(s)) {
		return "", true
	}
	found := false
	for _, w := range r.words {
		for from := 0; ; {
			start, end, ok := indexFold(s, w, from)
			if !ok {
				break
			}
			if !apart(s, start, end) {
				from = end
				continue
			}
			s, found = s[:start]+Mark+s[end:], true
			from = start + len(Mark)
		}
	}
	return s, found
}

// indexFold finds a word that is in lower case in a text from an index on,
// whatever the case; changing the case may change the length of a letter.
func indexFold(s, word string, from int) (start, end int, ok bool) {
	n := utf8.RuneCountInString(word)
	for start = from; start < len(s); {
		end = start
		for range n {
			if end >= len(s) {
				return 0, 0, false
			}
			_, size := utf8.DecodeRuneInString(s[end:])
			end += size
		}
		if strings.ToLower(s[start:end]) == word {
			return start, end, true
		}
		_, size := utf8.DecodeRuneInString(s[start:])
		start += size
	}
	return 0, 0, false
}

// apart tells whether a part of a text is a word of its own there.
func apart(s string, start, end int) bool {
	before, _ := utf8.DecodeLastRuneInString(s[:start])
	after, _ := utf8.DecodeRuneInString(s[end:])
	return !letter(before) && !letter(after)
}

func letter(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}
