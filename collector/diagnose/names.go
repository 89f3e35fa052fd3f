package diagnose

import (
	"errors"
	"strings"
	"unicode"
)

const (
	// minName is the shortest name that is looked for, in letters and digits:
	// shorter ones are parts of too many texts.
	minName = 3
	// maxWords bounds the words of one name, maxNames the names that are found.
	maxWords = 12
	maxNames = 50_000
)

// errNames is why a text with very many names is withheld as a whole.
var errNames = errors.New("it names more people and devices than can be masked")

// Names finds which of the names that are offered to it occur in a text. It
// keeps the words of the text and not the names, of which there may be millions.
type Names struct {
	text string
	// words are those of the text, in lower case.
	words map[string]struct{}
	// found holds the names of which all words occur, by their first one.
	found map[string][][]string
	size  int
}

// NewNames looks at a text.
func NewNames(text string) *Names {
	n := &Names{text: text, words: make(map[string]struct{}), found: make(map[string][][]string)}
	eachWord(text, func(from, to int) { n.words[strings.ToLower(text[from:to])] = struct{}{} })
	return n
}

// Offer has a name masked wherever the text holds its words in a row, whatever
// stands between them.
func (n *Names) Offer(name string) {
	var words []string
	letters, there := 0, true
	eachWord(name, func(from, to int) {
		if !there || len(words) == maxWords {
			return // a longer name is found by its first words
		}
		w := strings.ToLower(name[from:to])
		_, there = n.words[w]
		words, letters = append(words, w), letters+to-from
	})
	if !there || len(words) == 0 || letters < minName || n.size > maxNames {
		return
	}
	for _, other := range n.found[words[0]] {
		if strings.Join(other, " ") == strings.Join(words, " ") {
			return
		}
	}
	n.found[words[0]] = append(n.found[words[0]], words)
	n.size++
}

// Mask returns the text with something else in the place of each name.
func (n *Names) Mask(m *Masker) (string, error) {
	if n.size > maxNames {
		return "", errNames
	}
	type span struct{ from, to int }
	var spans []span
	eachWord(n.text, func(from, to int) { spans = append(spans, span{from, to}) })
	low := func(i int) string { return strings.ToLower(n.text[spans[i].from:spans[i].to]) }
	var out strings.Builder
	done := 0
	for i := 0; i < len(spans); {
		longest := 0
		for _, words := range n.found[low(i)] {
			k := 0
			for k < len(words) && i+k < len(spans) && low(i+k) == words[k] {
				k++
			}
			if k == len(words) {
				longest = max(longest, k)
			}
		}
		if longest == 0 {
			i++
			continue
		}
		from, to := spans[i].from, spans[i+longest-1].to
		out.WriteString(n.text[done:from])
		out.WriteString(m.alias("name", n.text[from:to]))
		done, i = to, i+longest
	}
	out.WriteString(n.text[done:])
	return out.String(), nil
}

// eachWord yields where the runs of letters and digits of a text are.
func eachWord(s string, yield func(from, to int)) {
	from := -1
	for i, r := range s {
		word := unicode.IsLetter(r) || unicode.IsDigit(r)
		switch {
		case word && from < 0:
			from = i
		case !word && from >= 0:
			yield(from, i)
			from = -1
		}
	}
	if from >= 0 {
		yield(from, len(s))
	}
}
