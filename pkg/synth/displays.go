package synth

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// displayShare is how many devices there are for each display.
const displayShare = 10

// displayCount is how many displays the estate has, which come after its devices
// in the numbers of its truth.
func (e *Estate) displayCount() int {
	if e.hazards&Displays == 0 {
		return 0
	}
	return e.devices/displayShare + 1
}

// DisplayTruths returns the numbers of the displays by what is printed on them.
func (e *Estate) DisplayTruths() map[string]int {
	truths := make(map[string]int, e.displayCount())
	for d := range e.displayCount() {
		truths[e.displaySerial(d)] = e.devices + d
	}
	return truths
}

// displaySerial is what is printed on display d. One in ten has the number of a
// computer of the same maker.
func (e *Estate) displaySerial(d int) string {
	if d%10 == 0 {
		plain := &Estate{fleet: e.fleet, devices: e.devices}
		for i := range family * 8 {
			if m := plain.machine((d*family + i) % e.devices); m.maker == "Dell Inc." && m.kind <= desktop && d*family < e.devices {
				return m.serial
			}
		}
	}
	return "CN0Y" + number((d*777_779+7)%(34*34*34*34*34*34), 6) + "PS"
}

// displaysOf are the displays that a machine lists: its panel, that of the desk
// where it is now, and one whose number is in all of its model.
func (e *Estate) displaysOf(m *machine) []*pb.Display {
	if m.kind != laptop || e.displayCount() == 0 {
		return nil
	}
	r := e.fleet.rand(m.i, "displays")
	out := []*pb.Display{{Manufacturer: "AUO", Model: "B140HAN", Connector: "eDP-1", BuiltIn: true, Product: "213d"}}
	if r.IntN(3) == 0 {
		out = append(out, &pb.Display{Manufacturer: "DEL", Model: "DELL U2720Q", Serial: e.displaySerial(r.IntN(e.displayCount())), Connector: "DP-1", Product: "40a1", Year: proto.Int32(2021)})
	}
	if r.IntN(10) == 0 {
		out = append(out, &pb.Display{Manufacturer: "GSM", Model: "LG TV", Serial: "16843009", Numbered: true, Connector: "HDMI-A-1", Product: "0001"})
	}
	return out
}

// displayOrders are the purchases of the displays, in the spelling of lists.
func (e *Estate) displayOrders() []Statement {
	var out []Statement
	for d := range e.displayCount() {
		serial := e.displaySerial(d)
		maker := []string{"Dell", "DELL INC.", "dell"}[d%3]
		if e.hazards&Spelling != 0 && d%2 == 0 {
			serial = " " + serial[:3] + "-" + serial[3:]
		}
		at := Now.AddDate(0, 0, -400)
		out = append(out, Statement{e.devices + d, &pb.Observation{Source: "orders", SourceId: fmt.Sprintf("display-%d", d), ObservedAt: timestamppb.New(at),
			Subject: &pb.Observation_Device{Device: &pb.Device{Class: "display", Hardware: &pb.Hardware{Manufacturer: maker, Model: "U2720Q", Serial: serial},
				Purchase: &pb.Purchase{OrderNumber: fmt.Sprintf("PO-D%d", d/20), OrderedAt: at.Format(time.DateOnly)}}}}})
	}
	return out
}
