package catalog_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// What is filed together is as what is filed one by one, also where one of it is
// refused: before its transaction, or in it.
func TestFiledTogetherAsOneByOne(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := worlds().Draw(rt, "world")
		want := setup(t).acceptAll(t, all).picture(t)
		bad := map[*pb.Observation]error{observe("nobody", "1", "SER-A1"): catalog.ErrUndeclared, observe("jamf", "", "SER-A1"): catalog.ErrInvalid}
		some := slices.Clone(all)
		for o := range bad {
			some = slices.Insert(some, rapid.IntRange(0, len(some)).Draw(rt, "place"), o)
		}
		f := setup(t)
		for i, err := range f.c.AcceptAll(context.Background(), some) {
			if !errors.Is(err, bad[some[i]]) {
				rt.Fatalf("%s/%s: %v, want %v", some[i].Source, some[i].SourceId, err, bad[some[i]])
			}
		}
		if diff := cmp.Diff(want, f.picture(t)); diff != "" {
			rt.Fatalf("filed together, other assets (-want +got):\n%s", diff)
		}
	})
}
