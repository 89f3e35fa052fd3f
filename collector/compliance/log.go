package compliance

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Kinds of entries of the log of findings.
const (
	Opened         = "opened"
	ResolvedByData = "resolved"
)

// logKept is how long the log of findings is kept, as that of changes is.
const logKept = 30 * 24 * time.Hour

// findingLog is the log of findings that open and are resolved, in order and as
// durable as the findings. It is only written while somebody follows it: a fleet
// that is judged for the first time has as many findings as nobody wants to be
// told one by one.
type findingLog struct {
	followed func() bool
	told     func()
	// last is guarded by Engine.filing.
	last uint64
}

// OnFindings has findings logged while followed holds, and told called after
// entries became durable. It is to be called before Run; both must be fast.
func (e *Engine) OnFindings(followed func() bool, told func()) {
	e.log.followed, e.log.told = followed, told
}

// wanted tells whether there is something to log and somebody who follows.
func (l *findingLog) wanted(n int) bool { return n > 0 && l.followed != nil && l.followed() }

// append writes entries after those that were written since the last call of
// appended; the caller holds Engine.filing until that.
func (l *findingLog) append(tx *store.Tx, all []*storagepb.FindingChangeRecord, after int) error {
	if !l.wanted(len(all)) {
		return nil
	}
	for i, c := range all {
		if err := tx.AppendFindingChange(l.last+1+uint64(after+i), c); err != nil {
			return err
		}
	}
	return nil
}

// appended takes note of entries that were written.
func (l *findingLog) appended(n int) {
	// Who began to follow between the two leaves a gap in the numbers, which harms
	// nothing; numbers that were used must not be used again.
	if l.last += uint64(n); l.wanted(n) {
		l.told()
	}
}

// tellings compares the findings of an asset before and now: those that count
// now and did not before open, those that counted and are no more are resolved.
func tellings(before, now []*storagepb.FindingRecord, at *timestamppb.Timestamp) []*storagepb.FindingChangeRecord {
	var out []*storagepb.FindingChangeRecord
	tell := func(kind string, f *storagepb.FindingRecord) {
		out = append(out, &storagepb.FindingChangeRecord{At: at, Kind: kind, AssetId: f.GetAssetId(), Rule: f.GetRule(), Severity: f.GetSeverity()})
	}
	for _, f := range now {
		if was := ofRule(before, f.GetRule()); StateOf(f) != Waived && (was == nil || StateOf(was) == Waived) {
			tell(Opened, f)
		}
	}
	for _, was := range before {
		if StateOf(was) != Waived && ofRule(now, was.GetRule()) == nil {
			tell(ResolvedByData, was)
		}
	}
	return out
}

// pruneLog deletes entries that are old.
func (e *Engine) pruneLog(ctx context.Context) error {
	before := e.Now().Add(-logKept)
	for n := pruneHow; n == pruneHow; {
		err := e.Store.Update(ctx, func(tx *store.Tx) (err error) {
			n, err = tx.PruneFindingChanges(before, pruneHow)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
