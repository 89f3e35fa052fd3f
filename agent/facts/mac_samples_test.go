package facts

import (
	"encoding/json"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/agent/facts/ioreg"
	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// macSamples are those of the GLPI agent, with what it makes of them. Its
// licence keeps them out of this repository.
type macSamples struct {
	t      *testing.T
	dir    string
	fields int
}

func openMacSamples(t *testing.T) *macSamples {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "shared", "data", "agent", "glpi")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no samples of the GLPI agent beside the repository: %v", err)
	}
	s := &macSamples{t: t, dir: dir}
	t.Cleanup(func() { t.Logf("%d fields compared", s.fields) })
	return s
}

func (s *macSamples) read(elements ...string) []byte {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{s.dir}, elements...)...))
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// expected reads the tests of one of GLPI's files of them.
func (s *macSamples) expected(name, tests string, into any) {
	s.t.Helper()
	var file struct {
		Expected map[string]json.RawMessage `json:"expected"`
	}
	if err := json.Unmarshal(s.read("expected", name), &file); err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(file.Expected[tests], into); err != nil {
		s.t.Fatal(err)
	}
}

func (s *macSamples) profile(name string) profile {
	s.t.Helper()
	p, err := decodeProfile(s.read("macos", "system_profiler", name))
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	return p
}

// same compares one field.
func (s *macSamples) same(sample, field string, want, got any) {
	s.t.Helper()
	if s.fields++; !cmp.Equal(want, got) {
		s.t.Errorf("%s: %s is %v, want %v", sample, field, got, want)
	}
}

func TestMacSampleProcessor(t *testing.T) {
	s := openMacSamples(t)
	var tests map[string][]struct {
		Name   string `json:"NAME"`
		Core   string `json:"CORE"`
		Thread int    `json:"THREAD"`
	}
	s.expected("tasks__inventory__macos__cpu.json", "tests", &tests)
	for name, want := range tests {
		values := decodeSysctl(s.read("macos", "sysctl", name))
		s.same(name, "number", len(want), 1)
		s.same(name, "name", want[0].Name, values["machdep.cpu.brand_string"])
		s.same(name, "cores", want[0].Core, strconv.FormatInt(positive(values, "hw.physicalcpu", "machdep.cpu.core_count"), 10))
		s.same(name, "threads", int64(want[0].Thread), positive(values, "hw.logicalcpu", "machdep.cpu.thread_count"))
		s.same(name, "architecture", "arm64", macMachine(values))
	}
}

