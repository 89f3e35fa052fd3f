package identity

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// said is one record of a source as a test writes it: fields, and from which
// day of November 2026 to which it was alive.
type said struct {
	source, id          string
	maker, model        string
	serial, uuid        string
	name, mac, disk     string
	edr                 string
	from, until, booted float64
	virtual             bool
}

func at(day float64) time.Time {
	return day0.Add(time.Duration(day * 24 * float64(time.Hour)))
}

func (s said) claim() Claim {
	d := &pb.Device{Name: s.name, Hardware: &pb.Hardware{Manufacturer: s.maker, Model: s.model, Serial: s.serial, Uuid: s.uuid}}
	if s.virtual {
		d.Hardware.Virtual = proto.Bool(true)
	}
	if s.mac != "" {
		d.Network = &pb.Network{Interfaces: []*pb.Interface{{Name: "eth0", Mac: s.mac}}}
	}
	if s.disk != "" {
		d.Hardware.Disks = []*pb.Disk{{Serial: s.disk}}
	}
	if s.edr != "" {
		d.Edr = &pb.Edr{Vendor: "crowdstrike", Id: s.edr}
	}
	if s.booted != 0 {
		d.Os = &pb.Os{BootedAt: timestamppb.New(at(s.booted))}
	}
	o := &pb.Observation{Source: s.source, SourceId: s.id, ObservedAt: timestamppb.New(at(s.until)), Subject: &pb.Observation_Device{Device: d}}
	unique := s.source != "orders" && s.source != "idp"
	return NewClaim(o, History{Unique: unique, First: at(s.from), Last: at(s.until)})
}

// told writes groups as "agent/1 mdm/1 | agent/2".
func told(r Resolution) string {
	var groups []string
	for _, g := range r.Groups {
		var refs []string
		for _, ref := range g {
			refs = append(refs, ref.String())
		}
		groups = append(groups, strings.Join(refs, " "))
	}
	return strings.Join(groups, " | ")
}

const (
	uuid1 = "9b1c0a52-5a61-4f5e-8a0e-0d7b6a1c2e3f"
	uuid2 = "1f0e2d3c-4b5a-4978-8695-a4b3c2d1e0f9"
	edr1  = "5ebc854de1f3fa31d461fc3d0f4ef3bb"
)

