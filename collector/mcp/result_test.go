package mcp

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Whatever an answer holds, it fits, and what is missing of it is counted.
func TestAnswersFit(t *testing.T) {
	for _, tc := range []struct {
		lengths []int
		width   int
	}{{[]int{0, 0}, 1}, {[]int{40}, 100}, {[]int{40}, 1000}, {[]int{40, 40}, 1000}, {[]int{1, 399, 20}, 300}, {[]int{7, 7, 7}, 9000}} {
		out := make(map[string]any)
		for i, n := range tc.lengths {
			var items []any
			for range n {
				items = append(items, map[string]any{"text": strings.Repeat("x", tc.width), "below": []any{"y"}})
			}
			out[fmt.Sprint("list", i)] = items
		}
		out, err := fit(out)
		if err != nil || size(out) > maxResult+200 {
			t.Fatalf("%v: %d bytes: %v", tc, size(out), err)
		}
		left, _ := out["left_out"].(map[string]any)
		for i, n := range tc.lengths {
			name := fmt.Sprint("list", i)
			shown, _ := out[name].([]any)
			missing, _ := left[name].(int)
			if len(shown)+missing != n {
				t.Errorf("%v: %s: %d shown and %d left out of %d", tc, name, len(shown), missing, n)
			}
		}
	}
	if _, err := fit(map[string]any{"labels": map[string]any{"a": strings.Repeat("x", maxResult)}}); err == nil {
		t.Error("what cannot be cut is answered with nevertheless")
	}
}

func TestPagesGetShorterUntilOneFits(t *testing.T) {
	var tried []int32
	out, err := pages(50, func(limit int32) (*adminpb.ListAssetsResponse, error) {
		tried = append(tried, limit)
		r := &adminpb.ListAssetsResponse{TotalSize: 90, NextPageToken: fmt.Sprint("after ", limit)}
		for range limit {
			r.Assets = append(r.Assets, &pb.Asset{Name: strings.Repeat("x", maxText)})
		}
		return r, nil
	})
	shown := len(out["assets"].([]any))
	if err != nil || len(tried) < 2 || size(out) > maxResult || shown < 10 || out["next_page_token"] != fmt.Sprint("after ", shown) {
		t.Errorf("tried %v, %d shown, %v", tried, shown, err)
	}
}

func TestErrorsKeepTheirInside(t *testing.T) {
	if err := errors.New("limit is 0"); explained(err) != err {
		t.Error("an error of our own is changed")
	}
	got := explained(status.Error(codes.PermissionDenied, "no\u202e")).Error()
	if got != "no\ufffd" {
		t.Errorf("told: %q", got)
	}
}

// The connection makes no call that changes anything, whoever asks for one.
func TestNoToolCanWrite(t *testing.T) {
	reads := regexp.MustCompile(`/(List|Get|Group|Explain)[A-Z]\w+$`)
	for _, method := range asked {
		if !reads.MatchString(method) {
			t.Errorf("%s does not look like a call that only reads", method)
		}
	}
	calls := adminpb.NewAdminServiceClient(readOnly{(*grpc.ClientConn)(nil)})
	if _, err := calls.AssertAsset(t.Context(), &adminpb.AssertAssetRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a statement is answered with %v", err)
	}
	if _, err := calls.ExportAssets(t.Context(), &adminpb.ExportAssetsRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("an export is answered with %v", err)
	}
}
