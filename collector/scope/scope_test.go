package scope

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		terms []string
		want  string
		wrong string
	}{
		{terms: nil, want: ""},
		{terms: []string{"label.site=berlin"}, want: "labels.site=berlin"},
		{terms: []string{"location.site=Paris", "labels.site=b", "labels.site=a", "labels.site=b"}, want: "labels.site=a labels.site=b location.site=Paris"},
		{terms: []string{"labels.a.b=c=d"}, want: "labels.a.b=c=d"},
		{terms: []string{"labels.site="}, wrong: "says no value"},
		{terms: []string{"labels.site"}, wrong: "says no value"},
		{terms: []string{"labels.=x"}, wrong: "cannot be by"},
		{terms: []string{"name=x"}, wrong: "cannot be by"},
		{terms: []string{"labels.site=a\nb"}, wrong: "no control characters"},
		{terms: []string{"labels.site=" + strings.Repeat("x", 300)}, wrong: "256 bytes"},
		{terms: make([]string, 100), wrong: "at most 64"},
	} {
		s, err := Parse(c.terms)
		switch {
		case c.wrong != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.wrong)):
			t.Errorf("%q: %v, want %q", c.terms, err, c.wrong)
		case c.wrong == "" && (err != nil || s.String() != c.want):
			t.Errorf("%q: %q, %v, want %q", c.terms, s, err, c.want)
		case c.wrong == "" && c.want != "":
			again, err := Parse(s.Texts())
			if err != nil || !cmp.Equal(again.Terms(), s.Terms()) {
				t.Errorf("%q is read again as %v, %v", s, again, err)
			}
		}
	}
}

func TestAdmits(t *testing.T) {
	berlin := &pb.Asset{Class: "laptop", Labels: map[string]string{"site": "berlin"}, Owner: &pb.Owner{Department: "Sales"}}
	for _, c := range []struct {
		terms []string
		want  bool
	}{
		{nil, true},
		{[]string{"labels.site=berlin"}, true},
		{[]string{"labels.site=Berlin"}, false},
		{[]string{"labels.site=paris", "labels.site=berlin"}, true},
		{[]string{"labels.site=berlin", "owner.department=IT"}, false},
		{[]string{"labels.site=berlin", "owner.department=Sales", "class=laptop"}, true},
		{[]string{"labels.floor=1"}, false},
		{[]string{"location.site=berlin"}, false},
	} {
		s, err := Parse(c.terms)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Admits(berlin); got != c.want {
			t.Errorf("%q admits: %v", s, got)
		}
		if s.Admits(Part(berlin)) != c.want {
			t.Errorf("%q: what decides says otherwise", s)
		}
		if s.Admits(nil) != (len(c.terms) == 0) {
			t.Errorf("%q admits what is not there", s)
		}
	}
}

func TestDecides(t *testing.T) {
	s, err := Parse([]string{"labels.site=berlin", "owner.department=Sales"})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"labels.site": true, "labels": true, "labels.room": false, "owner.email": true, "owner": true, "name": false, "location.site": false} {
		if got := s.Decides(path); got != want {
			t.Errorf("%s decides: %v", path, got)
		}
		if want && !Deciding(path) {
			t.Errorf("%s is not among the fields that decide", path)
		}
	}
	// Every field by which a scope can be is one of those that are looked at.
	for path := range paths {
		if !Deciding(path) {
			t.Errorf("%s is not among the fields that decide", path)
		}
	}
}
