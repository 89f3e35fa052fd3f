package compliance

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// file stores what became of the findings of some assets, and takes note of it.
func (e *Engine) file(ctx context.Context, found map[string]judgement) error {
	var records []*pb.FindingRecord
	now := timestamppb.New(e.Now())
	e.mu.Lock()
	for id, j := range found {
		records = append(records, settle(e.judged[id].open, j.open, now)...)
	}
	e.mu.Unlock()
	if len(records) > 0 {
		err := e.Store.Update(ctx, func(tx *store.Tx) error {
			for _, f := range records {
				if err := tx.PutFinding(f); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("store findings: %w", err)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, j := range found {
		if j.results == nil {
			delete(e.judged, id)
			continue
		}
		e.judged[id] = j
		e.due.add(id, j.due)
	}
	return nil
}

// settle compares the findings of an asset before and now: those that go on keep
// the time at which they were opened. It returns the records that changed.
func settle(before, now []*pb.FindingRecord, at *timestamppb.Timestamp) []*pb.FindingRecord {
	var changed []*pb.FindingRecord
	for _, f := range now {
		i := slices.IndexFunc(before, func(b *pb.FindingRecord) bool { return b.GetRule() == f.GetRule() })
		if i >= 0 {
			f.OpenedAt = before[i].GetOpenedAt()
			if proto.Equal(before[i], f) {
				continue
			}
		}
		changed = append(changed, f)
	}
	for _, b := range before {
		if !slices.ContainsFunc(now, func(f *pb.FindingRecord) bool { return f.GetRule() == b.GetRule() }) {
			b = proto.CloneOf(b)
			b.ResolvedAt = at
			changed = append(changed, b)
		}
	}
	return changed
}

// prune deletes findings that were resolved long ago.
func (e *Engine) prune(ctx context.Context) error {
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

// Open returns the open findings of an asset, and false where it has not been
// judged yet. They are shared and must not be modified.
func (e *Engine) Open(assetID string) (findings []*pb.FindingRecord, judged bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	j := e.judged[assetID]
	return j.open, j.results != nil
}

// Query says which open findings are asked for; empty fields ask for all.
type Query struct {
	AssetID, Rule string
	Severity      policy.Severity
}

// Find returns the open findings that are asked for, by asset and rule. They are
// shared and must not be modified.
func (e *Engine) Find(q Query) []*pb.FindingRecord {
	e.mu.Lock()
	var out []*pb.FindingRecord
	for id, j := range e.judged {
		if q.AssetID != "" && id != q.AssetID {
			continue
		}
		for _, f := range j.open {
			if (q.Rule == "" || f.GetRule() == q.Rule) && (q.Severity == "" || f.GetSeverity() == string(q.Severity)) {
				out = append(out, f)
			}
		}
	}
	e.mu.Unlock()
	slices.SortFunc(out, func(a, b *pb.FindingRecord) int { return compareFindings(a, b) })
	return out
}

func compareFindings(a, b *pb.FindingRecord) int {
	switch x, y := a.GetAssetId()+"\x00"+a.GetRule(), b.GetAssetId()+"\x00"+b.GetRule(); {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// Count is how many assets a rule says something of.
type Count struct {
	Rule   *policy.Rule
	Result policy.Result
	Assets int
}

// Counts returns how many assets each rule that is turned on says what of.
func (e *Engine) Counts() []Count {
	rules := e.enabled()
	counts := make([]map[policy.Result]int, len(rules))
	for i := range counts {
		counts[i] = make(map[policy.Result]int)
	}
	e.mu.Lock()
	for _, j := range e.judged {
		for i, r := range j.results {
			if i < len(counts) {
				counts[i][r]++
			}
		}
	}
	e.mu.Unlock()
	var out []Count
	for i, r := range rules {
		for _, result := range []policy.Result{policy.Pass, policy.Fail, policy.Unknown, policy.NotApplicable} {
			out = append(out, Count{Rule: r, Result: result, Assets: counts[i][result]})
		}
	}
	return out
}

// enabled returns the rules in the order in which they are evaluated.
func (e *Engine) enabled() []*policy.Rule {
	var out []*policy.Rule
	for _, r := range e.Pack.Rules() {
		if r.Enabled {
			out = append(out, r)
		}
	}
	return out
}