func TestMacSampleBootTime(t *testing.T) {
	s := openMacSamples(t)
	var tests map[string]string
	s.expected("tasks__inventory__macos__uptime.json", "tests", &tests)
	for text, want := range tests {
		sec, err := strconv.ParseInt(want, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		s.same(text, "seconds", sec-sec%60, macBootTime(text).GetSeconds())
	}
}

func TestMacSampleHostname(t *testing.T) {
	s := openMacSamples(t)
	var tests map[string]string
	s.expected("tasks__inventory__macos__hostname.json", "tests", &tests)
	for name, want := range tests {
		got := ""
		s.profile(name).each(func(item, _ proplist.Dict) {
			if n := item.Text("Computer Name"); n != "" {
				got = n
			}
		}, "SPSoftwareDataType")
		s.same(name, "computer name", want, got)
	}
}

func TestMacSampleMemory(t *testing.T) {
	s := openMacSamples(t)
	var tests map[string][]struct {
		Capacity    json.RawMessage `json:"CAPACITY"`
		Description string          `json:"DESCRIPTION"`
		Serial      string          `json:"SERIALNUMBER"`
		Speed       string          `json:"SPEED"`
		Type        string          `json:"TYPE"`
	}
	s.expected("tasks__inventory__macos__memory.json", "memories_tests", &tests)
	known := func(text string) string {
		if text == "Unknown" || text == "Integrated memory" {
			return ""
		}
		return text
	}
	for name, want := range tests {
		got := macMemory(s.profile(name))
		i := 0
		for _, w := range want {
			mib, err := strconv.ParseInt(strings.Trim(string(w.Capacity), `"`), 10, 64)
			if err != nil {
				// An empty slot, which is no module.
				continue
			}
			if i == len(got) {
				t.Fatalf("%s: %d modules", name, i)
			}
			m := got[i]
			i++
			s.same(name, "size", mib<<20, m.GetSizeBytes())
			s.same(name, "type", w.Type, m.Type)
			s.same(name, "part number", known(w.Description), m.PartNumber)
			s.same(name, "serial", known(w.Serial), m.Serial)
			speed := ""
			if m.SpeedMts != nil {
				speed = strconv.Itoa(int(m.GetSpeedMts()))
			}
			// GLPI leaves the speed out where it is not in its own unit.
			if w.Speed != "" {
				s.same(name, "speed", w.Speed, speed)
			}
		}
		s.same(name, "number of modules", i, len(got))
	}
}

func TestMacSampleInterfaces(t *testing.T) {
	s := openMacSamples(t)
	var tests map[string][]struct {
		Description string `json:"DESCRIPTION"`
		MAC         string `json:"MACADDR"`
		Address     string `json:"IPADDRESS"`
		Mask        string `json:"IPMASK"`
		Type        string `json:"TYPE"`
		Virtual     int    `json:"VIRTUALDEV"`
	}
	s.expected("tasks__inventory__macos__networks.json", "tests", &tests)
	kinds := map[string]string{"dialup": "wwan"}
	for name, want := range tests {
		list := decodeIfconfig(s.read("macos", "ifconfig", name))
		ports := decodePorts(s.read("macos", "ifconfig", name+"-networksetup"))
		joinPorts(list, ports)
		s.same(name, "number of interfaces", len(want), len(list))
		titles := portTitles(s.read("macos", "ifconfig", name+"-networksetup"))
		for _, w := range want {
			at := slices.IndexFunc(list, func(i *pb.Interface) bool { return i.Name == w.Description || titles[i.Name] == w.Description })
			if at < 0 {
				t.Errorf("%s: no interface %s", name, w.Description)
				continue
			}
			i := list[at]
			s.same(name+" "+w.Description, "MAC", w.MAC, i.Mac)
			if w.Type != "" {
				kind := w.Type
				if ours, ok := kinds[kind]; ok {
					kind = ours
				}
				s.same(name+" "+w.Description, "kind", kind, i.Kind)
			}
			// For us a bridge over hardware is none itself.
			s.same(name+" "+w.Description, "virtual", w.Virtual == 1 || w.Type == "bridge", i.GetVirtual())
			if addr, err := netip.ParseAddr(w.Address); err == nil && !addr.IsLinkLocalUnicast() {
				s.same(name+" "+w.Description, "address", true, slices.Contains(i.Addresses, w.Address+"/"+strconv.Itoa(maskLength(t, w.Mask))))
			}
		}
	}
}

// portTitles returns what networksetup calls interfaces.
func portTitles(text []byte) map[string]string {
	out, title := map[string]string{}, ""
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "Hardware Port":
			title = value
		case "Device":
			out[value] = title
		}
	}
	return out
}

func maskLength(t *testing.T, mask string) int {
	t.Helper()
	addr, err := netip.ParseAddr(mask)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, b := range addr.AsSlice() {
		for ; b&0x80 != 0; b <<= 1 {
			n++
		}
	}
	return n
}

func TestMacSampleUSB(t *testing.T) {
	s := openMacSamples(t)
	var tests map[string][]struct {
		Name    string `json:"NAME"`
		Vendor  string `json:"VENDORID"`
		Product string `json:"PRODUCTID"`
		Serial  string `json:"SERIAL"`
	}
	s.expected("tasks__inventory__macos__usb.json", "tests", &tests)
	hexNumber := func(text string) string {
		return strings.Repeat("0", max(0, 6-len(text))) + strings.TrimPrefix(text, "0x")
	}
	for name, want := range tests {
		entries, err := ioreg.Decode(s.read("macos", "ioreg", name))
		if err != nil {
			t.Fatal(err)
		}
		got := macUSB(entries)
		s.same(name, "number of devices", len(want), len(got))
		for i, w := range want {
			s.same(name, "product", w.Name, got[i].Product)
			s.same(name, "id", hexNumber(w.Vendor)+":"+hexNumber(w.Product), got[i].Id)
			s.same(name, "serial", w.Serial, got[i].Serial)
		}
	}
}

func TestMacSampleDisks(t *testing.T) {
	s := openMacSamples(t)
	for _, kind := range []string{"testsSerialATA", "testsUSBStorage", "testsCardReader", "testsFireWireStorage"} {
		var tests map[string][]struct {
			Name   string  `json:"NAME"`
			Maker  string  `json:"MANUFACTURER"`
			Model  string  `json:"MODEL"`
			Serial string  `json:"SERIAL"`
			Rev    string  `json:"FIRMWARE"`
			Size   float64 `json:"DISKSIZE"`
		}
		s.expected("tasks__inventory__macos__storages.json", kind, &tests)
		for name, want := range tests {
			got := macDisks(s.profile(name))
			i := 0
			for _, w := range want {
				if w.Size == 0 {
					// A drive or card reader without a medium, which is no disk.
					continue
				}
				if i == len(got) {
					t.Fatalf("%s: %d disks", name, i)
				}
				d := got[i]
				i++
				s.same(name, "name", w.Name, d.Name)
				s.same(name, "serial", w.Serial, d.Serial)
				s.same(name, "firmware", w.Rev, d.Firmware)
				if w.Maker != "" {
					model := strings.TrimSpace(w.Maker + " " + w.Model)
					if w.Maker == w.Model {
						model = w.Maker
					}
					s.same(name, "model", strings.ToLower(model), strings.ToLower(d.Model))
				}
				// GLPI takes system_profiler's gigabytes for 1024 MB each, and its
				// exact bytes for megabytes of 1024² or 1000²: 5 % cover all.
				s.same(name, "size", true, math.Abs(float64(d.GetSizeBytes())/(w.Size*1e6)-1) < 0.051)
			}
			s.same(name, "number of disks", i, len(got))
		}
	}
}

