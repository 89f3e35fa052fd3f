package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/compliance"
	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/notify/channel"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/watch"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// place is a place in the logs of changes and of findings.
type place struct{ changes, findings uint64 }

// readAtOnce bounds how many findings one transaction reads.
const readAtOnce = 256

// gather adds to a batch what a subscription asks for, after one place and up to
// another, and returns the place to go on from: before the end where the batch is
// full.
func (n *Notifier) gather(ctx context.Context, s *subscription, b *batch, from, to place) (place, error) {
	at := from
	for s.assets != nil && at.changes < to.changes && !b.full() {
		next, err := n.gatherChanges(ctx, s, b, at.changes, to.changes)
		if err != nil {
			return at, err
		}
		if next == at.changes {
			break
		}
		at.changes = next
	}
	for s.findings != nil && at.findings < to.findings && !b.full() {
		next, err := n.gatherFindings(ctx, s, b, at.findings, to.findings)
		if err != nil {
			return at, err
		}
		if next == at.findings {
			break
		}
		at.findings = next
	}
	return at, nil
}

// gatherChanges adds some changes of assets.
func (n *Notifier) gatherChanges(ctx context.Context, s *subscription, b *batch, from, to uint64) (uint64, error) {
	events, next, err := n.o.Changes.Read(ctx, from)
	switch {
	case errors.Is(err, watch.ErrPruned):
		b.lost = true
		return n.o.Changes.Oldest(ctx)
	case err != nil:
		return from, err
	case !slices.ContainsFunc(events, func(e *watch.Event) bool { return s.assets.asks(e.Change) }):
		return min(next, to), nil
	}
	err = n.o.Store.View(ctx, func(tx *store.Tx) error {
		for _, e := range events {
			if e.Sequence > to {
				next = to
				return nil
			}
			if !s.assets.asks(e.Change) {
				continue
			}
			told, err := n.changeTold(ctx, tx, s.assets, e.Change)
			if err != nil {
				return err
			}
			if told == nil {
				continue
			}
			if b.add(*told); b.full() {
				next = e.Sequence
				return nil
			}
		}
		return ctx.Err()
	})
	return min(next, to), err
}

// asks tells whether an interest may be in a change, as far as the change says.
func (a *assetInterest) asks(c *adminpb.ChangeEvent) bool {
	if !slices.Contains(a.kinds, c.GetKind()) {
		return false
	}
	return len(a.fields) == 0 || slices.ContainsFunc(a.fields, func(path string) bool {
		return slices.ContainsFunc(c.GetFields(), func(f string) bool { return f == path || within(f, path) || within(path, f) })
	})
}

// within tells whether a field is part of another.
func within(path, of string) bool { return strings.HasPrefix(path, of+".") }

// changeTold returns what is told of a change, nil for nothing.
func (n *Notifier) changeTold(ctx context.Context, tx *store.Tx, interest *assetInterest, c *adminpb.ChangeEvent) (*channel.Event, error) {
	at := c.GetAt().AsTime()
	if c.GetKind() == catalog.Withdrawn || c.GetKind() == catalog.United {
		at = at.Add(-1) // as it was before it ended
	}
	a, err := n.assetAt(tx, c.GetAssetId(), at)
	if err != nil {
		return nil, err
	}
	if a.Name == "" {
		a.Name = c.GetAssetName()
	}
	in := &expr.Input{Asset: a, Now: n.o.Now()}
	if yes, err := n.holds(ctx, tx, interest.filter, in); err != nil || !yes {
		return nil, err
	}
	return &channel.Event{Kind: assetKind + c.GetKind(), At: c.GetAt().AsTime(), AssetID: a.GetId(), AssetName: a.GetName(), Department: a.GetOwner().GetDepartment(),
		Labels: a.GetLabels(), Fields: c.GetFields(), Source: c.GetSource(), SourceID: c.GetSourceId(), Other: c.GetInto() + c.GetFrom()}, nil
}

// assetAt returns an asset as it was; one of which no more is known than its id
// where nothing is kept.
func (n *Notifier) assetAt(tx *store.Tx, id string, at time.Time) (*pb.Asset, error) {
	a, err := n.o.Catalog.AsOf(tx, id, at)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, catalog.ErrNotYet) {
		return &pb.Asset{Id: id}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read asset %s: %w", id, err)
	}
	return a, nil
}

