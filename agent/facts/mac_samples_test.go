package facts

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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

// has tells whether a sample is there.
func (s *macSamples) has(elements ...string) bool {
	_, err := os.Stat(filepath.Join(append([]string{s.dir}, elements...)...))
	return err == nil
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
