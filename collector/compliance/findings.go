package compliance

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// outcome is what is to be stored of some judgements.
type outcome struct {
	findings []*storagepb.FindingRecord
	// told is what whoever follows findings is told.
	told []*storagepb.FindingChangeRecord
	// over are decisions that hold no longer, and ended the assets that are no
	// more and on which something was decided.
	over  []*storagepb.DecisionRecord
	ended []string
	// volumes are to be kept, and gone the assets that are no more.
	volumes []*storagepb.VolumeRecord
	gone    []string
}

// file stores what became of the findings of some assets, and takes note of it.
func (e *Engine) file(ctx context.Context, found map[string]judgement) error {
	e.filing.Lock()
	defer e.filing.Unlock()
	e.outdated(found)
	out := e.outcome(found)
	moved, err := e.store(ctx, out)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, d := range out.over {
		e.decided.drop(d)
	}
	for _, id := range out.ended {
		delete(e.decided, id)
	}
	for _, d := range moved {
		e.decided.put(d)
		e.dirty[d.GetAssetId()] = struct{}{}
	}
	for id, j := range found {
		e.replace(id, e.judged[id], j)
		e.due.add(id, j.due)
	}
	return nil
}

// outcome compares judgements with those before, and marks them with what was
// decided.
func (e *Engine) outcome(found map[string]judgement) (out outcome) {
	now := e.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, j := range found {
		j.due = sooner(j.due, e.decided.apply(id, j.open, now))
		found[id] = j
		out.findings = append(out.findings, settle(e.judged[id].open, j.open, timestamppb.New(now))...)
		out.told = append(out.told, tellings(e.judged[id].open, j.open, timestamppb.New(now))...)
		if j.volume != nil {
			out.volumes = append(out.volumes, j.volume)
			j.volume = nil
			found[id] = j
		}
		if j.results == nil && e.judged[id].results != nil {
			out.gone = append(out.gone, id)
		}
		if len(e.decided[id]) > 0 && j.results == nil {
			out.ended = append(out.ended, id)
		} else {
			out.over = append(out.over, e.decided.over(id, j.open, now)...)
		}
	}
	return out
}

