package identity

import (
	"math/rand"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func device(manufacturer, serial, uuid string) *pb.Observation {
	return &pb.Observation{Subject: &pb.Observation_Device{Device: &pb.Device{
		Hardware: &pb.Hardware{Manufacturer: manufacturer, Serial: serial, Uuid: uuid}}}}
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
			keys, ignored := Keys(tc.o)
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
	a, _ := Keys(device("", "", "4c4c4544-0058-4b10-8032-b5c04f4a3933"))
	b, _ := Keys(device("", "", "44454c4c-5800-104b-8032-b5c04f4a3933"))
	if diff := cmp.Diff(a, b); diff != "" || len(a) != 1 {
		t.Errorf("one machine read in two byte orders has two identities: %s", diff)
	}
}

// A line of the junk list that no value can match is a mistake in it.
func TestEveryLineOfTheJunkListIsInForce(t *testing.T) {
	kinds := 0
	for line := range strings.Lines(junkFile) {
		kind, value, ok := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
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

// Whatever the order of the members, the same ones end up together, and two
// are together exactly when a chain of shared keys joins them.
func TestGroupDoesNotDependOnOrder(t *testing.T) {
	member := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Key {
		return Key{Kind: Serial, Value: strconv.Itoa(rapid.IntRange(0, 12).Draw(t, "value"))}
	}), 0, 3)
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.SliceOfN(member, 0, 12).Draw(t, "members")
		groups := Group(members)
		joined := closure(members)
		for i := range members {
			for j := range members {
				if (groups[i] == groups[j]) != joined[i][j] {
					t.Fatalf("members %d and %d: together %v, want %v", i, j, groups[i] == groups[j], joined[i][j])
				}
			}
		}
		order := rand.New(rand.NewSource(int64(rapid.Int32().Draw(t, "seed")))).Perm(len(members))
		shuffled := make([][]Key, len(members))
		for i, from := range order {
			shuffled[i] = members[from]
		}
		again := Group(shuffled)
		for i := range order {
			for j := range order {
				if (again[i] == again[j]) != (groups[order[i]] == groups[order[j]]) {
					t.Fatalf("another order, another grouping")
				}
			}
		}
	})
}

// closure is the plain definition: shared keys, transitively.
func closure(members [][]Key) [][]bool {
	joined := make([][]bool, len(members))
	for i := range joined {
		joined[i] = make([]bool, len(members))
		joined[i][i] = true
		for j := range members {
			for _, a := range members[i] {
				for _, b := range members[j] {
					joined[i][j] = joined[i][j] || a == b
				}
			}
		}
	}
	for k := range members {
		for i := range members {
			for j := range members {
				joined[i][j] = joined[i][j] || joined[i][k] && joined[k][j]
			}
		}
	}
	return joined
}

func FuzzKeys(f *testing.F) {
	f.Add("Dell Inc.", "5XK2J93", "4c4c4544-0058-4b10-8032-b5c04f4a3933")
	f.Fuzz(func(t *testing.T, manufacturer, serial, uuid string) {
		keys, _ := Keys(device(manufacturer, serial, uuid))
		for _, k := range keys {
			again, ok := normalise(k.Kind, k.Scope, k.Value)
			if !ok || again != k {
				t.Errorf("%v is not in its own normal form: %v", k, again)
			}
		}
	})
}
