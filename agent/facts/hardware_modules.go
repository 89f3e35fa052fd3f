package facts

import (
	"bytes"
	"encoding/hex"
	"math/bits"
	"strings"
)

// moduleMakers are the makers of memory that are met most, by the page of
// JEDEC's list (JEP106) and the number there, both without the bit of parity.
var moduleMakers = map[[2]byte]string{
	{0, 0x01}: "AMD", {0, 0x2c}: "Micron Technology", {0, 0x51}: "Qimonda", {0, 0x2d}: "SK hynix", {0, 0x41}: "Infineon", {0, 0x4e}: "Samsung",
	{1, 0x18}: "Kingston", {1, 0x4f}: "Transcend Information", {1, 0x7a}: "Apacer Technology", {1, 0x14}: "SMART Modular",
	{2, 0x1e}: "Corsair", {2, 0x7e}: "Elpida", {3, 0x0b}: "Nanya Technology", {3, 0x25}: "Kingmax Semiconductor",
	{4, 0x16}: "Positivo", {4, 0x43}: "Ramaxel Technology", {4, 0x4b}: "A-DATA Technology", {4, 0x4d}: "G.Skill", {4, 0x6f}: "Team Group",
	{5, 0x1b}: "Crucial Technology", {5, 0x02}: "Patriot Memory",
}

// moduleMaker returns the name of who made a memory module. Firmware that does
// not know its number writes the number itself, in one of two ways: JEDEC's
// page and number ("80CE", also twice, "80CE000080CE", for the module and the
// chips), or as many 7F as the page has, the number and zeros
// ("0x7F98000000000000"). Anything else is a name, or not known, and unchanged.
func moduleMaker(text string) string {
	digits, _ := strings.CutPrefix(text, "0x")
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) < 2 || len(raw) > 10 {
		return text
	}
	page, number := raw[0]&0x7f, raw[1]&0x7f
	if len(raw) == 8 {
		for page = 0; int(page) < len(raw)-1 && raw[page] == 0x7f; page++ {
		}
		number = raw[page] & 0x7f
	} else if bits.OnesCount8(raw[0])%2 == 0 {
		// A page is written with odd parity.
		return text
	}
	if name := moduleMakers[[2]byte{page, number}]; name != "" {
		return name
	}
	return text
}

// modulePart returns the part number of a memory module. Some firmware writes
// the bytes that the module has in place of the text that they are, and some
// fill the field up.
func modulePart(text string) string {
	digits, isHex := strings.CutPrefix(text, "0x")
	if raw, err := hex.DecodeString(digits); isHex && err == nil && len(raw) >= 16 {
		raw = bytes.TrimRightFunc(raw, func(r rune) bool { return r == 0 || r == ' ' })
		printable := len(raw) > 0
		for _, c := range raw {
			printable = printable && c >= ' ' && c < 0x7f
		}
		if printable {
			text = string(raw)
		}
	}
	if cut := strings.TrimRight(text, "-"); len(text)-len(cut) > 2 {
		text = cut
	}
	return strings.TrimSpace(text)
}
