package compliance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// State is where a finding stands in its life.
type State string

// The states. A resolved finding is one that the asset no longer has.
const (
	Open         State = "open"
	Acknowledged State = "acknowledged"
	Waived       State = "waived"
	Resolved     State = "resolved"
)

// States lists the states.
var States = []State{Open, Acknowledged, Waived, Resolved}

// MaxWaiver is how far ahead a waiver may end: what nobody looks at again for
// longer is a rule that the site does not want.
const MaxWaiver = 3 * 365 * 24 * time.Hour

// ErrNotFailing says that an asset does not fail the rule.
var ErrNotFailing = errors.New("the asset does not fail this rule now")

// StateOf returns where a finding stands.
func StateOf(f *storagepb.FindingRecord) State {
	switch {
	case f.GetResolvedAt() != nil:
		return Resolved
	case f.GetDecision() != nil:
		return State(f.GetDecision().GetState())
	}
	return Open
}

// decisions are what operators decided, by asset and rule.
type decisions map[string]map[string]*storagepb.DecisionRecord

func (d decisions) put(r *storagepb.DecisionRecord) {
	if d[r.GetAssetId()] == nil {
		d[r.GetAssetId()] = make(map[string]*storagepb.DecisionRecord)
	}
	d[r.GetAssetId()][r.GetRule()] = r
}

func (d decisions) drop(r *storagepb.DecisionRecord) {
	if delete(d[r.GetAssetId()], r.GetRule()); len(d[r.GetAssetId()]) == 0 {
		delete(d, r.GetAssetId())
	}
}

// holds returns what was decided on a finding, nil once a waiver has lapsed.
func (d decisions) holds(f *storagepb.FindingRecord, now time.Time) *storagepb.DecisionRecord {
	r := d[f.GetAssetId()][f.GetRule()]
	if r.GetUntil() != nil && !r.GetUntil().AsTime().After(now) {
		return nil
	}
	return r
}

// apply marks the findings of an asset with what was decided on them, and
// returns when the first of that lapses, the zero time for never.
func (d decisions) apply(id string, open []*storagepb.FindingRecord, now time.Time) (lapses time.Time) {
	if len(d[id]) == 0 {
		return lapses
	}
	for _, f := range open {
		f.Decision = d.holds(f, now)
		if end := f.GetDecision().GetUntil(); end != nil {
			lapses = sooner(lapses, end.AsTime())
		}
	}
	return lapses
}

// over returns what was decided on an asset and holds no longer: waivers that
// lapsed, and acknowledgements of what was resolved.
func (d decisions) over(id string, open []*storagepb.FindingRecord, now time.Time) (out []*storagepb.DecisionRecord) {
	for rule, r := range d[id] {
		switch {
		case r.GetUntil() != nil && !r.GetUntil().AsTime().After(now):
			out = append(out, r)
		case r.GetUntil() == nil && !slices.ContainsFunc(open, func(f *storagepb.FindingRecord) bool { return f.GetRule() == rule }):
			out = append(out, r)
		}
	}
	return out
}

// sooner returns the earlier of two times, of which the zero time is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Decide has a decision hold on a finding from now on. One without a state takes
// back what was decided before. It is durable, audited and in force once Decide
// returns the finding. The error wraps ErrNotFailing where there is none.
func (e *Engine) Decide(ctx context.Context, d *storagepb.DecisionRecord) (*storagepb.FindingRecord, error) {
	e.filing.Lock()
	defer e.filing.Unlock()
	e.mu.Lock()
	j := e.judged[d.GetAssetId()]
	e.mu.Unlock()
	i := slices.IndexFunc(j.open, func(f *storagepb.FindingRecord) bool { return f.GetRule() == d.GetRule() })
	if i < 0 {
		return nil, fmt.Errorf("decide on %s of asset %s: %w", d.GetRule(), d.GetAssetId(), ErrNotFailing)
	}
	f := proto.CloneOf(j.open[i])
	action := "finding.reopen"
	if f.Decision = nil; d.GetState() != "" {
		f.Decision, action = d, "finding."+d.GetState()
	}
	err := e.Store.Update(ctx, func(tx *store.Tx) error {
		decide := func() error { return tx.PutDecision(d) }
		if f.Decision == nil {
			decide = func() error { return tx.DeleteDecision(d.GetAssetId(), d.GetRule()) }
		}
		if err := errors.Join(decide(), tx.PutFinding(f)); err != nil {
			return err
		}
		return tx.AppendAudit(&storagepb.AuditRecord{At: d.GetAt(), Actor: d.GetBy(), Action: action, Target: d.GetAssetId() + "." + d.GetRule(), Detail: d.GetReason()})
	})
	if err != nil {
		return nil, fmt.Errorf("store the decision: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.decided.drop(d); f.Decision != nil {
		e.decided.put(d)
		e.due.add(d.GetAssetId(), d.GetUntil().AsTime())
	}
	after := j
	after.open = slices.Clone(j.open)
	after.open[i] = f
	after.due = sooner(after.due, endOf(f))
	e.replace(d.GetAssetId(), j, after)
	return f, nil
}

func endOf(f *storagepb.FindingRecord) time.Time {
	if end := f.GetDecision().GetUntil(); end != nil {
		return end.AsTime()
	}
	return time.Time{}
}

// hand moves what was decided on an asset that is no more to the one that it
// was united into, and forgets it where it is gone.
func hand(tx *store.Tx, from map[string]*storagepb.DecisionRecord, known decisions) (moved []*storagepb.DecisionRecord, err error) {
	for rule, r := range from {
		if err := tx.DeleteDecision(r.GetAssetId(), rule); err != nil {
			return nil, err
		}
		a, err := tx.ResolveAsset(r.GetAssetId())
		if errors.Is(err, store.ErrNotFound) || err == nil && known[a.GetId()][rule] != nil {
			continue
		}
		if err != nil {
			return nil, err
		}
		r = proto.CloneOf(r)
		r.AssetId = a.GetId()
		if err := tx.PutDecision(r); err != nil {
			return nil, err
		}
		moved = append(moved, r)
	}
	return moved, nil
}

// loadDecisions reads what was decided.
func loadDecisions(tx *store.Tx) (decisions, error) {
	out := make(decisions)
	err := tx.ScanDecisions(func(d *storagepb.DecisionRecord) error {
		out.put(d)
		return nil
	})
	return out, err
}

// resolvedOf returns the findings that were resolved, as they are kept.
func (e *Engine) resolvedOf(ctx context.Context, q Query) (out []*storagepb.FindingRecord, err error) {
	take := func(f *storagepb.FindingRecord) error {
		if f.GetResolvedAt() != nil && q.matches(f) {
			out = append(out, f)
		}
		return ctx.Err()
	}
	err = e.Store.View(ctx, func(tx *store.Tx) error {
		if q.AssetID != "" {
			return tx.ScanFindingsOf(q.AssetID, take)
		}
		return tx.ScanFindings("", take)
	})
	return out, err
}

// Resolved returns the findings that were resolved and are still kept, in the
// order of Find.
func (e *Engine) Resolved(ctx context.Context, q Query) ([]*storagepb.FindingRecord, error) {
	out, err := e.resolvedOf(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("read the resolved findings: %w", err)
	}
	return out, nil
}

// JudgedAt returns when an asset was last judged; the zero time if it never was.
func (e *Engine) JudgedAt(assetID string) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.judged[assetID].at
}