// store stores an outcome, and returns the decisions that it moved from one
// asset to another. The caller holds e.filing.
func (e *Engine) store(ctx context.Context, out outcome) (moved []*storagepb.DecisionRecord, err error) {
	if len(out.findings)+len(out.over)+len(out.ended)+len(out.volumes)+len(out.gone) == 0 {
		return nil, nil
	}
	// What is done twice after a failure between two parts comes to the same.
	parts := max(1, (max(len(out.findings), len(out.told))+perUpdate-1)/perUpdate)
	for part := range parts {
		last := part == parts-1
		err := e.Store.Update(ctx, func(tx *store.Tx) (err error) {
			if err := e.storePart(tx, out, part); err != nil || !last {
				return err
			}
			moved, err = e.storeRest(tx, out)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("store findings: %w", err)
		}
	}
	e.log.appended(len(out.told))
	return moved, nil
}

// perUpdate is how many findings are stored in one update, which the store bounds: a
// new rule may fail a whole fleet, and ten thousand rules one asset.
const perUpdate = 500

// storePart stores some of the findings, and what is told of some.
func (e *Engine) storePart(tx *store.Tx, out outcome, part int) error {
	from := part * perUpdate
	for _, f := range out.findings[min(from, len(out.findings)):min(from+perUpdate, len(out.findings))] {
		if err := tx.PutFinding(f); err != nil {
			return err
		}
	}
	return e.log.append(tx, out.told[min(from, len(out.told)):min(from+perUpdate, len(out.told))], from)
}

// storeRest stores all but the findings, and returns the decisions that it moved.
func (e *Engine) storeRest(tx *store.Tx, out outcome) (moved []*storagepb.DecisionRecord, err error) {
	for _, v := range out.volumes {
		if err := tx.PutVolume(v); err != nil {
			return nil, err
		}
	}
	for _, id := range out.gone {
		if err := tx.DeleteVolume(id); err != nil {
			return nil, err
		}
	}
	for _, d := range out.over {
		if err := tx.DeleteDecision(d.GetAssetId(), d.GetRule()); err != nil {
			return nil, err
		}
	}
	for _, id := range out.ended {
		handed, err := hand(tx, e.decided[id], e.decided)
		if err != nil {
			return nil, err
		}
		moved = append(moved, handed...)
	}
	return moved, nil
}

// ofRule returns the finding of a rule among those of an asset, which are in order
// of their rules; nil for none.
func ofRule(findings []*storagepb.FindingRecord, rule string) *storagepb.FindingRecord {
	i, ok := slices.BinarySearchFunc(findings, rule, func(f *storagepb.FindingRecord, rule string) int { return strings.Compare(f.GetRule(), rule) })
	if !ok {
		return nil
	}
	return findings[i]
}

// settle compares the findings of an asset before and now: those that go on keep
// the time at which they were opened. It returns the records that changed.
func settle(before, now []*storagepb.FindingRecord, at *timestamppb.Timestamp) []*storagepb.FindingRecord {
	var changed []*storagepb.FindingRecord
	for _, f := range now {
		if was := ofRule(before, f.GetRule()); was != nil {
			f.OpenedAt = was.GetOpenedAt()
			if proto.Equal(was, f) {
				continue
			}
		}
		changed = append(changed, f)
	}
	for _, b := range before {
		if ofRule(now, b.GetRule()) == nil {
			b = proto.CloneOf(b)
			b.ResolvedAt = at
			changed = append(changed, b)
		}
	}
	return changed
}

// prune deletes findings that were resolved long ago, and what nobody has to be
// told any more.
func (e *Engine) prune(ctx context.Context) error {
	if err := e.pruneLog(ctx); err != nil {
		return err
	}
	before := e.Now().Add(-retention)
	for next, begun := "", false; next != "" || !begun; begun = true {
		err := e.Store.Update(ctx, func(tx *store.Tx) (err error) {
			next, err = tx.PruneFindings(next, before, pruneHow)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Open returns the findings of an asset that are not resolved, and false where it
// has not been judged yet. They are shared and must not be modified.
func (e *Engine) Open(assetID string) (findings []*storagepb.FindingRecord, judged bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	j := e.judged[assetID]
	return j.open, j.results != nil
}

// Query says which findings are asked for; empty fields ask for all.
type Query struct {
	AssetID, Rule string
	Severity      policy.Severity
	State         State
}

func (q Query) matches(f *storagepb.FindingRecord) bool {
	return (q.Rule == "" || f.GetRule() == q.Rule) && (q.Severity == "" || f.GetSeverity() == string(q.Severity)) && (q.State == "" || StateOf(f) == q.State)
}

// Find returns the findings that are asked for and not resolved, those of an
// asset one after the other and else in no order. They are shared and must not be
// modified.
func (e *Engine) Find(q Query) []*storagepb.FindingRecord {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []*storagepb.FindingRecord
	take := func(j judgement) {
		for _, f := range j.open {
			if q.matches(f) {
				out = append(out, f)
			}
		}
	}
	if q.AssetID != "" {
		take(e.judged[q.AssetID])
		return out
	}
	for _, j := range e.judged {
		take(j)
	}
	return out
}

// RuleCount is what one rule says of how many assets.
type RuleCount struct {
	Rule *policy.Rule
	// Results are by the age of what is known of the asset.
	Results map[policy.Result]Ages
	// Findings are by how long they are open.
	Findings map[State]Ages
}

// Counts returns what each rule that is turned on says of how many assets. It
// costs the same however many assets there are.
func (e *Engine) Counts() []RuleCount { return e.Part(nil).Counts() }

// Fleet returns how many assets were judged, by the age of what is known of
// them, and how many of those fail a rule that is not waived.
func (e *Engine) Fleet() (assets, failing Ages) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.tally.assets, e.tally.failing
}

// enabled returns the rules of a pack in the order in which they are evaluated.
func enabled(pack *policy.Pack) []*policy.Rule {
	var out []*policy.Rule
	for _, r := range pack.Rules() {
		if r.Enabled {
			out = append(out, r)
		}
	}
	return out
}
