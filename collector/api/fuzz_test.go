package api

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// A page token is either one of ours, which gives the same text again, or
// refused.
func FuzzPageToken(f *testing.F) {
	f.Add("assets", "0198c0de-0000-7000-8000-000000000001")
	f.Add("software of x", "bash\x005.2\x00amd64\x00\xff\xfe")
	f.Add("", "AQAAAAA")
	f.Fuzz(func(t *testing.T, list, text string) {
		if key, err := pageAfter(list, text); err == nil && text != "" && nextPage(list, key) != text {
			t.Errorf("token %q is taken for key %q, whose token is %q", text, key, nextPage(list, key))
		}
		if text == "" || len(text) > 1000 {
			return
		}
		token := nextPage(list, text)
		if key, err := pageAfter(list, token); err != nil || key != text {
			t.Errorf("key %q comes back as %q, %v", text, key, err)
		}
		if _, err := pageAfter(list+"-", token); err == nil {
			t.Error("another list takes the token")
		}
	})
}

// A mask that is taken never adds anything, and applying it again changes
// nothing.
func FuzzFields(f *testing.F) {
	for _, s := range []string{"", "id,name", "hardware.cpu.threads,labels.site", "provenance.os.family", "sources.source", "name.x", ".", "hardware.", ",",
		"last_seen.seconds", "conflicts.values.value.string_value", "labels,labels.a"} {
		f.Add(s)
	}
	full := &pb.Asset{Id: "1", Name: "n", Labels: map[string]string{"site": "lab", "a": "b"}, LastSeen: timestamppb.Now(),
		Sources: []*pb.AssetSource{{Source: "agent", SourceId: "x"}}, Provenance: map[string]*pb.Provenance{"os.family": {Source: "agent"}},
		Hardware: &pb.Hardware{Serial: "s", Manufacturer: "m"}, Os: &pb.Os{Family: "linux"}}
	f.Fuzz(func(t *testing.T, fields string) {
		m, err := parseMask(fields, full.ProtoReflect().Descriptor())
		if err != nil {
			return
		}
		once := proto.CloneOf(full)
		m.apply(once.ProtoReflect())
		twice := proto.CloneOf(once)
		m.apply(twice.ProtoReflect())
		if !proto.Equal(once, twice) {
			t.Errorf("%q: applied twice: %v, once: %v", fields, twice, once)
		}
		union := proto.CloneOf(full)
		union.Sources = nil // Merge appends lists
		part := proto.CloneOf(once)
		part.Sources = nil
		proto.Merge(union, part)
		want := proto.CloneOf(full)
		want.Sources = nil
		if !proto.Equal(union, want) {
			t.Errorf("%q made %v of %v", fields, once, full)
		}
	})
}
