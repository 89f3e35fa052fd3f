package capture

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rollcall-itam/rollcall/agent/facts"
	"github.com/rollcall-itam/rollcall/agent/host"
)

// The display of a Mac has its serial as a number in two commands, by which they
// belong together, and as text in one: none of them is in a scrubbed capture,
// which is still read as the machine is.
func TestScrubbedDisplays(t *testing.T) {
	from := filepath.Join(t.TempDir(), "mac")
	for name, text := range map[string]string{
		"machine.json": `{"os": "darwin", "time": "2026-02-20T08:00:00Z"}`,
		"files/x":      "",
		"commands/mac_profile_displays": `<plist><array><dict><key>_dataType</key><string>SPDisplaysDataType</string><key>_items</key><array><dict><key>_name</key><string>Apple M3</string><key>sppci_model</key><string>Apple M3</string>
<key>spdisplays_ndrvs</key><array><dict><key>_name</key><string>DELL U2723QE</string><key>_spdisplays_display-vendor-id</key><string>10ac</string>
<key>_spdisplays_display-serial-number</key><string>30423d4c</string><key>_spdisplays_display-year</key><string>2023</string></dict></array></dict></array></dict></array></plist>`,
		"commands/mac_ioreg_framebuffer": `<plist><array><dict><key>DisplayAttributes</key><dict><key>ProductAttributes</key><dict><key>AlphanumericSerialNumber</key><string>9D5RR63</string>
<key>ManufacturerID</key><string>DEL</string><key>ProductName</key><string>DELL U2723QE</string><key>SerialNumber</key><integer>809647436</integer></dict></dict></dict></array></plist>`,
		"commands/mac_ioreg_framebuffer_shim": "",
	} {
		file := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	serial := func(dir string) string {
		h, err := host.Replay(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range facts.Observe(t.Context(), h, facts.Options{}).GetDevice().GetHardware().GetDisplays() {
			return d.GetSerial()
		}
		return "no display"
	}
	if got := serial(from); got != "9D5RR63" {
		t.Fatalf("the display of the test has the serial %s", got)
	}
	h, err := host.Replay(from)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "scrubbed")
	r, err := Take(t.Context(), h, to, Options{Scrub: true, Random: fixedRandom()})
	if err != nil || len(r.Differs) > 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := serial(to); len(got) != len("9D5RR63") || got == "9D5RR63" {
		t.Errorf("the scrubbed display has the serial %s", got)
	}
	for _, leak := range leaks(t, to, []string{"9D5RR63", "809647436", "30423d4c"}) {
		t.Error(leak)
	}
}
