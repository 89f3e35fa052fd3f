package facts

import (
	"encoding/binary"
	"encoding/hex"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// dmiText is one structure as dmidecode prints it: its number, and its lines.
type dmiText struct {
	kind   int
	length int
	handle uint16
	fields map[string]string
}

var (
	dmiHandle = regexp.MustCompile(`Handle 0x([0-9A-Fa-f]{1,4})`)
	dmiHead   = regexp.MustCompile(`DMI type (\d+), (\d+) bytes`)
)

// dmiTexts splits what dmidecode printed; versions before 2.8 put the head of a
// structure into a line of its own.
func dmiTexts(t *testing.T, text string) (list []*dmiText, major, minor byte) {
	t.Helper()
	major, minor = 2, 3
	var handle uint64
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, "SMBIOS "); ok && strings.Contains(v, " present") {
			a, b, _ := strings.Cut(v, ".")
			b, _, _ = strings.Cut(b, " ")
			b, _, _ = strings.Cut(b, ".")
			x, err1 := strconv.ParseUint(a, 10, 8)
			y, err2 := strconv.ParseUint(b, 10, 8)
			if err1 != nil || err2 != nil {
				t.Fatal(line, err1, err2)
			}
			major, minor = byte(x), byte(y)
		}
		if m := dmiHandle.FindStringSubmatch(line); m != nil && strings.HasPrefix(line, "Handle") {
			handle, _ = strconv.ParseUint(m[1], 16, 16)
		}
		if m := dmiHead.FindStringSubmatch(line); m != nil {
			kind, _ := strconv.Atoi(m[1])
			length, _ := strconv.Atoi(m[2])
			list = append(list, &dmiText{kind, length, uint16(handle), map[string]string{}})
			continue
		}
		key, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if value = strings.TrimSuffix(strings.TrimPrefix(value, " "), "\n"); ok && len(list) > 0 {
			if f := list[len(list)-1].fields; f[key] == "" {
				f[key] = value
			}
		}
	}
	return list, major, minor
}

// dmiBytes is the structure that firmware has where dmidecode printed this.
type dmiBytes struct {
	data    []byte
	strings []string
	from    *dmiText
}

// text puts a string's number at an offset. What dmidecode calls not specified
// has none.
func (b *dmiBytes) text(offset int, names ...string) {
	if offset >= len(b.data) {
		return
	}
	for _, name := range names {
		if v, ok := b.from.fields[name]; ok {
			if v != "" && v != "Not Specified" {
				b.strings = append(b.strings, v)
				b.data[offset] = byte(len(b.strings))
			}
			return
		}
	}
}

func (b *dmiBytes) word(offset int, value uint64) {
	if offset+2 <= len(b.data) {
		binary.LittleEndian.PutUint16(b.data[offset:], uint16(value))
	}
}

// number returns the number that a field begins with, and its unit.
func (f *dmiText) number(name string) (n uint64, unit string) {
	words := strings.Fields(f.fields[name])
	if len(words) < 2 {
		return 0, ""
	}
	n, err := strconv.ParseUint(words[0], 10, 32)
	if err != nil {
		return 0, ""
	}
	return n, words[1]
}

func (f *dmiText) encode(t *testing.T, oldUUID bool) []byte {
	t.Helper()
	b := &dmiBytes{data: make([]byte, max(f.length, 4)), from: f}
	b.data[0], b.data[1] = byte(f.kind), byte(len(b.data))
	binary.LittleEndian.PutUint16(b.data[2:], f.handle)
	switch f.kind {
	case 0:
		b.text(4, "Vendor")
		b.text(5, "Version")
		b.text(8, "Release Date", "Release")
	case 1:
		b.text(4, "Manufacturer", "Vendor")
		b.text(5, "Product Name", "Product")
		b.text(6, "Version")
		b.text(7, "Serial Number")
		b.text(0x19, "SKU Number")
		b.text(0x1a, "Family")
		f.uuid(t, b.data, oldUUID)
	case 2:
		b.text(4, "Manufacturer", "Vendor")
		b.text(7, "Serial Number")
	case 3:
		kind := strings.ToLower(f.fields["Type"] + f.fields["Chassis Type"])
		b.data[5] = byte(max(slices.Index(chassisNames, kind), 0))
		b.text(7, "Serial Number")
		b.text(8, "Asset Tag")
	case 16:
		if f.fields["Use"] == "System Memory" {
			b.data[5] = 3
		}
	case 17:
		f.memory(t, b)
	}
	out := b.data
	for _, s := range b.strings {
		out = append(append(out, s...), 0)
	}
	if len(b.strings) == 0 {
		out = append(out, 0)
	}
	return append(out, 0)
}

