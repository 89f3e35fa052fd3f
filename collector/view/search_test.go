package view

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/pkg/synth"
)

// The search finds the assets whose texts contain each word, whatever part of a
// text a word is: what a sketch leaves out has it not.
func TestSearchEqualsPlainSearch(t *testing.T) {
	v, fleet, r := New(), synth.New(1, 0, 0), rand.New(rand.NewPCG(1, 2))
	var texts []string
	for i := range 300 {
		a := synthetic(fleet.Device(i), i)
		texts = append(texts, searchText(a))
		v.Apply(catalog.Change{Sequence: uint64(i + 1), AssetID: a.GetId(), Kind: catalog.Created, Asset: a})
	}
	for n := range 2000 {
		var words []string
		for range 1 + n%3 {
			text := strings.ReplaceAll(texts[r.IntN(len(texts))], "\n", " ")
			from := r.IntN(len(text) - 12)
			words = append(words, text[from:from+1+r.IntN(12)])
		}
		search := strings.Join(words, " ")
		want := 0
		for _, text := range texts {
			all := true
			for _, word := range strings.Fields(search) {
				all = all && (strings.Contains(text, word) || colons(word) != "" && strings.Contains(text, colons(word)))
			}
			if all {
				want++
			}
		}
		page, err := v.Part(nil).List(t.Context(), Query{Search: search, Limit: 1, Now: testNow})
		if err != nil || page.Total != want {
			t.Fatalf("%q finds %d (%v), want %d", search, page.Total, err, want)
		}
	}
}
