package updates

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/pkg/release"
)

// file is the program of a release for a system, which nobody reads.
func file(os, arch string) release.File {
	return release.File{OS: os, Arch: arch, Name: "agent_" + os + "_" + arch, Size: 1, SHA256: strings.Repeat("00", 32)}
}

func of(version, ring string) release.Release {
	return release.Release{Version: version, Ring: ring, Files: []release.File{file("linux", "amd64")}}
}

func percent(name string, n int) Ring { return Ring{Name: name, Percent: &n} }

func TestOffer(t *testing.T) {
	stepping := of("2.0.0", "broad")
	stepping.MinimumAgent = "1.5.0"
	windows := of("3.0.0", "broad")
	windows.Files = []release.File{file("windows", "amd64")}
	three := []Ring{{Name: "canary"}, {Name: "early"}, {Name: "broad"}}
	for name, tc := range map[string]struct {
		releases []release.Release
		rings    []Ring
		ring     string
		version  string
		want     string
	}{
		"canary is for canaries":         {releases: []release.Release{of("1.2.0", "canary")}, ring: "canary", want: "1.2.0"},
		"and not for others":             {releases: []release.Release{of("1.2.0", "canary")}, ring: "broad"},
		"nor for who has no ring":        {releases: []release.Release{of("1.2.0", "canary")}},
		"nor for who has one unknown":    {releases: []release.Release{of("1.2.0", "canary")}, ring: "cannary"},
		"broad is for all":               {releases: []release.Release{of("1.2.0", "broad")}, want: "1.2.0"},
		"for canaries, too":              {releases: []release.Release{of("1.2.0", "broad")}, ring: "canary", want: "1.2.0"},
		"each the newest of its own":     {releases: []release.Release{of("1.3.0", "canary"), of("1.2.0", "early"), of("1.1.0", "broad")}, rings: three, ring: "early", want: "1.2.0"},
		"whatever the order":             {releases: []release.Release{of("1.1.0", "broad"), of("1.2.0", "early"), of("1.3.0", "canary")}, rings: three, ring: "canary", want: "1.3.0"},
		"a ring that is not there":       {releases: []release.Release{of("1.2.0", "beta")}, ring: "canary"},
		"no older version":               {releases: []release.Release{of("0.9.0", "broad")}},
		"not the same version":           {releases: []release.Release{of("1.0.0", "broad")}},
		"no version before it":           {releases: []release.Release{of("1.0.0-rc.1", "broad")}},
		"nobody in a ring of 0":          {releases: []release.Release{of("1.2.0", "broad")}, rings: []Ring{{Name: "canary"}, percent("broad", 0)}},
		"but who comes before":           {releases: []release.Release{of("1.2.0", "broad")}, rings: []Ring{{Name: "canary"}, percent("broad", 0)}, ring: "canary", want: "1.2.0"},
		"all in a ring of 100":           {releases: []release.Release{of("1.2.0", "broad")}, rings: []Ring{percent("broad", 100)}, want: "1.2.0"},
		"a step between":                 {releases: []release.Release{stepping, of("1.5.0", "broad")}, want: "1.5.0"},
		"and the next":                   {releases: []release.Release{stepping, of("1.5.0", "broad")}, version: "1.5.0", want: "2.0.0"},
		"only for the agent's system":    {releases: []release.Release{windows, of("1.5.0", "broad")}, want: "1.5.0"},
		"an agent that was not released": {releases: []release.Release{of("1.5.0", "broad")}, version: "devel-0123456789ab"},
		"nothing":                        {},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.rings == nil {
				tc.rings = DefaultRings()
			}
			a := Agent{ID: "a", Version: "1.0.0", Platform: "linux/amd64", Labels: map[string]string{RingLabel: tc.ring}}
			if tc.version != "" {
				a.Version = tc.version
			}
			if got := offer(release.Manifest{Releases: tc.releases}, tc.rings, a); got != tc.want {
				t.Errorf("%q is offered, want %q", got, tc.want)
			}
		})
	}
}

// Who was offered a version stays so when its part of the ring grows, and the
// part is as large as it is called.
func TestPartsOfARingGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id, version := rapid.String().Draw(t, "id"), rapid.String().Draw(t, "version")
		was := false
		for n := range 101 {
			is := chosen(percent("broad", n), version, id)
			if was && !is {
				t.Fatalf("chosen at %d percent and not at %d", n-1, n)
			}
			was = is
		}
		if !was {
			t.Fatal("not among all")
		}
	})
	const agents = 20_000
	for _, n := range []int{0, 1, 25, 50, 100} {
		count, both := 0, 0
		for i := range agents {
			id := fmt.Sprint("agent-", i)
			if chosen(percent("broad", n), "1.2.0", id) {
				count++
				if chosen(percent("broad", n), "1.3.0", id) {
					both++
				}
			}
		}
		if diff := count - agents*n/100; diff < -agents/100 || diff > agents/100 {
			t.Errorf("%d percent are %d of %d", n, count, agents)
		}
		if diff := both - count*n/100; diff < -agents/100 || diff > agents/100 {
			t.Errorf("%d percent: %d of the %d that come first for a version do for the next", n, both, count)
		}
	}
}

func TestRingsThatCannotBe(t *testing.T) {
	for _, rings := range [][]Ring{{{Name: ""}}, {{Name: "Canary"}}, {{Name: "a"}, {Name: "a"}}, {percent("a", -1)}, {percent("a", 101)}} {
		if _, err := New(Options{Dir: t.TempDir(), Rings: rings, Now: time.Now}); err == nil {
			t.Errorf("%v are taken", rings)
		}
	}
}
