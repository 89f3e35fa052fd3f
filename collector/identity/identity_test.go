package identity

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func device(manufacturer, serial, uuid string) *pb.Observation {
	return &pb.Observation{Subject: &pb.Observation_Device{Device: &pb.Device{
		Hardware: &pb.Hardware{Manufacturer: manufacturer, Serial: serial, Uuid: uuid}}}}
}

func keysOf(o *pb.Observation) ([]Key, []Ignored) {
	c := NewClaim(o, History{})
	return c.Keys, c.Ignored
}

const placeholder = "a placeholder known to be shared by many machines"

func TestKeys(t *testing.T) {
	for _, tc := range []struct {
		name string
		o    *pb.Observation
		want []Key
		junk []string
	}{
		{"serial and uuid", device("Dell Inc.", "5xk2j93 ", "{11223344-5566-7788-99AA-BBCCDDEEFF00}"),
			[]Key{{Serial, "", "5XK2J93"}, {UUID, "", "11223344-5566-7788-99aa-bbccddeeff00"}}, nil},
		{"maker left the fields as they came", device("ASUS", "System Serial Number", "03000200-0400-0500-0006-000700080009"),
			nil, []string{placeholder, placeholder}},
		{"the same in the other byte order", device("", "", "00020003-0004-0005-0006-000700080009"), nil, []string{placeholder}},
		{"all one character", device("", "XXXXXXXX", "00000000-0000-0000-0000-000000000000"), nil,
			[]string{"one character repeated", "one character repeated"}},
		{"a run of digits", device("", "23456789", ""), nil, []string{"a run of consecutive characters"}},
		{"short", device("", "A1", ""), nil, []string{"too short to be unique"}},
		{"a good serial that holds a version number", device("", "PF1.2XK9", ""), []Key{{Serial, "", "PF1.2XK9"}}, nil},
		{"not a uuid", device("", "", "not-a-uuid"), nil, nil},
		{"weak identifiers unite nothing", &pb.Observation{Identifiers: []*pb.Identifier{
			{Kind: "mac", Value: "00:11:22:33:44:55"}, {Kind: "hostname", Value: "PC-1"}}}, nil, nil},
		{"identifiers beside the fields", &pb.Observation{Identifiers: []*pb.Identifier{
			{Kind: IMEI, Value: "35-209900-176148-1"}, {Kind: CloudInstance, Scope: "AWS", Value: "i-0ABC1"}}},
			[]Key{{IMEI, "", "35209900176148"}, {CloudInstance, "aws", "i-0abc1"}}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			keys, ignored := keysOf(tc.o)
			if diff := cmp.Diff(tc.want, keys); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
			var reasons []string
			for _, i := range ignored {
				reasons = append(reasons, i.Reason)
			}
			if diff := cmp.Diff(tc.junk, reasons); diff != "" {
				t.Errorf("ignored (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUUIDTwinsAreOne(t *testing.T) {
	a, _ := keysOf(device("", "", "4c4c4544-0058-4b10-8032-b5c04f4a3933"))
	b, _ := keysOf(device("", "", "44454c4c-5800-104b-8032-b5c04f4a3933"))
	if diff := cmp.Diff(a, b); diff != "" || len(a) != 1 {
		t.Errorf("one machine read in two byte orders has two identities: %s", diff)
	}
}

// A line of the junk list that no value can match is a mistake in it.
func TestEveryLineOfTheJunkListIsInForce(t *testing.T) {
	kinds := 0
	for line := range strings.Lines(junkFile) {
		columns := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(columns) < 2 || strings.HasPrefix(line, "#") {
			continue
		}
		kind, value := columns[0], columns[1]
		kinds++
		k, valid := normalise(kind, "", value)
		switch {
		case !valid:
			t.Errorf("%q is not a %s at all", value, kind)
		case junk(k) == "":
			t.Errorf("%s %q is listed and counts as good", kind, value)
		}
	}
	if kinds < 40 {
		t.Errorf("only %d lines were read", kinds)
	}
}

func FuzzSerialsOfMakers(f *testing.F) {
	f.Add("Dell Inc.", "5XK2J93", "4c4c4544-0058-4b10-8032-b5c04f4a3933")
	f.Fuzz(func(t *testing.T, manufacturer, serial, uuid string) {
		keys, _ := keysOf(device(manufacturer, serial, uuid))
		for _, k := range keys {
			again, ok := normalise(k.Kind, k.Scope, k.Value)
			if !ok || again != k {
				t.Errorf("%v is not in its own normal form: %v", k, again)
			}
		}
	})
}
