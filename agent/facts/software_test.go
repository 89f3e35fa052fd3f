package facts

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// checkRows fails unless every row is one that a report can carry.
func checkRows(t testing.TB, d *pb.Device) {
	t.Helper()
	if len(d.Software) > maxSoftware {
		t.Fatalf("%d rows", len(d.Software))
	}
	for _, s := range d.Software {
		for _, text := range []string{s.Kind, s.Name, s.Version, s.Publisher, s.Architecture, s.Location, s.ProductId} {
			if len(text) > maxSoftwareText || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
				t.Fatalf("text %q cannot be carried", text)
			}
		}
	}
}

func TestSoftwareText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := slices.Concat(rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(t, "bytes"), []byte(rapid.StringN(0, 600, -1).Draw(t, "text")))
		got := softwareText(b)
		if len(got) > maxSoftwareText || !utf8.ValidString(got) || strings.ContainsRune(got, 0) {
			t.Fatalf("text %q of %q", got, b)
		}
	})
}

// The order of rows does not depend on the order in which they were found.
func TestSoftwareOrder(t *testing.T) {
	row := rapid.Custom(func(t *rapid.T) *pb.Software {
		return &pb.Software{
			Kind: rapid.SampledFrom([]string{"deb", "rpm"}).Draw(t, "kind"), Name: rapid.StringMatching("[a-c+]{0,2}").Draw(t, "name"),
			Version: rapid.StringMatching("[0-2]?").Draw(t, "version"), Architecture: rapid.SampledFrom([]string{"", "all"}).Draw(t, "arch"),
		}
	})
	key := func(s *pb.Software) string {
		return s.Kind + "\x00" + s.Name + "\x00" + s.Version + "\x00" + s.Architecture
	}
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOf(row).Draw(t, "rows")
		split := rapid.IntRange(0, len(rows)).Draw(t, "split")
		d := new(pb.Device)
		for _, part := range [][]*pb.Software{rows[split:], rows[:split]} {
			if err := addSoftware(d, part); err != nil {
				t.Fatal(err)
			}
		}
		if len(d.Software) != len(rows) || !slices.IsSortedFunc(d.Software, func(a, b *pb.Software) int { return strings.Compare(key(a), key(b)) }) {
			t.Fatalf("%d of %d rows, or not in order", len(d.Software), len(rows))
		}
	})
}