func TestMacSampleGraphics(t *testing.T) {
	s := openMacSamples(t)
	var tests map[string][]struct {
		Chipset string `json:"CHIPSET"`
		Memory  string `json:"MEMORY"`
	}
	s.expected("tasks__inventory__macos__videos.json", "tests", &tests)
	for name, want := range tests {
		got := macGPUs(s.profile(name))
		s.same(name, "number", len(want), len(got))
		for i, w := range want {
			s.same(name, "name", w.Chipset, got[i].Name)
			s.same(name, "memory", w.Memory, strconv.FormatInt(got[i].GetMemoryBytes()>>20, 10))
		}
	}
	s.same("10.6.5-dual-monitor", "displays", 2, len(macDisplays(s.profile("10.6.5-dual-monitor"))))
}

func TestMacSampleBattery(t *testing.T) {
	s := openMacSamples(t)
	var tests map[string]struct {
		Capacity string `json:"CAPACITY"`
		Voltage  string `json:"VOLTAGE"`
	}
	s.expected("tasks__inventory__macos__batteries.json", "tests", &tests)
	for name, want := range tests {
		var b macBattery
		b.addPower(s.profile(name))
		s.same(name, "capacity", want.Capacity, strconv.FormatInt(b.full, 10))
		s.same(name, "voltage", want.Voltage, strconv.FormatInt(b.volts, 10))
		s.same(name, "cycles", int32(552), b.battery().GetCycleCount())
		s.same(name, "energy", int32(46192), b.battery().GetFullMwh())
	}
}

// Every value that GLPI finds in the text form of system_profiler is found.
func TestMacSampleProfiles(t *testing.T) {
	s := openMacSamples(t)
	var tests map[string]map[string]any
	s.expected("agent__tools__macos.json", "system_profiler_tests", &tests)
	for name, want := range tests {
		p := s.profile(name)
		for title, section := range want {
			kind := title
			if known := profileTitles[title]; known != "" {
				kind = known
			}
			for _, item := range p[kind] {
				s.sameTree(name+": "+title, section, item)
			}
			s.same(name, title, true, len(p[kind]) == 1)
		}
	}
}

func (s *macSamples) sameTree(at string, want any, got proplist.Dict) {
	s.t.Helper()
	tree, ok := want.(map[string]any)
	if !ok {
		return
	}
	for key, w := range tree {
		switch w := w.(type) {
		case string:
			s.same(at, key, strings.TrimSpace(w), got.Text(key))
		case map[string]any:
			// GLPI numbers headings that are there twice: Device_0.
			name, number, _ := strings.Cut(key, "_")
			var alike []proplist.Dict
			for _, c := range got.Dicts(profileItems) {
				if slices.Contains([]string{strings.TrimSpace(key), name}, c.Text(profileName)) {
					alike = append(alike, c)
				}
			}
			n := 0
			if k, err := strconv.Atoi(number); err == nil {
				n = k + 1
			}
			if n >= len(alike) {
				s.t.Errorf("%s: no heading %s", at, key)
				continue
			}
			s.sameTree(at+": "+key, w, alike[n])
		}
	}
}

// The applications that system_profiler lists are all decoded: their number,
// without those of virtual machines, is what GLPI counts.
func TestMacSampleApplications(t *testing.T) {
	s := openMacSamples(t)
	var tests map[string][]int
	s.expected("tasks__inventory__macos__softwares.json", "tests", &tests)
	for name, want := range tests {
		file := name + ".SPApplicationsDataType"
		if _, err := os.Stat(filepath.Join(s.dir, "macos", "system_profiler", file)); err != nil {
			file += "-xml"
		}
		n := 0
		s.profile(file).each(func(item, _ proplist.Dict) {
			// The text form has a heading above them all.
			if place := item.Text("path", "Location"); item.List(profileItems) == nil && !slices.ContainsFunc(strings.Split(place, "/"), ofGuest) {
				n++
			}
		}, "SPApplicationsDataType")
		s.same(file, "number", want[0], n)
	}
}
