package facts

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"html"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// winSample is one Windows machine of the GLPI agent's samples, of which its
// tests tell what they are. Its licence keeps them out of this repository.
type winSample struct {
	t      *testing.T
	dir    string
	name   string
	fields *int
	// registry is what the machine's files of the registry hold.
	registry bytes.Buffer
	queries  map[string][]host.Row
}

// winSamples calls fn with each sample that a file of expected values has, and
// with the values.
func winSamples[T any](t *testing.T, file, tests string, fn func(*winSample, T)) {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "shared", "data", "agent", "glpi")
	data, err := os.ReadFile(filepath.Join(dir, "expected", file))
	if os.IsNotExist(err) {
		t.Skipf("no samples of the GLPI agent beside the repository: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Expected map[string]json.RawMessage `json:"expected"`
	}
	want := make(map[string]T)
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(all.Expected[tests], &want); err != nil {
		t.Fatal(err)
	}
	fields, samples := 0, 0
	for name, expected := range want {
		samples++
		fn(&winSample{t: t, dir: filepath.Join(dir, "win32"), name: name, fields: &fields, queries: map[string][]host.Row{}}, expected)
	}
	if fields == 0 {
		t.Error("nothing was compared")
	}
	t.Logf("%d samples, %d fields compared", samples, fields)
}

// text returns a file, which Windows's tools write as UTF-16.
func (s *winSample) text(elements ...string) (string, bool) {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{s.dir}, elements...)...))
	if os.IsNotExist(err) {
		return "", false
	}
	if err != nil {
		s.t.Fatal(err)
	}
	// Some have lost the mark at the beginning.
	if rest, wide := bytes.CutPrefix(b, []byte{0xff, 0xfe}); wide || len(b) > 1 && b[1] == 0 {
		units := make([]uint16, len(rest)/2)
		for i := range units {
			units[i] = binary.LittleEndian.Uint16(rest[2*i:])
		}
		b = []byte(string(utf16.Decode(units)))
	}
	return strings.ReplaceAll(strings.TrimPrefix(string(b), "\ufeff"), "\r", ""), true
}

// key adds a file of the registry, if the sample has it.
func (s *winSample) key(name string) *winSample {
	s.t.Helper()
	text, ok := s.text("registry", s.name+"-"+name+".reg")
	if ok {
		_, body, _ := strings.Cut(text, "\n")
		s.registry.WriteString("\n" + body)
	}
	return s
}

// query adds the rows of a class of WMI as those of a query.
func (s *winSample) query(name, class string) *winSample {
	s.t.Helper()
	text, ok := s.text("wmi", s.name+"-"+class+".wmi")
	if !ok {
		return s
	}
	row := host.Row{}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			continue
		}
		if _, again := row[key]; again {
			s.queries[name] = append(s.queries[name], row)
			row = host.Row{}
		}
		value = html.UnescapeString(value)
		if list, ok := strings.CutPrefix(value, "{"); ok {
			value = strings.ReplaceAll(strings.ReplaceAll(strings.TrimSuffix(list, "}"), `"`, ""), ",", ";")
		}
		row[key] = value
	}
	s.queries[name] = append(s.queries[name], row)
	return s
}

// learn learns facts of the sample.
func (s *winSample) learn(facts ...string) *pb.Device {
	s.t.Helper()
	h := winMachine(s.t, s.registry.String(), s.queries)
	var list []Fact
	for _, f := range windowsFacts() {
		for _, name := range facts {
			if f.Name == name {
				list = append(list, f)
			}
		}
	}
	r := Collect(s.t.Context(), h, Options{Facts: list})
	for _, p := range r.Problems {
		s.t.Errorf("%s: %v", s.name, p)
	}
	return r.Device
}

// same compares one field.
func (s *winSample) same(field string, want, got any) {
	s.t.Helper()
	if *s.fields++; !cmp.Equal(want, got) {
		s.t.Errorf("%s: %s is %v, want %v", s.name, field, got, want)
	}
}

// glpiDay returns a day as GLPI writes it, "" for none.
func glpiDay(t interface{ AsTime() time.Time }, ok bool) string {
	if !ok {
		return ""
	}
	return t.AsTime().Format("02/01/2006")
}

