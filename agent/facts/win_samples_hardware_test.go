package facts

import (
	"math"
	"strconv"
	"strings"
	"testing"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestWinSampleProcessors(t *testing.T) {
	type cpu struct{ Name, Speed string }
	winSamples(t, "tasks__inventory__windows__cpu.json", "tests", func(s *winSample, want []cpu) {
		c := s.query("processors", "Win32_Processor").key("CentralProcessor").learn("cpu").GetHardware().GetCpu()
		if c == nil {
			// Those whose values come from dmidecode alone have no such files.
			return
		}
		s.same("number", len(want), int(c.GetSockets()))
		speed := 0
		for _, w := range want {
			n, _ := strconv.Atoi(w.Speed)
			speed = max(speed, n)
		}
		// What dmidecode says, where GLPI has that, is rounded.
		s.same("clock", true, math.Abs(float64(speed)-float64(c.GetMhz())) < 0.01*float64(speed))
		if s.name != "xp" {
			// There, GLPI's name is dmidecode's: "Core 2 Duo".
			s.same("name", want[0].Name, strings.NewReplacer("(R)", "", "(TM)", "").Replace(c.GetModel()))
		}
	})
}

func TestWinSampleDisks(t *testing.T) {
	type disk struct {
		Model, Serial, Firmware, Interface, Type, Name string
		Disksize                                       int64
	}
	winSamples(t, "tasks__inventory__windows__storages.json", "tests", func(s *winSample, want []disk) {
		d := s.query("physical_disks", "MSFT_PhysicalDisk").query("disk_drives", "Win32_DiskDrive").learn("disks").GetHardware().GetDisks()
		for _, w := range want {
			if strings.Contains(w.Model, "CD-ROM") {
				// A drive, and no disk.
				continue
			}
			if len(d) == 0 {
				s.t.Errorf("%s: %s is not listed", s.name, w.Model)
				continue
			}
			g := d[0]
			d = d[1:]
			s.same("model", w.Model, g.Model)
			s.same("serial", w.Serial, g.Serial)
			s.same("firmware", w.Firmware, g.Firmware)
			s.same("size", w.Disksize, g.GetSizeBytes()/1e6)
			bus := map[string]string{"NVMe": "nvme", "SATA": "sata", "IDE": "sata", "SCSI": "scsi"}[w.Interface]
			s.same("bus", bus, g.Bus)
			kind := map[string]string{"SSD": "nvme", "Virtual": "virtual", "Fixed hard disk media": "virtual"}[w.Type]
			s.same("kind", kind, g.Kind)
		}
		s.same("disks more than expected", 0, len(d))
	})
}

func TestWinSampleVolumes(t *testing.T) {
	type volume struct {
		Letter, Filesystem, Type string
		Total, Free              int64
	}
	winSamples(t, "tasks__inventory__windows__drives.json", "tests", func(s *winSample, want []volume) {
		list := s.query("volumes", "Win32_Volume").learn("volumes").GetStorage().GetVolumes()
		if _, ok := s.queries["volumes"]; !ok {
			// Windows XP has no such class, and the agent does not run there.
			return
		}
		bySize := make(map[int64]*pb.Volume)
		for _, v := range list {
			bySize[v.GetSizeBytes()>>20] = v
		}
		for _, w := range want {
			if w.Type != "Local Disk" {
				continue
			}
			v := bySize[w.Total]
			if v == nil {
				// GLPI has C: from another machine than the volumes of the sample.
				s.same(w.Letter+" is the other machine's", "C:", w.Letter)
				continue
			}
			s.same(w.Letter+" file system", strings.ToLower(w.Filesystem), v.Filesystem)
			s.same(w.Letter+" free", steady(w.Free<<20)>>20, steady(v.GetFreeBytes())>>20)
			if strings.Contains(w.Letter, `:\`) {
				s.same(w.Letter, strings.TrimRight(w.Letter, `\`), v.Mount)
			}
		}
	})
}

func TestWinSampleGraphics(t *testing.T) {
	type adapter struct {
		Name   string
		Memory int64
	}
	winSamples(t, "tasks__inventory__windows__video.json", "tests", func(s *winSample, want []adapter) {
		d := s.query("video_controllers", "Win32_VideoController").key("{4d36e968-e325-11ce-bfc1-08002be10318}").learn("gpus").GetHardware()
		got := make(map[string]*pb.Gpu)
		for _, g := range d.GetGpus() {
			got[g.Name] = g
		}
		for _, w := range want {
			if strings.Contains(w.Name, "Remote Display") {
				continue
			}
			s.same(w.Name, w.Name, got[w.Name].GetName())
			s.same(w.Name+" memory", w.Memory, got[w.Name].GetMemoryBytes()>>20)
			delete(got, w.Name)
		}
		s.same("adapters more than expected", 0, len(got))
	})
}

func TestWinSampleMemory(t *testing.T) {
	type module struct{ Capacity, Speed, Serialnumber string }
	winSamples(t, "tasks__inventory__windows__memory.json", "tests", func(s *winSample, want []module) {
		got := s.query("memory_modules", "Win32_PhysicalMemory").learn("smbios").GetHardware().GetMemoryModules()
		s.same("number", len(want), len(got))
		for i, w := range want[:min(len(want), len(got))] {
			s.same("size", w.Capacity, strconv.FormatInt(got[i].GetSizeBytes()>>20, 10))
			s.same("speed", w.Speed, strconv.Itoa(int(got[i].GetSpeedMts())))
			s.same("serial", w.Serialnumber, got[i].Serial)
		}
	})
}

func TestWinSampleFirmware(t *testing.T) {
	type bios struct{ Bdate, Bversion, Smanufacturer, Smodel string }
	winSamples(t, "tasks__inventory__windows__bios.json", "tests", func(s *winSample, want bios) {
		h := s.query("bios", "Win32_Bios").query("computer_system", "Win32_ComputerSystem").learn("smbios").GetHardware()
		s.same("maker", want.Smanufacturer, h.GetManufacturer())
		s.same("model", want.Smodel, h.GetModel())
		s.same("version", want.Bversion, h.GetFirmware().GetVersion())
		s.same("date", want.Bdate, strings.Join([]string{h.GetFirmware().GetDate()[5:7], h.GetFirmware().GetDate()[8:], h.GetFirmware().GetDate()[:4]}, "/"))
	})
}

func TestWinSampleUSB(t *testing.T) {
	type device struct{ Productid, Vendorid, Serial, Name string }
	winSamples(t, "tasks__inventory__windows__usb.json", "tests", func(s *winSample, want []device) {
		got := make(map[string]string)
		for _, u := range s.query("usb_devices", "CIM_LogicalDevice").learn("usb").GetHardware().GetUsb() {
			got[u.Id] += u.Serial + ";"
		}
		for _, w := range want {
			id := strings.ToLower(w.Vendorid + ":" + w.Productid)
			serials, ok := got[id]
			if !ok {
				// A hub is a part of the bus.
				s.same(id+" is a hub", true, strings.HasSuffix(w.Name, " Hub"))
				continue
			}
			s.same(id, true, strings.Contains(serials, w.Serial+";"))
			delete(got, id)
		}
		s.same("devices more than expected", 0, len(got))
	})
}
