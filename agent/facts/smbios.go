package facts

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// smbiosTable is what the structures of a machine's SMBIOS table say, as the
// firmware wrote it: placeholders such as "Default string" are left in, since
// what is junk is judged in one place, by the collector. See DMTF DSP0134.
type smbiosTable struct {
	biosVendor, biosVersion, biosDate                  string
	manufacturer, product, version, serial, uuid, sku  string
	family, boardSerial, boardAssetTag                 string
	chassisManufacturer, chassis, chassisSerial, asset string
	processors                                         []smbiosProcessor
	modules                                            []smbiosModule

	seen map[byte]bool
	// otherMemory has the handles of memory arrays that are not main memory.
	otherMemory map[uint16]bool
}

type smbiosProcessor struct {
	model          string
	cores, threads int
}

type smbiosModule struct {
	array                                              uint16
	size                                               int64
	kind, slot, bank, manufacturer, serial, partNumber string
	speed                                              int
}

// smbiosStructure is one structure: its formatted part, header included, and
// the strings that follow it.
type smbiosStructure struct {
	data    []byte
	strings [][]byte
}

// smbiosVersion returns the version that an entry point states, of either kind.
func smbiosVersion(entry []byte) (major, minor byte, err error) {
	switch {
	case len(entry) >= 9 && bytes.HasPrefix(entry, []byte("_SM3_")):
		return entry[7], entry[8], nil
	case len(entry) >= 8 && bytes.HasPrefix(entry, []byte("_SM_")):
		return entry[6], entry[7], nil
	}
	return 0, 0, errors.New("the SMBIOS entry point is neither of version 2 nor 3")
}

// decodeSMBIOS reads the structures of a table. An error tells where the table
// is damaged; what stands before that place is returned with it. Tables before
// version 2.6 have the bytes of the UUID in the order in which they are
// printed, later ones have its first three fields with the low byte first.
func decodeSMBIOS(table []byte, major, minor byte) (*smbiosTable, error) {
	t := &smbiosTable{seen: make(map[byte]bool), otherMemory: make(map[uint16]bool)}
	oldUUID := major < 2 || major == 2 && minor < 6
	size := len(table)
	for len(table) > 0 {
		s, rest, err := nextStructure(table)
		if err != nil {
			return t, fmt.Errorf("SMBIOS table, at byte %d of %d: %w", size-len(table), size, err)
		}
		if s.data[0] == 127 {
			break
		}
		t.add(s, oldUUID)
		table = rest
	}
	kept := t.modules[:0]
	for _, m := range t.modules {
		if !t.otherMemory[m.array] {
			kept = append(kept, m)
		}
	}
	t.modules = kept
	return t, nil
}

// nextStructure splits the first structure off a table.
func nextStructure(table []byte) (s smbiosStructure, rest []byte, err error) {
	if len(table) < 4 {
		return s, nil, errors.New("it ends inside a structure")
	}
	length := int(table[1])
	switch {
	case length < 4:
		return s, nil, fmt.Errorf("a structure of %d bytes, less than its header", length)
	case length > len(table):
		return s, nil, errors.New("it ends inside a structure")
	}
	s.data, rest = table[:length], table[length:]
	// No strings: two NULs. Otherwise each ends with one, and all with one more.
	if len(rest) >= 2 && rest[0] == 0 && rest[1] == 0 {
		return s, rest[2:], nil
	}
	for {
		end := bytes.IndexByte(rest, 0)
		switch {
		case end < 0 && s.data[0] == 127:
			return s, nil, nil
		case end < 0:
			return s, nil, errors.New("it ends inside a string")
		case end == 0:
			return s, rest[1:], nil
		}
		s.strings = append(s.strings, rest[:end])
		rest = rest[end+1:]
	}
}

// text returns the string whose number stands at an offset.
func (s smbiosStructure) text(offset int) string {
	if n := int(s.byte(offset)); n > 0 && n <= len(s.strings) {
		return plainText(s.strings[n-1])
	}
	return ""
}

func (s smbiosStructure) byte(offset int) byte {
	if offset >= len(s.data) {
		return 0
	}
	return s.data[offset]
}

func (s smbiosStructure) word(offset int) uint16 {
	if offset+2 > len(s.data) {
		return 0
	}
	return binary.LittleEndian.Uint16(s.data[offset:])
}

func (s smbiosStructure) dword(offset int) uint32 {
	if offset+4 > len(s.data) {
		return 0
	}
	return binary.LittleEndian.Uint32(s.data[offset:])
}

// add files a structure. Of those that describe the whole machine, the first
// counts: others are of boards and enclosures in it.
func (t *smbiosTable) add(s smbiosStructure, oldUUID bool) {
	kind := s.data[0]
	first := !t.seen[kind]
	t.seen[kind] = true
	switch {
	case kind == 0 && first:
		t.biosVendor, t.biosVersion, t.biosDate = s.text(4), s.text(5), firmwareDate(s.text(8))
	case kind == 1 && first:
		t.manufacturer, t.product, t.version, t.serial = s.text(4), s.text(5), s.text(6), s.text(7)
		t.sku, t.family = s.text(0x19), s.text(0x1a)
		if len(s.data) >= 0x18 {
			t.uuid = smbiosUUID([16]byte(s.data[8:0x18]), oldUUID)
		}
	case kind == 2 && first:
		t.boardSerial, t.boardAssetTag = s.text(7), s.text(8)
	case kind == 3 && first:
		t.chassisManufacturer, t.chassisSerial, t.asset = s.text(4), s.text(7), s.text(8)
		t.chassis = chassisName(int(s.byte(5) & 0x7f))
	case kind == 4:
		t.addProcessor(s)
	case kind == 16 && s.byte(5) != 3 && len(s.data) > 5:
		t.otherMemory[s.word(2)] = true
	case kind == 17:
		t.addModule(s)
	}
}

