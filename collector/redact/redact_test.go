package redact

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func ann() *Redactor {
	return New(Subject{Words: []string{"ann@example.com", `corp\aberg`, "aberg", "ann müller"}, Numbers: []string{"1001"}, Records: []Record{{"okta", "u1"}}})
}

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "",
		"Ann@Example.COM ":                     "",
		"ANN MÜLLER":                           "",
		"mail ann@example.com, then wait":      "mail [erased], then wait",
		"/Users/aberg/Library":                 "/Users/[erased]/Library",
		`CORP\aberg and ABERG`:                 "[erased] and [erased]",
		"aberg-mbp.example.com":                "[erased]-mbp.example.com",
		"kaberg, abergs and joann@example.com": "kaberg, abergs and joann@example.com",
		"1001":                                 "1001",
		"\xff aberg \xff":                      "\xff [erased] \xff",
		"İ aberg":                              "İ [erased]",
	} {
		got, found := ann().Text(text)
		if got != want || found != (got != text) {
			t.Errorf("%q becomes %q (%v), want %q", text, got, found, want)
		}
		if _, again := ann().Text(got); again {
			t.Errorf("%q is found again in %q", text, got)
		}
	}
}

func TestMessageLeavesOthersAlone(t *testing.T) {
	said := func(field, value string) *pb.Conflict {
		return &pb.Conflict{Field: field, Values: []*pb.ConflictValue{{Value: structpb.NewStringValue("x"), Source: "hr"}, {Value: structpb.NewStringValue(value), Source: "okta", SourceId: "u1"}}}
	}
	for name, c := range map[string]struct{ in, want *pb.Asset }{
		"her own device": {
			&pb.Asset{Name: "pc", Owner: &pb.Owner{Email: "ANN@example.com", Department: "Sales"}, PrimaryUser: &pb.PrimaryUser{Name: "aberg"},
				Provenance: map[string]*pb.Provenance{"owner": {Source: "hr"}, "owner.department": {Source: "hr"}, "name": {Source: "okta", SourceId: "u1"}}, Conflicts: []*pb.Conflict{said("owner.title", "Clerk")}},
			&pb.Asset{Name: "pc", Provenance: map[string]*pb.Provenance{"name": {Source: "okta"}}}},
		"her manager's device, who has her name": {
			&pb.Asset{Owner: &pb.Owner{Email: "other@example.com", Title: "Boss", Manager: "ann@example.com"}},
			&pb.Asset{Owner: &pb.Owner{Email: "other@example.com", Title: "Boss"}}},
		"one that somebody says is hers": {
			&pb.Asset{Owner: &pb.Owner{Email: "other@example.com"}, Conflicts: []*pb.Conflict{said("owner.email", "ann@example.com"), said("owner.department", "Sales"), {Field: "name"}}},
			&pb.Asset{Owner: &pb.Owner{Email: "other@example.com"}, Conflicts: []*pb.Conflict{{Field: "name"}}}},
		"a stranger's": {
			&pb.Asset{Name: "joann-pc", Owner: &pb.Owner{Email: "joann@example.com"}, Labels: map[string]string{"room": "1001"}},
			&pb.Asset{Name: "joann-pc", Owner: &pb.Owner{Email: "joann@example.com"}, Labels: map[string]string{"room": "1001"}}},
	} {
		got := proto.CloneOf(c.in)
		if changed := ann().Message(got); changed == proto.Equal(c.in, got) {
			t.Errorf("%s: changed is %v", name, changed)
		}
		if diff := cmp.Diff(c.want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// What mentions her has her in it, and what has her in it mentions her.
func TestMentions(t *testing.T) {
	for value, want := range map[string]bool{`{"a":"CORP\\ABERG"}`: true, "\x04okta\x02u1": true, "\x02u1": false, "Ann MÜLLER": true, "nobody": false} {
		if got := ann().Mentions(nil, []byte(value)); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
	if !ann().Mentions([]byte("o/okta\x00u1"), nil) {
		t.Error("her record's name is overlooked")
	}
}
