package facts

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rollcall-itam/rollcall/agent/facts/ioreg"
	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestMacSampleFramebuffers(t *testing.T) {
	s := openMacSamples(t)
	var tests map[string]struct {
		Class  map[string]string `json:"class"`
		Expect []struct {
			Number      string `json:"ALTSERIAL"`
			Name        string `json:"CAPTION"`
			Description string `json:"DESCRIPTION"`
			Serial      string `json:"SERIAL"`
		} `json:"expect"`
	}
	s.expected("tasks__inventory__generic__screen.json", "macos_tests", &tests)
	for name, w := range tests {
		entries, err := ioreg.Decode(s.read("macos", "ioreg", w.Class["AppleCLCD2"]))
		if err != nil {
			t.Fatal(err)
		}
		byNumber := make(map[string]productAttributes)
		for _, a := range macAttributes(entries) {
			byNumber[a.number] = a
		}
		displays := 0
		for _, e := range w.Expect {
			if e.Number == "" {
				// The built-in display.
				continue
			}
			displays++
			got := byNumber[e.Number]
			s.same(name, "name", e.Name, got.name)
			s.same(name, "serial", e.Serial, got.serial)
			s.same(name, "maker", "DEL", got.maker)
			s.same(name, "year", e.Description[len(e.Description)-4:], strconv.Itoa(int(got.year)))
		}
		s.same(name, "number of displays", displays, len(byNumber))
	}
}

// A display is known by the same serial at a Mac as it is elsewhere.
func TestDisplaySerialOnAppleSilicon(t *testing.T) {
	attributes := func(maker string, number int64, text string) proplist.Dict {
		return proplist.Dict{"DisplayAttributes": proplist.Dict{"ProductAttributes": proplist.Dict{
			"ManufacturerID": maker, "SerialNumber": number, "AlphanumericSerialNumber": text, "ProductName": "U2723QE", "YearOfManufacture": int64(2023),
		}}}
	}
	entries := []proplist.Dict{
		{"DisplayAttributes": "none"}, {}, attributes("DEL", 809649484, "9D5RR63"), attributes("DEL", 42, ""), attributes("GSM", 809649484, "OTHER"),
	}
	displays := []*pb.Display{
		{Manufacturer: "DEL", Model: "U2723QE", Serial: "809649484"}, {Manufacturer: "DEL", Model: "P2421", Serial: "42"},
		{Manufacturer: "APP", Model: "Color LCD"}, {Manufacturer: "SAM", Serial: "7"},
	}
	completeDisplays(displays, macAttributes(entries))
	year := int32(2023)
	want := []*pb.Display{
		{Manufacturer: "DEL", Model: "U2723QE", Serial: "9D5RR63", Year: &year}, {Manufacturer: "DEL", Model: "P2421", Serial: "42", Year: &year},
		{Manufacturer: "APP", Model: "Color LCD"}, {Manufacturer: "SAM", Serial: "7"},
	}
	if diff := cmp.Diff(want, displays, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}
