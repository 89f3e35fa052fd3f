package main

import (
	"io"
	"strings"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/store"
)

// What a check finds is followed by the one command that helps.
func TestFindingsSayWhatToDo(t *testing.T) {
	s := testSettings("/var/lib/roll call")
	for name, c := range map[string]struct {
		problems []store.Problem
		want     string
	}{
		"nothing": {nil, ""},
		"derived": {[]store.Problem{{Record: "asset 1", What: "it is not what its sources say", Derived: true}}, "rollcall-collector rebuild --data-dir '/var/lib/roll call'"},
		"lost":    {[]store.Problem{{Derived: true}, {Record: "token"}}, "rollcall-collector restore --replace --data-dir '/var/lib/roll call' BACKUP"},
	} {
		var f findings
		for _, p := range c.problems {
			f.report(p)
		}
		err := f.print(io.Discard, s)
		if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
