package fetch

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
)

const overRegions = `
streams:
  - name: vm
    over: [{as: region, value: id, home: x, list: {get: "/${region}/regions", records: regions}}]
    get: /${region}/vms
    records: vms
    pager: {cursor: {from: next, param: from, empty_pages: true}}
    join: [{list: {get: "/${region}/owners", records: owners}, by: vm, on: id, into: owner, keep: [name]}]
    pairs: [{list: tags, name: k, value: v, lower: true, into: tag}]
    key: id
    map: {name: id}
`

// regional is a system with two regions, whose second page of the second fails
// once.
func regional(regions string, failed *bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		region, what, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		switch from := r.URL.Query().Get("from"); {
		case what == "regions":
			fmt.Fprint(w, regions)
		case what == "owners":
			fmt.Fprintf(w, `{"owners": [{"vm": "%s-1", "name": "ann", "secret": "x"}, {"vm": "OTHER", "name": "bob"}]}`, strings.ToUpper(region))
		case from == "":
			// A page without records does not end this list.
			fmt.Fprint(w, `{"vms": [], "next": "1"}`)
		case from == "1" && region == "b" && !*failed:
			*failed = true
			w.WriteHeader(http.StatusNotImplemented)
		default:
			fmt.Fprintf(w, `{"vms": [{"id": "%s-1", "tags": [{"k": "Team", "v": "x"}, {"k": "team", "v": "y"}, {"k": "db_password", "v": "hunter2"}]}]}`, region)
		}
	}
}

func TestOverGoesOnWhereItWasCutOff(t *testing.T) {
	failed := false
	f := newSystem(t, regional(`{"regions": [{"id": "b"}, {"id": "a"}, {"id": "../evil"}, {"id": "a"}]}`, &failed)).fetcher(t, overRegions, nil)
	var seen []string
	var mark Bookmark
	read := func(from Bookmark) error {
		return f.Pages(t.Context(), Ask{Stream: &f.o.Manifest.Streams[0], From: from}, func(p Page) error {
			for _, r := range p.Records {
				o := r.(map[string]any)
				if o["owner"].([]any)[0].(map[string]any)["secret"] != nil || o["tag"].(map[string]any)["team"] != "x" || len(o["tag"].(map[string]any)) != 1 {
					t.Errorf("got %v", o)
				}
				seen = append(seen, o["id"].(string)+" in "+o["region"].(string))
			}
			if mark = p.Next; p.Last != (mark.Records == 2) {
				t.Errorf("the page before %+v is the last: %v", mark, p.Last)
			}
			return nil
		})
	}
	if err := read(Bookmark{}); KindOf(err) != Down {
		t.Fatal(err)
	}
	if want := (Bookmark{Over: "b", Next: "1", Records: 1}); mark != want {
		t.Fatalf("the pass goes on at %+v, want %+v", mark, want)
	}
	if err := read(mark); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a-1 in a", "b-1 in b"}; !slices.Equal(seen, want) || mark.Records != 2 {
		t.Errorf("got %v, want %v", seen, want)
	}
}

func TestOverSaysWhereNothingCanBeSeen(t *testing.T) {
	failed := false
	f := newSystem(t, regional(`{"regions": []}`, &failed)).fetcher(t, overRegions, nil)
	err := f.Pages(t.Context(), Ask{Stream: &f.o.Manifest.Streams[0]}, func(Page) error { return errors.New("there is no page") })
	if KindOf(err) != Denied || !strings.Contains(err.Error(), "Read Devices") {
		t.Error(err)
	}
}

func TestOverIsChecked(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"as: region,", "as: url,", "that no setting has"},
		{"as: region,", "as: region, setting: regions,", `there is no setting "regions"`},
		{"empty_pages: true}", "empty_pages: true}, total: count", "a total is that of one value"},
		{"value: id, ", "", "over[0].value: is missing"},
		{"by: vm, ", "", "join[0].by: is missing"},
		{"name: k, ", "", "pairs[0].value: is missing"},
		{"get: /${region}/vms", "get: /${zone}/vms", `there is no setting "zone"`},
	} {
		_, err := manifest.Parse(strings.NewReader("schema: 1\nname: acme\ntitle: Acme\nkind: cloud\nsettings: {url: {help: h}}\nbase: ${url}\n" + strings.Replace(overRegions, c.from, c.to, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.to, err, c.want)
		}
	}
}
