// Package expiry tells when an asset of which nothing is heard any more stops to
// count as in use; it is a function of the asset and the rules.
package expiry

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/collector/merge"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const day = 24 * time.Hour

// Rule says how long some assets may be silent.
type Rule struct {
	// Classes are those of the assets that it is about; none for all.
	Classes []string
	// Only are kinds of sources: it is about assets that no other kind of source
	// knows which repeats itself; none for whatever source.
	Only []string
	// After is how long nothing is heard of one that has expired, 0 for never.
	After time.Duration
	// Stage is what an expired one is in then: retired or missing.
	Stage string
}

// Stages that an asset may expire into.
const (
	Retired = "retired"
	Missing = "missing"
)

// defaults are the rules where nobody says otherwise; the first that fits holds.
var defaults = []Rule{
	// What is made and thrown away by programs is gone when it is silent.
	{Classes: []string{"cloud_instance"}, After: 7 * day, Stage: Retired},
	{Classes: []string{"virtual_machine"}, After: 30 * day, Stage: Retired},
	// Nobody plugs in the display of an empty desk.
	{Classes: []string{"display", "peripheral"}, After: 365 * day, Stage: Missing},
	{Classes: []string{"printer", "network", "iot", "point_of_sale", "conference_room"}, After: 180 * day, Stage: Missing},
	// Management alone hears of a device far less often than an agent on it.
	{Only: []string{merge.KindMDM, merge.KindIDP}, After: 180 * day, Stage: Missing},
	{After: 90 * day, Stage: Missing},
}

// Policy is the rules in force. It does not change.
type Policy struct{ rules []Rule }

// New returns the default rules with others before them. The error names what
// is wrong with which.
func New(own []Rule) (*Policy, error) {
	for i, r := range own {
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
	}
	return &Policy{rules: slices.Concat(own, defaults)}, nil
}

func (r Rule) check() error {
	for _, c := range r.Classes {
		if !slices.Contains(merge.Classes, c) {
			return fmt.Errorf("there is no class %q: want one of %s", c, strings.Join(merge.Classes, ", "))
		}
	}
	for _, k := range r.Only {
		if !slices.Contains(merge.Kinds, k) {
			return fmt.Errorf("there is no kind of source %q: want one of %s", k, strings.Join(merge.Kinds, ", "))
		}
	}
	if r.After < 0 {
		return fmt.Errorf("after is negative")
	}
	if r.After > 0 && r.Stage != Retired && r.Stage != Missing {
		return fmt.Errorf("stage %q: want %s or %s", r.Stage, Retired, Missing)
	}
	return nil
}

// inUse are the stages of which silence says something: what lies in stock or
// was retired has nothing to say.
var inUse = []string{"", "deployed"}

// Expiry is when an asset expires.
type Expiry struct {
	// At is zero for never.
	At    time.Time
	Stage string
}

// Of returns when a merged asset expires that was last heard of at a time by the
// sources that repeat themselves; zero where there is none of those.
func (p *Policy) Of(a *pb.Asset, heard time.Time) Expiry {
	if heard.IsZero() || a.GetHold().GetReason() != "" || !slices.Contains(inUse, a.GetStage()) {
		return Expiry{}
	}
	for _, r := range p.rules {
		if len(r.Classes) > 0 && !slices.Contains(r.Classes, a.GetClass()) || !r.knows(a) {
			continue
		}
		if r.After == 0 {
			return Expiry{}
		}
		return Expiry{At: heard.Add(r.After), Stage: r.Stage}
	}
	return Expiry{}
}

// knows tells whether no source but those that the rule is about knows an asset.
func (r Rule) knows(a *pb.Asset) bool {
	return len(r.Only) == 0 || !slices.ContainsFunc(a.GetSources(), func(s *pb.AssetSource) bool {
		return merge.Repeats(s.GetKind()) && !slices.Contains(r.Only, s.GetKind())
	})
}