func TestResolve(t *testing.T) {
	for _, tc := range []struct {
		name   string
		said   []said
		want   string
		reason string // part of the reason of a refusal
	}{
		{"one device, spelled four ways", []said{
			{source: "agent", id: "1", maker: "LENOVO", serial: "PF2XK9AB", uuid: uuid1, from: 1, until: 9},
			{source: "mdm", id: "1", maker: "Lenovo", serial: "pf2xk9ab", from: 1, until: 9},
			{source: "orders", id: "1", maker: "Lenovo", serial: "1S20XW003LGEPF2XK9AB", until: 1},
			{source: "edr", id: "1", uuid: "520a1c9b-615a-5e4f-8a0e-0d7b6a1c2e3f", from: 1, until: 9},
		}, "agent/1 edr/1 mdm/1 orders/1", ""},
		{"one number of two makers", []said{
			{source: "mdm", id: "1", maker: "Dell Inc.", serial: "4XKJ2F3", until: 9},
			{source: "agent", id: "2", maker: "Fujitsu", serial: "4XKJ2F3", until: 9},
		}, "agent/2 | mdm/1", "one is made by dell and the other by fujitsu"},
		{"set up anew: the old record is silent before the new one appears", []said{
			{source: "agent", id: "old", maker: "Dell Inc.", serial: "4XKJ2F3", uuid: uuid1, name: "a", from: 1, until: 5},
			{source: "agent", id: "new", maker: "Dell Inc.", serial: "4XKJ2F3", uuid: uuid1, name: "b", from: 5.1, until: 9},
			{source: "orders", id: "1", serial: "4XKJ2F3", until: 0},
		}, "agent/new agent/old orders/1", ""},
		{"copies of a virtual machine, told apart by their network cards", []said{
			{source: "agent", id: "1", maker: "QEMU", uuid: uuid1, name: "web-1", mac: "52:54:00:00:00:01", virtual: true, from: 1, until: 9},
			{source: "agent", id: "2", maker: "QEMU", uuid: uuid1, name: "web-2", mac: "00:50:56:00:00:02", virtual: true, from: 2, until: 9},
			{source: "edr", id: "1", uuid: uuid1, name: "web-1", virtual: true, from: 1, until: 9},
			{source: "edr", id: "2", uuid: uuid1, name: "web-2", mac: "00:50:56:00:00:02", virtual: true, from: 2, until: 9},
		}, "agent/1 edr/1 | agent/2 edr/2", "both were active at the same time"},
		{"boards with one number that no list knows", []said{
			{source: "agent", id: "1", maker: "Biostar", serial: "BT-0815-A", uuid: uuid1, from: 1, until: 9},
			{source: "agent", id: "2", maker: "Biostar", serial: "BT-0815-A", uuid: uuid2, from: 1, until: 9},
			{source: "edr", id: "2", maker: "Biostar", serial: "BT-0815-A", uuid: uuid2, from: 1, until: 9},
		}, "agent/1 | agent/2 edr/2", "agent lists each live device once"},
		{"the same, each seen by one source only", []said{
			{source: "agent", id: "1", serial: "BT-0815-A", uuid: uuid1, from: 1, until: 9},
			{source: "edr", id: "2", serial: "BT-0815-A", uuid: uuid2, from: 1, until: 9},
		}, "agent/1 | edr/2", "different hardware UUIDs"},
		{"a new board with the old number written into it", []said{
			{source: "agent", id: "old", maker: "HP", serial: "5CG4123ABC", uuid: uuid1, mac: "a4:bb:00:00:00:01", from: 1, until: 5},
			{source: "agent", id: "new", maker: "HP", serial: "5CG4123ABC", uuid: uuid2, mac: "a4:bb:00:00:00:02", from: 6, until: 9},
			{source: "edr", id: "1", serial: "5CG4123ABC", uuid: uuid1, from: 1, until: 4},
		}, "agent/new agent/old edr/1", ""},
		{"a new board without a number", []said{
			{source: "agent", id: "old", maker: "HP", serial: "5CG4123ABC", uuid: uuid1, name: "ann-pc", mac: "dc:21:00:00:00:01", disk: "S4EVNX0M", from: 1, until: 5},
			{source: "agent", id: "new", maker: "HP", serial: "To be filled by O.E.M.", uuid: uuid2, name: "ann-pc", mac: "dc:21:00:00:00:01", disk: "S4EVNX0M", from: 6, until: 9},
		}, "agent/new agent/old", ""},
		{"a board from another machine", []said{
			{source: "agent", id: "1", maker: "Dell", serial: "4XKJ2F3", uuid: uuid1, name: "ann", from: 1, until: 9},
			{source: "mdm", id: "1", maker: "Dell", serial: "4XKJ2F3", uuid: uuid2, name: "ann", from: 1, until: 3},
			{source: "edr", id: "2", maker: "Dell", serial: "7YKJ2F3", uuid: uuid1, name: "ben", from: 1, until: 4},
		}, "agent/1 mdm/1 | edr/2", "stands alone against the other identifiers"},
		{"a record with another machine's number", []said{
			{source: "agent", id: "1", maker: "Dell", serial: "4XKJ2F3", uuid: uuid1, name: "ann", from: 1, until: 9},
			{source: "idp", id: "1", maker: "Dell", serial: "4XKJ2F3", name: "ann", from: 1, until: 9},
			{source: "edr", id: "1", maker: "Dell", serial: "7YKJ2F3", uuid: uuid1, name: "ann", from: 1, until: 9},
			{source: "idp", id: "2", maker: "Dell", serial: "7YKJ2F3", name: "ben", from: 1, until: 9},
		}, "agent/1 edr/1 idp/1 | idp/2", "stands alone against the other identifiers"},
		{"two systems on one machine in turns", []said{
			{source: "agent", id: "linux", uuid: uuid1, mac: "a4:bb:00:00:00:01", from: 1, until: 8, booted: 7},
			{source: "agent", id: "windows", uuid: uuid1, mac: "a4:bb:00:00:00:01", from: 2, until: 9, booted: 8.5},
		}, "agent/linux agent/windows", ""},
		{"two machines that are up at once are no dual boot", []said{
			{source: "agent", id: "1", uuid: uuid1, mac: "a4:bb:00:00:00:01", from: 1, until: 8.9, booted: 7},
			{source: "agent", id: "2", uuid: uuid1, mac: "a4:bb:00:00:00:01", from: 2, until: 9, booted: 8.5},
		}, "agent/1 | agent/2", "both were active"},
		{"a dock unites nobody", []said{
			{source: "agent", id: "1", maker: "Dell", serial: "4XKJ2F3", mac: "9c:eb:e8:01:02:03", from: 1, until: 9},
			{source: "agent", id: "2", maker: "Dell", serial: "7YKJ2F3", mac: "9c:eb:e8:01:02:03", from: 1, until: 9},
		}, "agent/1 | agent/2", ""},
		{"the sensor's id ties where nothing else does", []said{
			{source: "agent", id: "1", name: "a", edr: edr1, from: 1, until: 9},
			{source: "edr", id: "1", name: "b", edr: edr1, from: 1, until: 9},
		}, "agent/1 edr/1", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var claims []Claim
			for _, s := range tc.said {
				claims = append(claims, s.claim())
			}
			r := Resolve(claims, nil)
			if got := told(r); got != tc.want {
				t.Errorf("groups %s\nwant   %s\nties %v\nrefusals %v", got, tc.want, r.Ties, r.Refusals)
			}
			because := ""
			for _, refusal := range r.Refusals {
				because += refusal.Reason + "\n"
			}
			if !strings.Contains(because, tc.reason) || (tc.reason == "") != (because == "") {
				t.Errorf("refused because %q, want %q", because, tc.reason)
			}
		})
	}
}

