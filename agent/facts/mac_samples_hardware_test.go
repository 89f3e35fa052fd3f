package facts

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/rollcall-itam/rollcall/agent/facts/ioreg"
)

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