func TestWinSampleSoftware(t *testing.T) {
	type row struct {
		From, Guid, Name, Version, Publisher, Installdate string
		Release                                           string `json:"RELEASE_TYPE"`
	}
	winSamples(t, "tasks__inventory__windows__softwares.json", "softwares_tests", func(s *winSample, want []row) {
		d := s.key("Uninstall").learn("programs")
		got := make(map[string]*pb.Software)
		for _, r := range d.Software {
			got[r.ProductId] = r
		}
		left := 0
		for _, w := range want {
			g := got[w.Guid]
			if w.From != "registry" {
				continue
			}
			if g == nil {
				// What is no program of its own is said by the registry itself.
				if !s.hidden(w.Guid) {
					s.t.Errorf("%s: %s (%s) is not listed", s.name, w.Name, w.Guid)
				}
				left++
				continue
			}
			s.same(w.Guid+" name", w.Name, g.Name)
			s.same(w.Guid+" publisher", w.Publisher, g.Publisher)
			if w.Version != "" {
				s.same(w.Guid+" version", w.Version, g.Version)
			}
			if w.Installdate != "" {
				s.same(w.Guid+" day", w.Installdate, glpiDay(g.InstalledAt, g.InstalledAt != nil))
			}
			delete(got, w.Guid)
		}
		for id, g := range got {
			s.t.Errorf("%s: %s (%s) is listed, which GLPI does not have", s.name, g.Name, id)
		}
		s.t.Logf("%s: %d of %d rows are updates, parts or without a name, and left out", s.name, left, len(want))
	})
}

// hidden tells whether the registry marks an entry as none of the programs.
func (s *winSample) hidden(id string) bool {
	_, section, ok := strings.Cut(s.registry.String(), `Uninstall\`+id+"]\n")
	section, _, _ = strings.Cut(section, "\n[")
	return ok && (!strings.Contains(section, `"DisplayName"=`) || strings.Contains(section, `"SystemComponent"=dword:00000001`) ||
		strings.Contains(section, `"ParentKeyName"=`) || strings.Contains(section, `"ParentDisplayName"=`) || strings.Contains(section, `"ReleaseType"=`))
}

func TestWinSampleHotfixes(t *testing.T) {
	type row struct{ Name, Installdate string }
	winSamples(t, "tasks__inventory__windows__softwares.json", "hotfixes_tests", func(s *winSample, want []row) {
		got := make(map[string]string)
		for _, u := range s.query("hotfixes", "Win32_QuickFixEngineering").learn("installed_updates").GetPatch().GetInstalled() {
			got[u.Id] = glpiDay(u.InstalledAt, u.InstalledAt != nil)
		}
		s.same("number of updates", len(want), len(got))
		for _, w := range want {
			s.same(w.Name, w.Installdate, got[w.Name])
		}
	})
}

func TestWinSampleFirewall(t *testing.T) {
	winSamples(t, "tasks__inventory__windows__firewall.json", "expectedFirewallProfiles", func(s *winSample, want map[string]struct{ Status string }) {
		state := "on"
		for _, p := range want {
			if p.Status != "STATUS_ON" {
				state = "off"
			}
		}
		got := s.key("DomainProfile").key("StandardProfile").key("PublicProfile").learn("firewall").GetSecurity().GetFirewall()
		s.same("state", state, got.GetState())
	})
}

func TestWinSampleUsers(t *testing.T) {
	winSamples(t, "tasks__inventory__windows__users.json", "tests", func(s *winSample, want struct{ Login, Domain string }) {
		s.key("LogonUI")
		s.key("S-1-12-1-1778064242-1251273316-772277320-2482684374")
		u := s.learn("primary_user").GetPrimaryUser()
		domain, login, ok := strings.Cut(u.GetName(), `\`)
		if !ok {
			// A local account, whose domain is the machine.
			domain, login = want.Domain, domain
		}
		if domain == "AzureAD" {
			login, domain, _ = strings.Cut(u.GetEmail(), "@")
		}
		s.same("login", want.Login, login)
		s.same("domain", want.Domain, domain)
	})
}

func TestWinSampleInterfaces(t *testing.T) {
	type adapter struct {
		Macaddr, Ipaddress, Ipmask, Ipaddress6, Pnpdeviceid string
		Virtualdev                                          int
	}
	winSamples(t, "agent__tools__win32.json", "tests", func(s *winSample, want []adapter) {
		list := s.query("network_adapters", "Win32_NetworkAdapter").query("network_configurations", "Win32_NetworkAdapterConfiguration").
			key("Network").key("{4D36E972-E325-11CE-BFC1-08002BE10318}").learn("interfaces").GetNetwork().GetInterfaces()
		got := make(map[string]*pb.Interface)
		for _, i := range list {
			got[i.Mac] = i
		}
		for _, w := range want {
			i := got[strings.ToLower(w.Macaddr)]
			if i == nil {
				// Miniports have no connection of their own.
				s.same(w.Pnpdeviceid+" is software's", true, strings.HasPrefix(w.Pnpdeviceid, `ROOT\`))
				continue
			}
			if w.Ipaddress != "" {
				s.same(w.Pnpdeviceid, withPrefixes(w.Ipaddress, w.Ipmask)[0], i.Addresses[0])
			}
			if !strings.HasPrefix(w.Pnpdeviceid, `ROOT\`) {
				s.same(w.Pnpdeviceid+" virtual", w.Virtualdev == 1, i.GetVirtual())
			}
		}
	})
}
