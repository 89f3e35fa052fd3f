package identity

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func attachedThing(source, class, maker, serial, product string, ids ...*pb.Identifier) Claim {
	return NewClaim(&pb.Observation{Source: source, SourceId: serial + product, ObservedAt: timestamppb.New(day0), Identifiers: ids, Subject: &pb.Observation_Device{
		Device: &pb.Device{Class: class, Name: "U2720Q", Hardware: &pb.Hardware{Manufacturer: maker, Serial: serial, ModelId: product}}}}, History{})
}

// A display, a dock and a computer that happen to have the same serial number are
// three things, whoever states it and in whichever place.
func TestSerialsOfDisplaysAndComputersAreApart(t *testing.T) {
	const serial = "5XK2J93"
	number := &pb.Identifier{Kind: Serial, Scope: "Dell", Value: serial}
	computers := []Claim{
		attachedThing("agent", "", "Dell Inc.", serial, ""),
		attachedThing("mdm", "laptop", "", serial, ""),
		attachedThing("cmdb", "desktop", "", "", "", number),
	}
	things := []Claim{
		attachedThing("orders", "display", "Dell", serial, ""),
		attachedThing("orders2", "display", "", "", "", number),
		attachedThing("parts", "peripheral", "", "", "", &pb.Identifier{Kind: Part, Scope: "usb:413c:b06e", Value: serial}),
	}
	var all []Claim
	all = append(append(all, computers...), things...)
	for _, tie := range Resolve(all, nil).Ties {
		kinds := make(map[bool]bool)
		for _, ref := range tie.Records {
			kinds[strings.HasPrefix(ref.Source, "orders") || ref.Source == "parts"] = true
		}
		if len(kinds) > 1 {
			t.Errorf("a computer and what is attached to one are tied: %v", tie.Records)
		}
	}
	if got := told(Resolve(all, nil)); !strings.Contains(got, "orders/5XK2J93 orders2/") || !strings.Contains(got, " | parts/") {
		t.Errorf("groups %s: want the orders for a display to be one, and the dock alone", got)
	}
}

func TestDisplays(t *testing.T) {
	part := func(scope, value string) *pb.Identifier {
		return &pb.Identifier{Kind: Part, Scope: scope, Value: value}
	}
	for name, tc := range map[string]struct {
		a, b Claim
		one  bool
	}{
		"seen and bought":                 {attachedThing("parts", "display", "DEL", "CN0Y5H4K09PS", "DEL40A1"), attachedThing("orders", "display", "Dell Inc.", "cn-0y5h4k-09ps", ""), true},
		"of two names of one maker":       {attachedThing("parts", "display", "HWP", "3CQ1234ABC", ""), attachedThing("orders", "display", "Hewlett-Packard", "3CQ1234ABC", ""), true},
		"a maker that no list has":        {attachedThing("parts", "display", "QQQ", "AB12345678", ""), attachedThing("orders", "display", "qqq", "AB12345678", ""), true},
		"Lenovo's label":                  {attachedThing("parts", "display", "LEN", "V906XK2A", "LEN61F8"), attachedThing("orders", "display", "Lenovo", "1S61AFGAT1UKV906XK2A", ""), true},
		"of another maker":                {attachedThing("parts", "display", "DEL", "CN0Y5H4K09PS", ""), attachedThing("orders", "display", "HP", "CN0Y5H4K09PS", ""), false},
		"of another model":                {attachedThing("parts", "display", "DEL", "CN0Y5H4K09PS", "DEL40A1"), attachedThing("parts2", "display", "DEL", "CN0Y5H4K09PS", "DEL40A2"), false},
		"numbered alike in another model": {attachedThing("parts", "display", "SAM", "8077", "SAM0F9C", part(NumberScope("SAM", "0F9C", 2020), "8077")), attachedThing("orders", "display", "Samsung", "8077", ""), false},
		"a number in both":                {attachedThing("parts", "display", "SAM", "80771", "SAM0F9C", part(NumberScope("SAM", "0F9C", 2020), "80771")), attachedThing("parts2", "display", "SAM", "80771", "SAM0F9C", part(NumberScope("SAM", "0f9c", 2020), "80771")), true},
		"the number of all displays":      {attachedThing("parts", "display", "SAM", "16843009", ""), attachedThing("parts2", "display", "SAM", "16843009", ""), false},
	} {
		if got := len(Resolve([]Claim{tc.a, tc.b}, nil).Groups) == 1; got != tc.one {
			t.Errorf("%s: one thing is %v, want %v: %v and %v", name, got, tc.one, tc.a.Keys, tc.b.Keys)
		}
	}
}

func TestNumbersThatAreNoDisplaysOwn(t *testing.T) {
	for n, want := range map[uint32]bool{0: false, 1: false, 257: false, 16843009: false, 0x4c585930: false /* 0YXL */, 0xffffffff: false,
		28539: true, 810895948: false /* 0UJL */, 2_166_000_001: true} {
		if got := Numbered(n); got != want {
			t.Errorf("%d (%#x): a display's own is %v, want %v", n, n, got, want)
		}
	}
	for value, want := range map[string]bool{"16843009": false, "0": false, "1": false, "0000000000": false, "00000000": false, "123456789": false, "11111111": false, "CN0Y5H4K09PS": true} {
		if got := UsableSerial("dell", value); got != want {
			t.Errorf("serial %s: usable is %v, want %v", value, got, want)
		}
	}
}

// The list of makers is in force line by line.
func TestEveryMakerOfDisplaysIsKnown(t *testing.T) {
	if len(displayMakers()) < 25 {
		t.Errorf("only %d makers were read", len(displayMakers()))
	}
	for letters, m := range displayMakers() {
		if PartScope(m.name) != m.word || PartScope(letters) != m.word || MakerName(letters) != m.name {
			t.Errorf("%s: %q by its letters, %q by its name %q, want %q", letters, PartScope(letters), PartScope(m.name), m.name, m.word)
		}
	}
}