func TestWhatTooManyCarryIsQuarantined(t *testing.T) {
	for _, n := range []int{MaxClaimants, MaxClaimants + 1} {
		var claims []Claim
		for i := range n {
			claims = append(claims, said{source: "orders", id: fmt.Sprint(i), serial: "LOT-2026-X", until: 1}.claim())
		}
		r := Resolve(claims, nil)
		quarantined := len(r.Refusals) == 1 && r.Refusals[0].Quarantined
		if want := n > MaxClaimants; quarantined != want || (len(r.Groups) == n) != want {
			t.Errorf("%d records of one number: %d groups, quarantined %v", n, len(r.Groups), quarantined)
		}
	}
}

func TestOperators(t *testing.T) {
	claims := []Claim{
		said{source: "agent", id: "1", maker: "Dell", serial: "4XKJ2F3", from: 1, until: 9}.claim(),
		said{source: "mdm", id: "1", maker: "Dell", serial: "4XKJ2F3", from: 1, until: 9}.claim(),
		said{source: "orders", id: "1", serial: "4XKJ2F3", until: 1}.claim(),
		said{source: "orders", id: "2", serial: "OTHER-77", until: 1}.claim(),
	}
	ref := func(s string) Ref { source, id, _ := strings.Cut(s, "/"); return Ref{source, id} }
	word := func(same bool, a, b string, day float64) Statement {
		return Statement{Same: same, Subject: ref(a), Other: ref(b), At: at(day), By: "ann"}
	}
	for _, tc := range []struct {
		name       string
		statements []Statement
		want       string
	}{
		{"nobody has spoken", nil, "agent/1 mdm/1 orders/1 | orders/2"},
		{"same", []Statement{word(true, "agent/1", "orders/2", 1)}, "agent/1 mdm/1 orders/1 orders/2"},
		{"not the same: the other one leaves, the rest stays", []Statement{word(false, "agent/1", "mdm/1", 1)}, "agent/1 orders/1 | mdm/1 | orders/2"},
		{"the later word holds: apart", []Statement{word(true, "agent/1", "mdm/1", 1), word(false, "agent/1", "mdm/1", 2)}, "agent/1 orders/1 | mdm/1 | orders/2"},
		{"the later word holds: together", []Statement{word(true, "agent/1", "mdm/1", 2), word(false, "agent/1", "mdm/1", 1)}, "agent/1 mdm/1 orders/1 | orders/2"},
		{"a chain that contradicts", []Statement{word(true, "agent/1", "orders/2", 1), word(true, "mdm/1", "orders/2", 2), word(false, "agent/1", "mdm/1", 3)},
			"agent/1 orders/1 | mdm/1 orders/2"},
		{"of a record that is gone", []Statement{word(true, "agent/1", "jamf/9", 1)}, "agent/1 mdm/1 orders/1 | orders/2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := told(Resolve(claims, tc.statements)); got != tc.want {
				t.Errorf("groups %s\nwant   %s", got, tc.want)
			}
		})
	}
}

