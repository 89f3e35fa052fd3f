package smart

import (
	"encoding/binary"
	"strings"
	"testing"
)

// sealed sets the checksum of a structure.
func sealed(b []byte) []byte {
	var sum byte
	for _, c := range b[:SectorBytes-1] {
		sum += c
	}
	b[SectorBytes-1] = -sum
	return b
}

type attribute struct {
	id, flags, value byte
	raw              uint32
}

func attributes(list ...attribute) []byte {
	b := make([]byte, SectorBytes)
	b[0] = 16
	for i, a := range list {
		e := b[ataFirst+i*ataSize:]
		e[0], e[1], e[3], e[4] = a.id, a.flags, a.value, a.value
		binary.LittleEndian.PutUint32(e[5:], a.raw)
	}
	return sealed(b)
}

func limits(pairs ...byte) []byte {
	b := make([]byte, SectorBytes)
	b[0] = 16
	for i := 0; i < len(pairs); i += 2 {
		b[ataFirst+i/2*ataSize], b[ataFirst+i/2*ataSize+1] = pairs[i], pairs[i+1]
	}
	return sealed(b)
}

func TestATA(t *testing.T) {
	well := attributes(attribute{1, 0x0f, 118, 170_000_000}, attribute{5, 0x33, 100, 0}, attribute{194, 0x22, 30, 30}, attribute{197, 0x12, 100, 0})
	for _, c := range []struct {
		name             string
		data, thresholds []byte
		exceeded         bool
		want             Health
		err              string
	}{
		{"well", well, limits(1, 6, 5, 36), false, OK, ""},
		{"no thresholds", well, nil, false, OK, ""},
		{"broken thresholds", well, make([]byte, SectorBytes), false, OK, ""},
		{"says so", well, limits(1, 6), true, Failing, ""},
		{"says so without data", nil, nil, true, Failing, ""},
		{"below a threshold", attributes(attribute{5, 0x33, 36, 2000}), limits(5, 36), false, Failing, ""},
		{"old age is no failure", attributes(attribute{9, 0x32, 1, 90000}), limits(9, 1), false, OK, ""},
		{"replaced sectors", attributes(attribute{5, 0x33, 99, 8}), limits(5, 36), false, Warning, ""},
		{"pending sectors", attributes(attribute{197, 0x12, 100, 1}), nil, false, Warning, ""},
		{"cut short", well[:300], nil, false, "", "300 bytes"},
		{"empty", make([]byte, SectorBytes), nil, false, "", "empty"},
		{"wrong checksum", append([]byte{9}, well[1:]...), nil, false, "", "checksum"},
	} {
		got, err := ATA(c.data, c.thresholds, c.exceeded)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
}

func TestNVMe(t *testing.T) {
	log := func(set map[int]byte) []byte {
		b := make([]byte, SectorBytes)
		b[1], b[2], b[3], b[4], b[5] = 0x36, 0x01, 100, 10, 3
		for at, v := range set {
			b[at] = v
		}
		return b
	}
	for _, c := range []struct {
		name string
		log  []byte
		want Health
	}{
		{"well", log(nil), OK},
		{"hot", log(map[int]byte{0: 2}), OK},
		{"read only", log(map[int]byte{0: 8}), Failing},
		{"unreliable", log(map[int]byte{0: 4 | 1}), Failing},
		{"spare used up", log(map[int]byte{3: 9}), Warning},
		{"says that spare is used up", log(map[int]byte{0: 1}), Warning},
		{"worn out", log(map[int]byte{5: 100}), Warning},
		{"lost data", log(map[int]byte{161: 1}), Warning},
		{"empty", make([]byte, SectorBytes), ""},
		{"cut short", log(nil)[:511], ""},
	} {
		if got, err := NVMe(c.log); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
}

func TestSCSI(t *testing.T) {
	for _, c := range []struct {
		page []byte
		want Health
	}{
		{[]byte{0x2f, 0, 0, 8, 0, 0, 3, 4, 0, 0, 30, 0}, OK},
		{[]byte{0x2f, 0, 0, 8, 0, 0, 3, 4, 0x5d, 0x10, 30, 0}, Failing},
		{[]byte{0x2f, 0, 0, 8, 0, 0, 3, 4, 0x5d, 0xff, 30, 0}, OK},
		{[]byte{0x2f, 0, 0, 8, 0, 0, 3, 4, 0x0b, 0x03, 30, 0}, Warning},
		{[]byte{0x2f, 0, 0, 8, 0, 0, 3, 4, 0x0b, 0x01, 30, 0}, OK},
		{[]byte{0x2f, 0, 0, 8, 0, 1, 3, 4, 0x5d, 0, 30, 0}, ""},
		{[]byte{0x0d, 0, 0, 8, 0, 0, 3, 4, 0, 0, 30, 0}, ""},
		{[]byte{0x2f}, ""},
	} {
		if got, err := SCSI(c.page); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("% x: %q, %v", c.page, got, err)
		}
	}
}

func FuzzHealth(f *testing.F) {
	f.Add(attributes(attribute{5, 0x33, 36, 2000}), limits(5, 36))
	f.Add([]byte{0x2f, 0, 0, 8, 0, 0, 3, 4, 0x5d, 0x10, 30, 0}, []byte{})
	f.Fuzz(func(t *testing.T, data, thresholds []byte) {
		for _, judge := range []func() (Health, error){
			func() (Health, error) { return ATA(data, thresholds, false) },
			func() (Health, error) { return NVMe(data) },
			func() (Health, error) { return SCSI(data) },
		} {
			if h, err := judge(); (h == OK || h == Warning || h == Failing) != (err == nil) {
				t.Fatalf("%q, %v", h, err)
			}
		}
	})
}
