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

// search returns the rows among some of which each word of a text is found, in
// the asset itself or in the name of a title that it has.
func (s *Snapshot) search(text string, among set) set {
	for word := range strings.FieldsSeq(strings.ToLower(text)) {
		among = s.searchWord(word, among)
	}
	return among
}

func (s *Snapshot) searchWord(word string, among set) set {
	found := newSet(s.rows)
	for _, title := range s.titlesLike(word) {
		s.addPosting(found, title)
	}
	found = found.and(among)
	mac := colons(word)
	for first := uint32(0); first < s.rows; first += chunkRows {
		texts := s.text.rows(first)
		if texts == nil {
			continue
		}
		for i := range uint32(min(chunkRows, s.rows-first)) {
			row := first + i
			if among.has(row) && !found.has(row) && (strings.Contains(texts[i], word) || mac != "" && strings.Contains(texts[i], mac)) {
				found.add(row)
			}
		}
	}
	return found
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