func (f *dmiText) uuid(t *testing.T, data []byte, old bool) {
	t.Helper()
	raw, err := hex.DecodeString(strings.ReplaceAll(f.fields["UUID"], "-", ""))
	if len(data) < 0x18 || len(raw) != 16 {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if !old {
		slices.Reverse(raw[:4])
		slices.Reverse(raw[4:6])
		slices.Reverse(raw[6:8])
	}
	copy(data[8:], raw)
}

func (f *dmiText) memory(t *testing.T, b *dmiBytes) {
	t.Helper()
	if v, err := strconv.ParseUint(strings.TrimPrefix(f.fields["Array Handle"], "0x"), 16, 16); err == nil {
		b.word(4, v)
	}
	size, unit := f.number("Size")
	if strings.HasPrefix(unit, "G") {
		size <<= 10
	}
	if size >= 0x7fff {
		b.word(0x0c, 0x7fff)
		if len(b.data) < 0x20 {
			t.Fatal("a module of 32 GB in a structure without room for it")
		}
		binary.LittleEndian.PutUint32(b.data[0x1c:], uint32(size))
	} else {
		b.word(0x0c, size)
	}
	b.text(0x10, "Locator")
	b.text(0x11, "Bank Locator")
	for number, name := range memoryTypes {
		if name == f.fields["Type"] {
			b.data[0x12] = number
		}
	}
	speed, _ := f.number("Speed")
	b.word(0x15, speed)
	b.text(0x17, "Manufacturer")
	b.text(0x18, "Serial Number")
	b.text(0x1a, "Part Number")
}

// dmiSample decodes the firmware's table that dmidecode printed.
func (s *macSamples) dmiSample(name string) *pb.Hardware {
	s.t.Helper()
	list, major, minor := dmiTexts(s.t, string(s.read(append([]string{"generic", "dmidecode"}, strings.Split(name, "/")...)...)))
	var table []byte
	for _, f := range list {
		table = append(table, f.encode(s.t, major < 2 || major == 2 && minor < 6)...)
	}
	got, err := decodeSMBIOS(table, major, minor)
	if err != nil {
		s.t.Errorf("%s: %v", name, err)
	}
	hw := new(pb.Hardware)
	got.fill(hw)
	return hw
}

// expectedDMI reads GLPI's tests of a module that reads dmidecode, as far as
// their samples are among those that we have.
func expectedDMI[T any](s *macSamples, module string) map[string]T {
	s.t.Helper()
	var all map[string]T
	s.expected("tasks__inventory__generic__dmidecode__"+module+".json", "tests", &all)
	for name := range all {
		if !s.has(append([]string{"generic", "dmidecode"}, strings.Split(name, "/")...)...) {
			delete(all, name)
		}
	}
	return all
}

const (
	placeholder = "what is a placeholder is judged by the collector"
	oldFormat   = "GLPI does not read this line of old versions of dmidecode"
)

func TestDMISampleMachines(t *testing.T) {
	s := openMacSamples(t)
	why := known{
		"rhel-2.1 BDATE": oldFormat, "rhel-2.1 ASSETTAG": placeholder, "vmware-esx ASSETTAG": placeholder, "vmware-esx-2.5 BDATE": oldFormat,
		"vmware-esx-2.5 ASSETTAG": placeholder, "rhel-3.9 SSN": placeholder, "vmware ASSETTAG": placeholder, "linux-1 SMANUFACTURER": placeholder,
		"linux-1 SMODEL": placeholder, "linux-1 SSN": placeholder, "rhel-2.1 chassis": oldFormat, "vmware-esx-2.5 chassis": oldFormat,
	}
	for name, w := range expectedDMI[map[string]any](s, "bios") {
		hw := s.dmiSample(name)
		for field, got := range map[string]string{
			"SMANUFACTURER": hw.Manufacturer, "SMODEL": hw.Model, "SSN": hw.Serial, "BMANUFACTURER": hw.GetFirmware().GetVendor(),
			"BVERSION": hw.GetFirmware().GetVersion(), "BDATE": hw.GetFirmware().GetDate(), "ASSETTAG": hw.AssetTag,
		} {
			want, _ := w[field].(string)
			if field == "BDATE" {
				want = firmwareDate(want)
			}
			s.compare(why, name, field, want, got)
		}
	}
	for name, w := range expectedDMI[map[string]string](s, "hardware") {
		hw := s.dmiSample(name)
		s.compare(why, name, "chassis", strings.ToLower(w["CHASSIS_TYPE"]), hw.Chassis)
		s.compare(why, name, "uuid", strings.ToLower(w["UUID"]), hw.Uuid)
	}
}

func TestDMISampleMemory(t *testing.T) {
	s := openMacSamples(t)
	const (
		jedec = "GLPI gives another form of the name, or none where it reads the number in one way only"
		other = "dmidecode could not print the type, so that the sample lacks it; GLPI knows it by the part number"
	)
	why := known{
		"memory/positivo-informatica maker": jedec, "dell-fx170 serial": placeholder, "dell-fx170 maker": placeholder, "dell-fx170 part": placeholder,
		"hp-dl180 type": other, "linux-1 maker": placeholder, "linux-1 part": placeholder, "linux-2.6 maker": jedec,
		"memory/hynix-kingmax maker": jedec, "S3000AHLX maker": jedec,
	}
	// These have structures of type 6 alone, which SMBIOS gave up in 1998.
	obsolete := []string{"rhel-2.1", "vmware-esx-2.5"}
	for name, want := range expectedDMI[[]map[string]any](s, "memory") {
		got := s.dmiSample(name).MemoryModules
		if slices.Contains(obsolete, name) {
			s.same(name, "number of modules", 0, len(got))
			continue
		}
		i := 0
		for _, w := range want {
			text := func(key string) string { v, _ := w[key].(string); return v }
			if w["CAPACITY"] == nil {
				continue
			}
			if i == len(got) {
				t.Errorf("%s: %d modules", name, i)
				break
			}
			m := got[i]
			i++
			size := text("CAPACITY")
			if n, ok := w["CAPACITY"].(float64); ok {
				size = strconv.Itoa(int(n))
			}
			s.compare(why, name, "size", size, strconv.FormatInt(m.GetSizeBytes()>>20, 10))
			s.compare(why, name, "serial", text("SERIALNUMBER"), m.Serial)
			s.compare(why, name, "type", text("TYPE"), m.Type)
			s.compare(why, name, "maker", text("MANUFACTURER"), m.Manufacturer)
			s.compare(why, name, "part", text("MODEL"), m.PartNumber)
			speed := ""
			if m.SpeedMts != nil {
				speed = strconv.Itoa(int(m.GetSpeedMts()))
			}
			s.compare(why, name, "speed", text("SPEED"), speed)
		}
		s.same(name, "number of modules", i, len(got))
	}
}