// holds tells whether a filter lets something through. One that takes too long
// does: better to tell too much than to lose it.
func (n *Notifier) holds(ctx context.Context, tx *store.Tx, filter *expr.Program, in *expr.Input) (bool, error) {
	if filter == nil {
		return true, nil
	}
	software, failed := compliance.SoftwareOf(tx, in.Asset)
	in.Software = software
	out, err := filter.EvalContext(ctx, in)
	if errors.Is(err, expr.ErrLimit) {
		return true, nil
	}
	return out.Value == expr.True, errors.Join(err, failed())
}

// gatherFindings adds some findings.
func (n *Notifier) gatherFindings(ctx context.Context, s *subscription, b *batch, from, to uint64) (uint64, error) {
	next, looked := from, 0
	err := n.o.Store.View(ctx, func(tx *store.Tx) error {
		next, looked = from, 0
		pruned, err := tx.PrunedFindingChanges()
		if err != nil {
			return err
		}
		if from < pruned {
			b.lost, next = true, pruned
		}
		return tx.ScanFindingChanges(next, func(sequence uint64, c *storagepb.FindingChangeRecord) error {
			if looked++; looked > readAtOnce || sequence > to || b.full() {
				return store.Stop
			}
			next = sequence
			if !s.findings.asks(c) {
				return ctx.Err()
			}
			told, err := n.findingTold(ctx, tx, s.findings, c)
			if told != nil {
				b.add(*told)
			}
			return errors.Join(err, ctx.Err())
		})
	})
	if err != nil {
		return from, fmt.Errorf("read the log of findings: %w", err)
	}
	return next, nil
}

// asks tells whether an interest may be in a change of a finding.
func (f *findingInterest) asks(c *storagepb.FindingChangeRecord) bool {
	return slices.Contains(f.events, c.GetKind()) && (len(f.severities) == 0 || slices.Contains(f.severities, c.GetSeverity())) &&
		(len(f.rules) == 0 || slices.Contains(f.rules, c.GetRule()))
}

// findingTold returns what is told of a change of a finding, nil for nothing.
func (n *Notifier) findingTold(ctx context.Context, tx *store.Tx, interest *findingInterest, c *storagepb.FindingChangeRecord) (*channel.Event, error) {
	at := c.GetAt().AsTime()
	a, err := n.assetAt(tx, c.GetAssetId(), at)
	if err == nil && a.GetName() == "" {
		// Its findings are resolved a moment after an asset ends.
		a, err = n.lastOf(tx, c.GetAssetId())
	}
	if err != nil {
		return nil, err
	}
	held := new(storagepb.FindingRecord)
	err = tx.ScanFindingsOf(c.GetAssetId(), func(f *storagepb.FindingRecord) error {
		if f.GetRule() == c.GetRule() {
			held = f
			return store.Stop
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the findings of asset %s: %w", c.GetAssetId(), err)
	}
	finding := compliance.FindingInput(held)
	finding.Rule, finding.Severity, finding.State = c.GetRule(), c.GetSeverity(), string(compliance.Open)
	if c.GetKind() == compliance.ResolvedByData {
		finding.State = string(compliance.Resolved)
	}
	in := &expr.Input{Asset: a, Now: n.o.Now(), Finding: &finding}
	if yes, err := n.holds(ctx, tx, interest.filter, in); err != nil || !yes {
		return nil, err
	}
	return &channel.Event{Kind: findingKind + c.GetKind(), At: at, AssetID: c.GetAssetId(), AssetName: a.GetName(), Department: a.GetOwner().GetDepartment(), Labels: a.GetLabels(),
		Rule: c.GetRule(), Title: n.o.Title(c.GetRule()), Severity: c.GetSeverity(), Detail: held.GetDetail()}, nil
}

// lastOf returns an asset as it was before it ended.
func (n *Notifier) lastOf(tx *store.Tx, id string) (*pb.Asset, error) {
	var ended time.Time
	err := tx.ScanEvents(id, time.Time{}, func(at time.Time, _ []byte) error {
		ended = at
		return nil
	})
	if err != nil || ended.IsZero() {
		return &pb.Asset{Id: id}, err
	}
	return n.assetAt(tx, id, ended.Add(-1))
}
