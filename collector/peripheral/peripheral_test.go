package peripheral

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestWhichThingsHaveARecordOfTheirOwn(t *testing.T) {
	display := func(d *pb.Display) *pb.Hardware { return &pb.Hardware{Displays: []*pb.Display{d}} }
	usb := func(id, vendor, product, serial string) *pb.Hardware {
		return &pb.Hardware{Usb: []*pb.UsbDevice{{Id: id, Vendor: vendor, Product: product, Serial: serial}}}
	}
	for name, tc := range map[string]struct {
		hw   *pb.Hardware
		want string // scope, value and class, empty for a field of the machine
	}{
		"a display with a printed serial":  {display(&pb.Display{Manufacturer: "DEL", Model: "DELL U2720Q", Serial: "CN0Y5H4K09PS", Connector: "DP-3", Product: "40a1"}), "dell CN0Y5H4K09PS display"},
		"one that only has a number":       {display(&pb.Display{Manufacturer: "GSM", Serial: "28539", Year: proto.Int32(2019), Product: "7707", Numbered: true}), "lg:7707:2019 28539 display"},
		"a printed serial of digits":       {display(&pb.Display{Manufacturer: "ENC", Serial: "28539017", Product: "2637"}), "eizo 28539017 display"},
		"an older agent's number":          {display(&pb.Display{Manufacturer: "GSM", Serial: "28539"}), "lg::0 28539 display"},
		"the number of all displays":       {display(&pb.Display{Manufacturer: "GSM", Serial: "16843009", Numbered: true, Product: "7707"}), ""},
		"four letters of a serial":         {display(&pb.Display{Manufacturer: "DEL", Serial: "810895948", Numbered: true, Product: "40a1"}), ""},
		"a laptop's panel by connector":    {display(&pb.Display{Manufacturer: "DEL", Serial: "CN0Y5H4K09PS", Connector: "eDP-1", Product: "40a1"}), ""},
		"a panel on an older bus":          {display(&pb.Display{Manufacturer: "SHP", Serial: "CN0Y5H4K09PS", Connector: "LVDS-1"}), ""},
		"a Mac's panel":                    {display(&pb.Display{Manufacturer: "APP", Serial: "CN0Y5H4K09PS", BuiltIn: true}), ""},
		"a panel whose place nobody says":  {display(&pb.Display{Manufacturer: "AUO", Serial: "CN0Y5H4K09PS"}), ""},
		"a display without a serial":       {display(&pb.Display{Manufacturer: "DEL", Model: "DELL U2720Q"}), ""},
		"of no maker":                      {display(&pb.Display{Serial: "CN0Y5H4K09PS"}), ""},
		"a dock":                           {usb("17ef:a391", "Lenovo", "ThinkPad Hybrid USB-C with USB-A Dock", "1S40AF0135"), "usb:17ef:a391 1S40AF0135 peripheral"},
		"a webcam":                         {usb("046d:085e", "Logitech", "BRIO Ultra HD Webcam", "4F3B21AC"), "usb:046d:085e 4F3B21AC peripheral"},
		"a webcam numbered by date":        {usb("1bcf:2284", "Sunplus", "Full HD webcam", "202001010001"), ""},
		"a dock without a number":          {usb("17ef:a391", "Lenovo", "USB-C Dock", "000000000000"), ""},
		"a controller's root hub":          {usb("1d6b:0003", "Linux 6.8 xhci-hcd", "xHCI Host Controller", "0000:00:14.0"), ""},
		"what is built in":                 {&pb.Hardware{Usb: []*pb.UsbDevice{{Id: "04f2:b6d0", Product: "Camera", Serial: "4F3B21AC", BuiltIn: true}}}, ""},
		"a phone":                          {usb("18d1:4ee1", "Google", "Pixel (MTP)", "8A2X0G7QK"), ""},
		"a memory stick":                   {usb("0951:1666", "Kingston", "DataTraveler 3.0", "E0D55EA573DC"), ""},
		"what a guest sees of its host's":  {&pb.Hardware{Virtual: proto.Bool(true), Displays: []*pb.Display{{Manufacturer: "DEL", Serial: "CN0Y5H4K09PS"}}}, ""},
		"what is no number of the USB":     {usb("17ef", "Lenovo", "Dock", "1S40AF0135"), ""},
		"a version in place of the number": {usb("0bda:8153", "Realtek", "USB LAN", "01.00.00.4A"), ""},
	} {
		got := ""
		for _, thing := range Of(&pb.Device{Hardware: tc.hw}) {
			got += fmt.Sprintf("%s %s %s", thing.Identifier.GetScope(), thing.Identifier.GetValue(), thing.Device.GetClass())
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// The order of a list, and what stands in it twice, do not matter; a hostile one
// is cut.
func TestAListIsASet(t *testing.T) {
	var hw pb.Hardware
	for i := range 2 * Max {
		hw.Displays = append(hw.Displays, &pb.Display{Manufacturer: "DEL", Serial: fmt.Sprintf("CN0Y5H4K%04d", i%(Max+50)), Product: "40a1"})
	}
	all := Of(&pb.Device{Hardware: &hw})
	slices.Reverse(hw.Displays)
	again := Of(&pb.Device{Hardware: &hw})
	if len(all) != Max || len(again) != Max {
		t.Fatalf("%d and %d things, want %d", len(all), len(again), Max)
	}
	for i := range all {
		if all[i].Key() != again[i].Key() {
			t.Fatalf("thing %d is %q or %q by the order of the list", i, all[i].Key(), again[i].Key())
		}
	}
}
