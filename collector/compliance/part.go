package compliance

import (
	"maps"
	"slices"
	"time"

	"github.com/rollcall-itam/rollcall/collector/policy"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// Part is what the rules say of a part of the fleet, at one moment.
type Part struct {
	rules []*policy.Rule
	tally tally
	day   string
}

// Part counts what the rules say of the assets that keep, asked for some ids,
// answers with true for; of all, at no cost, where it is nil.
func (e *Engine) Part(keep func(ids []string) []bool) *Part {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := &Part{day: e.Now().UTC().Format(time.DateOnly)}
	if keep == nil {
		p.rules, p.tally = enabled(e.Pack()), e.tally
		p.tally.rules = slices.Clone(e.tally.rules)
		return p
	}
	ids := slices.Collect(maps.Keys(e.judged))
	e.mu.Unlock() // whoever tells may take his time
	kept := keep(ids)
	e.mu.Lock()
	p.rules = enabled(e.Pack())
	p.tally = newTally(p.rules)
	for i, id := range ids {
		if j, ok := e.judged[id]; ok && kept[i] {
			p.tally.add(&j, 1)
		}
	}
	return p
}

// Counts returns what each rule says, in the order in which they are evaluated.
func (p *Part) Counts() []RuleCount {
	out := make([]RuleCount, len(p.rules))
	for i, r := range p.rules {
		out[i] = RuleCount{Rule: r, Results: make(map[policy.Result]Ages, len(results)), Findings: make(map[State]Ages, len(states))}
		for n, result := range results {
			out[i].Results[result] = p.tally.rules[i].results[n]
		}
		for n, state := range states {
			out[i].Findings[state] = p.tally.rules[i].findings[n]
		}
	}
	return out
}

// Today returns how the part stands now.
func (p *Part) Today() *adminpb.ComplianceDay {
	out := &adminpb.ComplianceDay{Day: p.day, Assets: int64(p.tally.assets.Sum()), Failing: int64(p.tally.failing.Sum()), Open: make(map[string]int64)}
	good, all := 0, 0
	for _, c := range p.Counts() {
		open := c.Findings[Open].Sum() + c.Findings[Acknowledged].Sum()
		pass, w := c.Results[policy.Pass], weights[c.Rule.Severity]
		good += w * (pass.Sum() - pass.Stale())
		all += w * (pass.Sum() + open)
		out.Open[string(c.Rule.Severity)] += int64(open)
		out.Waived += int64(c.Findings[Waived].Sum())
	}
	if all > 0 {
		score := 100 * float64(good) / float64(all)
		out.Score = &score
	}
	return out
}