// A feed goes on listing records of devices that are gone: what counts is the
// last check-in that they tell of.
func TestARecordLivesAsLongAsItsDeviceChecksIn(t *testing.T) {
	o := &pb.Observation{Source: "jamf", SourceId: "1", ObservedAt: timestamppb.New(at(20)), Subject: &pb.Observation_Device{Device: &pb.Device{
		Mdm: &pb.Mdm{EnrolledAt: timestamppb.New(at(2)), LastCheckIn: timestamppb.New(at(4))}}}}
	c := NewClaim(o, History{First: at(10), Last: at(20)})
	if !c.From.Equal(at(2)) || !c.Until.Equal(at(4)) {
		t.Errorf("alive from %v to %v, want from the enrolment to the last check-in", c.From, c.Until)
	}
	o.GetDevice().Mdm = &pb.Mdm{LastCheckIn: timestamppb.New(at(99))}
	if c := NewClaim(o, History{First: at(10), Last: at(20)}); !c.From.Equal(at(10)) || !c.Until.Equal(at(20)) {
		t.Errorf("alive from %v to %v with a check-in in the future", c.From, c.Until)
	}
}

func TestSuggest(t *testing.T) {
	claims := []Claim{
		said{source: "agent", id: "1", maker: "HP", serial: "5CG4123ABC", name: "ann-pc", mac: "a4:bb:00:00:00:01", from: 1, until: 5}.claim(),
		said{source: "dhcp", id: "7", name: "ann-pc", mac: "a4:bb:00:00:00:01", from: 1, until: 9}.claim(),
		said{source: "edr", id: "3", name: "ann-pc", from: 1, until: 9}.claim(),
	}
	got := Suggest(claims, nil, Resolve(claims, nil))
	want := []Suggestion{{A: Ref{"agent", "1"}, B: Ref{"dhcp", "7"}, Likeness: Likeness{Score: 89, Reasons: []string{
		"both have mac a4:bb:00:00:00:01", "both have hostname ann-pc"}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("suggestions (-want +got):\n%s", diff)
	}
}

// A record that lists ten thousand addresses and serials is no device, and
// costs no more than a bounded one.
func TestWhatOneRecordMayClaimIsBounded(t *testing.T) {
	o := &pb.Observation{Source: "scan", SourceId: "1"}
	for i := range 10_000 {
		o.Identifiers = append(o.Identifiers, &pb.Identifier{Kind: "serial", Value: fmt.Sprintf("SER%06dX", i)},
			&pb.Identifier{Kind: "mac", Value: fmt.Sprintf("a4:bb:00:00:%02x:%02x", i>>8, i&255)})
	}
	c := NewClaim(o, History{})
	if len(c.Keys) != 0 || len(c.Weak) > maxWeak || len(c.Ignored) > maxWeak {
		t.Errorf("%d keys, %d weak, %d ignored", len(c.Keys), len(c.Weak), len(c.Ignored))
	}
	if !slices.ContainsFunc(c.Ignored, func(i Ignored) bool { return strings.Contains(i.Reason, "too many") }) {
		t.Errorf("nothing says why: %v", c.Ignored)
	}
}
