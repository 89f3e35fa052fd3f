package facts

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// known are the values on which we differ from the GLPI agent on purpose.
type known map[string]string

// compare counts a field and tells of one that differs without a reason.
func (s *macSamples) compare(why known, sample, field, want, got string) {
	s.t.Helper()
	s.fields++
	reason, expected := why[sample+" "+field]
	switch {
	case want != got && !expected:
		s.t.Errorf("%s: %s is %q, want %q", sample, field, got, want)
	case want == got && expected:
		s.t.Errorf("%s: %s is as wanted, although %s", sample, field, reason)
	case want != got:
		s.t.Logf("%s: %s is %q and not %q: %s", sample, field, got, want, reason)
	}
}

const (
	fromAList = "GLPI computes this maker's serials from a list of its models; the display does not send it"
	ciphers   = "the display sends a text of 0, and a number that is a placeholder too"
	noNumber  = "GLPI writes a number that is not there as zeros"
)

func TestEDIDSamples(t *testing.T) {
	s := openMacSamples(t)
	var want map[string]struct {
		Caption      string `json:"CAPTION"`
		Description  string `json:"DESCRIPTION"`
		Manufacturer string `json:"MANUFACTURER"`
		Serial       string `json:"SERIAL"`
	}
	s.expected("tasks__inventory__generic__screen.json", "edid_tests", &want)
	makers := map[string]string{
		"ENC": "Eizo Nanao Corporation", "ACR": "Acer Technologies", "BNQ": "BenQ Corporation", "LTN": "Litronic Inc", "MEI": "Panasonic Industry Company",
		"DEL": "Dell Inc.", "IQT": "IMAGEQUEST Co., Ltd", "IVM": "Iiyama North America", "CPQ": "Compaq Computer Company", "MED": "Messeltronik Dresden GmbH",
		"NOK": "Nokia Display Products", "MAX": "Rogen Tech Distribution Inc", "CMO": "Chi Mei Optoelectronics corp.", "PTS": "Plain Tree Systems Inc",
		"HWP": "Hewlett Packard", "LGP": "LGP", "AUO": "AU Optronics", "GSM": "Goldstar Company Ltd", "PHL": "Philips Consumer Electronics Company",
		"LPL": "LG Philips", "SAM": "Samsung Electric Company", "VSC": "ViewSonic Corporation", "LEN": "Lenovo Group Limited",
	}
	why := known{
		"benq-bl2420-tf serial": fromAList, "benq-bl2420-tf.2 serial": fromAList, "benq-bl2420-tf.3 serial": fromAList, "lcd.lg-l1960.1 serial": fromAList,
		"lcd.samsung-s22c450 serial": fromAList, "lcd.samsung-s24e450 serial": fromAList, "iiyama-PL2779A serial": ciphers,
		"crt.iiyama-404 serial": noNumber, "lcd.hp-nx-7000 serial": noNumber, "lcd.hp-nx-7010 serial": noNumber, "lcd.lenovo-3000-v100 serial": noNumber, "lcd.presario-R4000 serial": noNumber,
	}
	for name, w := range want {
		got, err := decodeEDID(s.read("generic", "edid", name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s.compare(why, name, "maker", w.Manufacturer, makers[got.Manufacturer])
		if w.Caption != "" { // without a name we give the model's number
			s.compare(why, name, "model", strings.TrimSpace(w.Caption), got.Model)
		}
		s.compare(why, name, "year", w.Description[strings.LastIndex(w.Description, "/")+1:], strconv.Itoa(int(got.GetYear())))
		serial := got.Serial
		// GLPI writes numbers as eight digits of 16.
		if n, err := strconv.ParseUint(serial, 10, 32); err == nil && fmt.Sprintf("%08x", n) == w.Serial {
			serial = w.Serial
		}
		s.compare(why, name, "serial", strings.TrimSpace(w.Serial), serial)
	}
}

func TestCPUInfoSamples(t *testing.T) {
	s := openMacSamples(t)
	type processor struct {
		Name         string
		Core, Thread json.Number
	}
	why := known{"linux-alpha-1 model": "GLPI gives no name, the kernel does", "linux-hp-dl180 threads": "one of its four processors is offline"}
	for _, arch := range []string{"alpha", "arm", "i386", "mips", "ppc", "sparc"} {
		file := map[string]map[string][]processor{}
		s.expectedFile("tasks__inventory__linux__cpu.json", &file)
		for name, want := range file[arch] {
			if name == "linux-raspberry-pi-3-model-b-on-bookworm" {
				// GLPI takes the numbers of its processors for their names.
				continue
			}
			p := decodeCPUInfo(s.read("linux", "proc", "cpuinfo", name))
			s.compare(why, name, "model", want[0].Name, p.model)
			if p.sockets == 0 || want[0].Core == "" {
				continue
			}
			cores, threads := 0, 0
			for _, w := range want {
				n, err1 := strconv.Atoi(string(w.Core))
				m, err2 := strconv.Atoi(string(w.Thread))
				if err1 != nil || err2 != nil {
					t.Fatal(name, err1, err2)
				}
				cores, threads = cores+n, threads+n*m
			}
			s.compare(why, name, "sockets", strconv.Itoa(len(want)), strconv.Itoa(p.sockets))
			s.compare(why, name, "cores", strconv.Itoa(cores), strconv.Itoa(p.cores))
			s.compare(why, name, "threads", strconv.Itoa(threads), strconv.Itoa(p.threads))
		}
	}
}

func TestReleaseSamples(t *testing.T) {
	s := openMacSamples(t)
	var want map[string]struct {
		Name    string `json:"NAME"`
		Version string `json:"VERSION"`
	}
	s.expected("tasks__inventory__linux__distro.json", "osrelease", &want)
	for name, w := range want {
		tree := fstest.MapFS{"etc/os-release": {Data: s.read("linux", "distro", "os-release-"+name)}}
		switch name {
		case "debian-11.2":
			tree["etc/debian_version"] = &fstest.MapFile{Data: s.read("linux", "distro", "debian_version-"+name)}
		case "centos-7.9":
			tree["etc/centos-release"] = &fstest.MapFile{Data: s.read("linux", "distro", "centos-release-"+name)}
		}
		d := new(pb.Device)
		if err := learnOS(t.Context(), &host.Host{FS: tree, OS: "linux"}, d); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		version, _, _ := strings.Cut(w.Version, " (") // and the release's name
		s.compare(nil, name, "name", w.Name, d.Os.GetName())
		s.compare(nil, name, "version", version, d.Os.GetVersion())
	}
}

func TestDefenderSample(t *testing.T) {
	s := openMacSamples(t)
	var want map[string]*struct {
		Enabled  int    `json:"ENABLED"`
		UpToDate int    `json:"UPTODATE"`
		Version  string `json:"VERSION"`
	}
	s.expected("tasks__inventory__linux__antivirus__defender.json", "av_tests", &want)
	for name, w := range want {
		found := &protectorFound{antivirus: new(pb.Antivirus), edr: &pb.Edr{State: "running"}}
		err := found.defender(s.read("linux", "antivirus", name+".json"))
		if w == nil {
			s.compare(nil, name, "version", "", found.edr.GetVersion())
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		s.compare(nil, name, "enabled", strconv.FormatBool(w.Enabled == 1), strconv.FormatBool(found.antivirus.GetEnabled()))
		s.compare(nil, name, "up to date", strconv.FormatBool(w.UpToDate == 1), strconv.FormatBool(found.antivirus.GetUpToDate()))
		s.compare(nil, name, "version", w.Version, found.edr.GetVersion())
	}
}

func TestUdevSample(t *testing.T) {
	s := openMacSamples(t)
	var want map[string]map[string]string
	s.expected("agent__tools__linux.json", "udev_tests", &want)
	for name, w := range want {
		udev := decodeUdev(s.read("linux", "udev", name))
		s.compare(nil, name, "serial", w["SERIALNUMBER"], udev["ID_SERIAL_SHORT"])
		s.compare(nil, name, "firmware", w["FIRMWARE"], udev["ID_REVISION"])
		s.compare(nil, name, "bus", w["DESCRIPTION"], udev["ID_BUS"])
		// GLPI leaves udev's underscores in place of blanks.
		s.compare(nil, name, "model", w["MODEL"], strings.ReplaceAll(unescapeUdev(udev["ID_MODEL_ENC"]), " ", "_"))
	}
}

// expectedFile reads all the tests of one of GLPI's files of them.
func (s *macSamples) expectedFile(name string, into any) {
	s.t.Helper()
	var file struct {
		Expected json.RawMessage `json:"expected"`
	}
	if err := json.Unmarshal(s.read("expected", name), &file); err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(file.Expected, into); err != nil {
		s.t.Fatal(err)
	}
}
