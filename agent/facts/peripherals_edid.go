package facts

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	edidBlock = 128
	// Tags of EDID's display descriptors.
	edidSerial, edidText, edidName = 0xff, 0xfe, 0xfc
	// acer prints the number of a display within its serial, which has this
	// length without it.
	acer, acerSerial = "ACR", 12
)

var edidHeader = []byte{0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0}

// decodeEDID reads the first block of a display's EDID (VESA E-EDID 1.4): the
// maker as the three letters that UEFI assigns, the model by its name, or by
// the texts that panels of laptops have in its place, or else its number, the
// serial as it is printed on the case or else its number, and the year. Bad
// checksums are common among displays and are not held against them.
func decodeEDID(b []byte) (*pb.Display, error) {
	if len(b) < edidBlock {
		return nil, fmt.Errorf("%d bytes, fewer than the %d of an EDID", len(b), edidBlock)
	}
	if !bytes.Equal(b[:8], edidHeader) {
		return nil, errors.New("it does not begin as an EDID")
	}
	out := new(pb.Display)
	maker := binary.BigEndian.Uint16(b[8:])
	letters := []byte{byte(maker >> 10 & 31), byte(maker >> 5 & 31), byte(maker & 31)}
	for i := range letters {
		letters[i] += 'A' - 1
		if letters[i] < 'A' || letters[i] > 'Z' {
			letters = nil
			break
		}
	}
	out.Manufacturer = string(letters)
	var texts []string
	// Four descriptors of 18 bytes; those of timings do not begin with 0.
	for at := 54; at+18 <= 126; at += 18 {
		d := b[at : at+18]
		if d[0] != 0 || d[1] != 0 || d[2] != 0 {
			continue
		}
		line, _, _ := bytes.Cut(d[5:], []byte{'\n'})
		text := plainText(line)
		switch d[3] {
		case edidSerial:
			out.Serial = first(out.Serial, text)
		case edidName:
			out.Model = first(out.Model, text)
		case edidText:
			texts = append(texts, text)
		}
	}
	product := binary.LittleEndian.Uint16(b[10:])
	if product != 0 {
		out.Product = fmt.Sprintf("%04x", product)
	}
	out.Model = first(out.Model, strings.TrimSpace(strings.Join(texts, " ")), fmt.Sprintf("%04x", product))
	switch n := binary.LittleEndian.Uint32(b[12:]); {
	case n == 0:
	case out.Serial == "":
		out.Serial, out.Numbered = strconv.FormatUint(uint64(n), 10), true
	case out.Manufacturer == acer && len(out.Serial) == acerSerial:
		out.Serial = fmt.Sprintf("%s%08x%s", out.Serial[:8], n, out.Serial[8:])
	}
	if b[17] > 0 {
		out.Year = proto.Int32(1990 + int32(b[17]))
	}
	return out, nil
}
