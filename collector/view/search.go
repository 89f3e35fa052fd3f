package view

import (
	"strings"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// maxSearchText bounds what is kept of one asset for the search, in bytes.
const maxSearchText = 4 << 10

// searchText is what the search looks into of an asset, in lower case, one
// piece a line: its names, numbers, addresses and people.
func searchText(a *pb.Asset) string {
	hw, net := a.GetHardware(), a.GetNetwork()
	pieces := []string{a.GetName(), hw.GetSerial(), hw.GetBoardSerial(), hw.GetAssetTag(), hw.GetUuid(), hw.GetModel(), net.GetHostname(), net.GetFqdn(),
		net.GetLastAddress(), net.GetPublicAddress(), a.GetOwner().GetEmail(), a.GetOwner().GetName(), a.GetPrimaryUser().GetName(), a.GetPrimaryUser().GetEmail(),
		hw.GetCloud().GetInstanceId(), a.GetId()}
	pieces = append(pieces, hw.GetImei()...)
	for _, i := range net.GetInterfaces() {
		pieces = append(append(pieces, i.GetMac()), i.GetAddresses()...)
	}
	var b strings.Builder
	for _, p := range pieces {
		if p == "" || b.Len()+len(p) > maxSearchText {
			continue
		}
		b.WriteString(p)
		b.WriteByte('\n')
	}
	return strings.ToLower(b.String())
}

// sketch tells in a cache line what the text of a row may contain: a bit for each
// three bytes in a row that it has. Of a word that is looked for few rows are left
// whose texts, ten times as long, have to be read.
type sketch [8]uint64

// sketchOf returns the sketch of a text, or of a word.
func sketchOf(text string) (k sketch) {
	for i := 0; i+2 < len(text); i++ {
		three := uint32(text[i]) | uint32(text[i+1])<<8 | uint32(text[i+2])<<16
		bit := three * 0x9E3779B1 >> 23 // the upper 9 bits of the product
		k[bit/64] |= 1 << (bit % 64)
	}
	return k
}

// may tells whether a text with the sketch may contain a word with the other.
func (k *sketch) may(word *sketch) bool {
	var missing uint64
	for i, w := range word {
		missing |= w &^ k[i]
	}
	return missing == 0
}

// sought is a word that is looked for.
type sought struct {
	text string
	// mac is the word as hardware addresses are kept, empty for none.
	mac string
	// titled are the rows that have a title with the word in its name.
	titled             set
	ofText, ofHardware sketch
}

// search returns the rows among some of which each word of a text is found, in
// the asset itself or in the name of a title that it has.
func (s *Snapshot) search(text string, among set) set {
	var words []*sought
	for word := range strings.FieldsSeq(strings.ToLower(text)) {
		w := &sought{text: word, mac: colons(word), titled: newSet(s.rows), ofText: sketchOf(word)}
		w.ofHardware = sketchOf(w.mac)
		for _, title := range s.titlesLike(word) {
			s.addPosting(w.titled, title)
		}
		words = append(words, w)
		among = s.mayHave(w, among)
	}
	if len(words) == 0 {
		return among
	}
	found := newSet(s.rows)
	among.each(func(row uint32) bool {
		if s.has(row, words) {
			found.add(row)
		}
		return true
	})
	return found
}

// mayHave returns the rows among some that have a word, and a few that have not.
func (s *Snapshot) mayHave(w *sought, among set) set {
	out := w.titled.and(among)
	for first := uint32(0); first < s.rows; first += chunkRows {
		sketches := s.sketches.rows(first)
		if sketches == nil {
			sketches = new([chunkRows]sketch)
		}
		for i := range uint32(min(chunkRows, s.rows-first)) {
			k := &sketches[i]
			if among.has(first+i) && (k.may(&w.ofText) || w.mac != "" && k.may(&w.ofHardware)) {
				out.add(first + i)
			}
		}
	}
	return out
}

// has tells whether a row has all of some words.
func (s *Snapshot) has(row uint32, words []*sought) bool {
	text := s.text.get(row)
	for _, w := range words {
		if !w.titled.has(row) && !strings.Contains(text, w.text) && (w.mac == "" || !strings.Contains(text, w.mac)) {
			return false
		}
	}
	return true
}

// colons returns a hardware address as it is kept, for one in another way of
// writing; empty for a word that is none.
func colons(word string) string {
	if !strings.ContainsAny(word, "-.") && len(word) != 12 {
		return ""
	}
	digits := strings.NewReplacer("-", "", ".", "").Replace(word)
	if len(digits) != 12 || strings.Trim(digits, "0123456789abcdef") != "" {
		return ""
	}
	pairs := make([]string, 0, 6)
	for i := 0; i < len(digits); i += 2 {
		pairs = append(pairs, digits[i:i+2])
	}
	return strings.Join(pairs, ":")
}
