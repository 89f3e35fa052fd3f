package facts

import "testing"

func TestBoardSamples(t *testing.T) {
	s := openMacSamples(t)
	const zeros = "a serial of zeros is none"
	why := known{"linux-armel-1 serial": zeros, "linux-armel-2 serial": zeros}
	var want map[string][]map[string]any
	s.expected("tasks__inventory__linux__arm__board.json", "arm", &want)
	for name, w := range want {
		if !s.has("linux", "proc", "cpuinfo", name) {
			continue
		}
		model, serial := decodeBoard(s.read("linux", "proc", "cpuinfo", name))
		if w[0]["not-a-board"] != nil {
			s.compare(nil, name, "model", "", model)
			continue
		}
		s.compare(nil, name, "model", w[1]["MMODEL"].(string), model)
		s.compare(why, name, "serial", w[1]["SSN"].(string), serial)
	}
}

func TestWinSampleMedia(t *testing.T) {
	winSamples(t, "tasks__inventory__windows__networks.json", "tests", func(s *winSample, want map[string]*string) {
		list := s.query("network_adapters", "Win32_NetworkAdapter").query("network_configurations", "Win32_NetworkAdapterConfiguration").
			key("{4D36E972-E325-11CE-BFC1-08002BE10318}").learn("interfaces").GetNetwork().GetInterfaces()
		physical := 0
		for device, kind := range want {
			if kind == nil {
				continue
			}
			physical++
			s.same(device, 1, len(list))
			s.same(device+" kind", *kind, list[0].Kind)
		}
		s.same("interfaces", physical, len(list))
	})
}