// addProcessor takes central processors in sockets that are in use.
func (t *smbiosTable) addProcessor(s smbiosStructure) {
	const central, populated = 3, 1 << 6
	if s.byte(5) != central || s.byte(0x18)&populated == 0 {
		return
	}
	p := smbiosProcessor{model: s.text(0x10), cores: int(s.byte(0x23)), threads: int(s.byte(0x25))}
	if p.cores == 0xff && s.word(0x2a) != 0 {
		p.cores = int(s.word(0x2a))
	}
	if p.threads == 0xff && s.word(0x2e) != 0 {
		p.threads = int(s.word(0x2e))
	}
	t.processors = append(t.processors, p)
}

// addModule takes memory devices that are installed.
func (t *smbiosTable) addModule(s smbiosStructure) {
	const unknown, extended, kib = 0xffff, 0x7fff, 0x8000
	m := smbiosModule{array: s.word(4)}
	switch size := s.word(0x0c); {
	case size == 0 || size == unknown:
		return
	case size == extended:
		m.size = int64(s.dword(0x1c)&0x7fffffff) << 20
	case size&kib != 0:
		m.size = int64(size&^kib) << 10
	default:
		m.size = int64(size) << 20
	}
	m.slot, m.bank, m.kind = s.text(0x10), s.text(0x11), memoryTypes[s.byte(0x12)]
	m.manufacturer, m.serial, m.partNumber = s.text(0x17), s.text(0x18), s.text(0x1a)
	if m.speed = int(s.word(0x15)); m.speed == 0xffff {
		m.speed = int(s.dword(0x54) & 0x7fffffff)
	}
	t.modules = append(t.modules, m)
}

// smbiosUUID returns the text of a UUID; all zeros and all ones mean that
// there is none.
func smbiosUUID(b [16]byte, old bool) string {
	if b == [16]byte{} || b == [16]byte(bytes.Repeat([]byte{0xff}, 16)) {
		return ""
	}
	if !old {
		b[0], b[1], b[2], b[3] = b[3], b[2], b[1], b[0]
		b[4], b[5], b[6], b[7] = b[5], b[4], b[7], b[6]
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// firmwareDate turns mm/dd/yyyy into yyyy-mm-dd, empty for anything else; a
// year of two digits is one of the 20th century.
func firmwareDate(s string) string {
	if len(s) == 8 {
		s = s[:6] + "19" + s[6:]
	}
	if len(s) != 10 || s[2] != '/' || s[5] != '/' {
		return ""
	}
	for i, c := range []byte(s) {
		if i != 2 && i != 5 && (c < '0' || c > '9') {
			return ""
		}
	}
	return s[6:] + "-" + s[:2] + "-" + s[3:5]
}

// memoryTypes are the types of memory that are still met, by their number in
// structure 17.
var memoryTypes = map[byte]string{
	0x03: "DRAM", 0x07: "RAM", 0x0f: "SDRAM", 0x11: "RDRAM", 0x12: "DDR", 0x13: "DDR2", 0x14: "DDR2 FB-DIMM",
	0x18: "DDR3", 0x1a: "DDR4", 0x1b: "LPDDR", 0x1c: "LPDDR2", 0x1d: "LPDDR3", 0x1e: "LPDDR4",
	0x1f: "Logical non-volatile device", 0x20: "HBM", 0x21: "HBM2", 0x22: "DDR5", 0x23: "LPDDR5", 0x24: "HBM3",
}

// chassisNames are the kinds of chassis by their number in structure 3.
var chassisNames = []string{
	1: "other", 2: "unknown", 3: "desktop", 4: "low profile desktop", 5: "pizza box", 6: "mini tower", 7: "tower",
	8: "portable", 9: "laptop", 10: "notebook", 11: "hand held", 12: "docking station", 13: "all in one",
	14: "sub notebook", 15: "space-saving", 16: "lunch box", 17: "main server chassis", 18: "expansion chassis",
	19: "sub chassis", 20: "bus expansion chassis", 21: "peripheral chassis", 22: "raid chassis",
	23: "rack mount chassis", 24: "sealed-case pc", 25: "multi-system chassis", 26: "compact pci",
	27: "advanced tca", 28: "blade", 29: "blade enclosure", 30: "tablet", 31: "convertible", 32: "detachable",
	33: "iot gateway", 34: "embedded pc", 35: "mini pc", 36: "stick pc",
}

func chassisName(n int) string {
	if n < 0 || n >= len(chassisNames) {
		return ""
	}
	return chassisNames[n]
}
