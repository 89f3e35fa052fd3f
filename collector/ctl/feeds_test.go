package main

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

func TestAFeedThatWithdrawsNothingSaysSo(t *testing.T) {
	now := timestamppb.New(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	for want, f := range map[string]*adminpb.Feed{
		"ok ": {LastSuccess: now},
		"withheld nothing is withdrawn: stream devices gave 3 records, 90 the time before": {LastSuccess: now, Withheld: "stream devices gave 3 records, 90 the time before", WithheldSince: now},
		"failing ": {LastSuccess: now, Failures: 1, Error: "no answer", Withheld: "few"},
	} {
		got := (&session{}).feedState(f) + " " + withheldBy(f)
		if !strings.HasPrefix(got, want) {
			t.Errorf("%v is told as %q, want %q", f, got, want)
		}
	}
}
