package compliance

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rollcall-itam/rollcall/collector/advisory"
	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	// maxAdvised is how many ids of advisories are told of one package.
	maxAdvised = 20
	// maxWeaknesses is how many entries rules see of one asset, the gravest.
	maxWeaknesses = 2000
	// maxDetail is how many texts are kept of what makes an asset fail a rule: each
	// asset of a fleet has some.
	maxDetail = 25
)

// few returns the first of some texts, and tells how many more there are.
func few(texts []string) []string {
	if len(texts) <= maxDetail {
		return texts
	}
	return append(slices.Clone(texts[:maxDetail-1]), fmt.Sprintf("and %d more", len(texts)-maxDetail+1))
}

// advice is a set of advisories with what they say of the titles that were asked
// for, so that a title is matched once and not once on each device.
type advice struct {
	set *advisory.Set

	mu    sync.Mutex
	known map[systemTitle][]*expr.Vulnerability
}

// systemTitle is a title on a release of a distribution.
type systemTitle struct {
	scope string
	title store.TitleID
}

// Advise has assets judged by other advisories from now on; nil for none.
func (e *Engine) Advise(set *advisory.Set) {
	e.judgeAnew(func() { e.advice.Store(&advice{set: set, known: make(map[systemTitle][]*expr.Vulnerability)}) })
}

// judgeAnew makes a change of what assets are judged by, and has all of them
// judged anew. What is being judged meanwhile is not filed, see outdated.
func (e *Engine) judgeAnew(change func()) {
	e.filing.Lock()
	defer e.filing.Unlock()
	change()
	e.mu.Lock()
	for id := range e.judged {
		e.backlog[id] = struct{}{}
	}
	e.mu.Unlock()
	e.waken()
}

// of returns what is said of a title, nil for nothing.
func (a *advice) of(tx *store.Tx, scope string, id store.TitleID) ([]*expr.Vulnerability, error) {
	at := systemTitle{scope, id}
	a.mu.Lock()
	found, ok := a.known[at]
	a.mu.Unlock()
	if ok {
		return found, nil
	}
	row, err := tx.Title(id)
	if err != nil {
		return nil, err
	}
	matches, err := a.set.Match(scope, row)
	if err != nil {
		return nil, err
	}
	found = weaknesses(scope, matches)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= maxLifetimes {
		clear(a.known)
	}
	a.known[at] = found
	return found, nil
}

// weaknesses sums up what is said of one title: by severity, and apart what a
// later version fixes and what none does.
func weaknesses(scope string, matches []advisory.Match) []*expr.Vulnerability {
	type sort struct {
		severity string
		fixed    bool
	}
	var out []*expr.Vulnerability
	by := make(map[sort]*expr.Vulnerability)
	for _, m := range matches {
		s := sort{m.Advisory.Severity, m.Fixed != ""}
		v := by[s]
		if v == nil {
			v = &expr.Vulnerability{Package: m.Package, Version: m.Installed, Severity: s.severity, Advisories: []string{}}
			by[s] = v
			out = append(out, v)
		}
		if s.fixed {
			v.Fixed = advisory.Later(scope, v.Fixed, m.Fixed)
			v.FixedAt = sooner(v.FixedAt, m.Advisory.Published)
		}
		if m.Exploited != nil {
			v.Exploited = true
			if due, err := time.Parse(time.DateOnly, m.Exploited.Due); err == nil {
				v.Due = sooner(v.Due, due)
			}
		}
		if len(v.Advisories) < maxAdvised {
			v.Advisories = append(v.Advisories, m.Advisory.ID)
		}
	}
	return out
}

// advise fills in, lazily, what advisories say of an asset's software. Where none
// are held for its system, that is unknown.
func (a *advice) advise(of *pb.Asset, r *expr.Record, software *titles) {
	scope := advisory.ScopeOf(of.GetOs())
	if a == nil || software == nil || scope == "" || !a.set.Covers(scope) {
		return
	}
	r.FindVulnerabilities = func() []*expr.Vulnerability {
		if software.weaknesses != nil {
			return software.weaknesses
		}
		found, err := a.ofAsset(scope, software)
		if err != nil {
			software.err = errors.Join(software.err, err)
		}
		software.weaknesses, software.scope = found, scope
		return found
	}
}

// ofAsset returns what is said of all software of an observation, nil where it
// states none.
func (a *advice) ofAsset(scope string, software *titles) ([]*expr.Vulnerability, error) {
	ids, err := software.titles()
	if ids == nil || err != nil {
		return nil, err
	}
	type part struct {
		name, version, severity string
		fixed                   bool
	}
	out, seen := []*expr.Vulnerability{}, make(map[part]bool)
	for _, id := range ids {
		found, err := a.of(software.tx, scope, id)
		if err != nil {
			return nil, err
		}
		for _, v := range found {
			// One source package in several parts is told once.
			if p := (part{v.Package, v.Version, v.Severity, v.Fixed != ""}); !seen[p] {
				seen[p] = true
				out = append(out, v)
			}
		}
	}
	slices.SortFunc(out, compareWeaknesses)
	return out[:min(len(out), maxWeaknesses)], nil
}

func compareWeaknesses(a, b *expr.Vulnerability) int {
	exploited := func(v *expr.Vulnerability) int {
		if v.Exploited {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(exploited(a), exploited(b)), cmp.Compare(advisory.Rank(a.Severity), advisory.Rank(b.Severity)),
		cmp.Compare(a.Package, b.Package), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Fixed, b.Fixed))
}

// weak tells whether advisories are said of a title on a system.
func (e *Engine) weak(tx *store.Tx, scope string, id store.TitleID) (bool, error) {
	held := e.advice.Load()
	if held == nil || scope == "" {
		return false, nil
	}
	found, err := held.of(tx, scope, id)
	return len(found) > 0, err
}
