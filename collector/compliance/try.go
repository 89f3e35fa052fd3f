package compliance

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

const (
	// tryBatch is how many assets are read in one transaction.
	tryBatch = 500
	// tryShow is how many failing assets are told of each rule, and tryRules how
	// many rules are tried at once.
	tryShow  = 20
	tryRules = 200
)

// ErrBusy says that rules are being tried already.
var ErrBusy = errors.New("rules are being tried already")

// Trial is what a rule would say of the fleet.
type Trial struct {
	Rule    *policy.Rule
	Results map[policy.Result]int
	// Failing are the first assets that would fail.
	Failing []*storagepb.FindingRecord
}

// Try evaluates the rules of a file on every asset and changes nothing. Rules of
// the file may have the id of one that holds: theirs is tried. problems tells
// what is wrong with the file; nothing is tried then.
func (e *Engine) Try(ctx context.Context, file *policy.File) (trials []*Trial, assets int, problems []*policy.Problem, err error) {
	pack, problems := policy.Build(e.Env, file)
	if len(problems) > 0 {
		return nil, 0, problems, nil
	}
	if len(pack.Rules()) == 0 || len(pack.Rules()) > tryRules {
		return nil, 0, nil, fmt.Errorf("%w: %d rules, between 1 and %d can be tried at once", ErrRule, len(pack.Rules()), tryRules)
	}
	if !e.trying.TryLock() {
		return nil, 0, nil, ErrBusy
	}
	defer e.trying.Unlock()
	for _, r := range pack.Rules() {
		trials = append(trials, &Trial{Rule: r, Results: make(map[policy.Result]int)})
	}
	for after, more := "", true; more; {
		before := assets
		err := e.Store.View(ctx, func(tx *store.Tx) error {
			kinds, err := sourceKinds(tx)
			if err != nil {
				return err
			}
			read := 0
			return tx.ScanAssets(after, func(a *pb.Asset) error {
				if read == tryBatch {
					return store.Stop
				}
				read++
				assets, after = assets+1, a.GetId()
				return errors.Join(e.tryOn(tx, a, kinds, pack, trials), ctx.Err())
			})
		})
		if err != nil {
			return nil, 0, nil, fmt.Errorf("try the rules: %w", err)
		}
		more = assets-before == tryBatch
	}
	return trials, assets, nil, nil
}

// tryOn evaluates rules on one asset.
func (e *Engine) tryOn(tx *store.Tx, a *pb.Asset, kinds []string, pack *policy.Pack, trials []*Trial) error {
	in, software, err := e.input(tx, a, nil, e.basis())
	if err != nil {
		return err
	}
	if in.Record.DiskFullAt, _, err = e.volume(tx, a); err != nil {
		return err
	}
	in.Kinds = kinds
	pack.Decide(in, func(v *policy.Verdict) {
		t := trials[slices.IndexFunc(trials, func(t *Trial) bool { return t.Rule == v.Rule })]
		t.Results[v.Result]++
		if v.Result == policy.Fail && len(t.Failing) < tryShow {
			t.Failing = append(t.Failing, &storagepb.FindingRecord{AssetId: a.GetId(), Rule: v.Rule.ID, Severity: string(v.Rule.Severity), OpenedAt: timestamppb.New(in.Now), Detail: v.Detail})
		}
	})
	if software != nil && software.err != nil {
		return software.err
	}
	return nil
}
