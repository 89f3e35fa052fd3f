package compliance

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// input returns what rules look at of an asset, which must be the caller's own,
// and its software, nil where nobody states any. issues are those of its identity,
// nil where they are not known yet.
func (e *Engine) input(tx *store.Tx, a *pb.Asset, issues []string, by basis) (*expr.Input, *titles, error) {
	if err := e.Catalog.Date(tx, a); err != nil {
		return nil, nil, err
	}
	in := &expr.Input{Asset: a, Now: e.Now()}
	software := softwareOf(tx, a, e.names.Load())
	if software != nil {
		in.Software = software
	}
	var err error
	if in.Record, err = e.record(tx, a, issues); err != nil {
		return nil, nil, err
	}
	by.ends.find(a, in.Record, software)
	by.advice.advise(a, in.Record, software)
	return in, software, nil
}

// titles is the software of an asset, read once a rule asks for it: a thousand
// rows are most of what judging an asset costs.
type titles struct {
	tx  *store.Tx
	ref store.Ref
	// ids are the titles, nil until they are read or where none are stated, and
	// known what is remembered of them.
	ids   []store.TitleID
	names *names
	known []named
	// rows are nil until they are read. read tells that a condition looked at them,
	// or for titles of some name.
	rows expr.Rows
	read bool
	err  error
	// lifetimes are nil until they are asked for.
	lifetimes []*expr.Lifetime
	// weaknesses are nil until they are asked for, and scope is the system of which
	// they are; empty where they were not looked for.
	weaknesses []*expr.Vulnerability
	scope      string
}

// softwareOf returns the software of an asset, nil where nobody states any.
func softwareOf(tx *store.Tx, a *pb.Asset, n *names) *titles {
	from := a.GetProvenance()["software"]
	if from == nil {
		return nil
	}
	return &titles{tx: tx, names: n, ref: store.Ref{Source: from.GetSource(), ID: from.GetSourceId()}}
}

// SoftwareOf returns the software of an asset for a condition, nil where nobody
// states any. It is read once a condition asks for it; failed tells, after that,
// whether it could be.
func SoftwareOf(tx *store.Tx, a *pb.Asset) (software expr.Software, failed func() error) {
	t := softwareOf(tx, a, nil)
	if t == nil {
		return nil, func() error { return nil }
	}
	return t, func() error { return t.err }
}

// FindingInput is a finding as conditions see it, but for when it was last seen.
func FindingInput(f *storagepb.FindingRecord) expr.Finding {
	d := f.GetDecision()
	return expr.Finding{Rule: f.GetRule(), Severity: f.GetSeverity(), State: string(StateOf(f)), Detail: f.GetDetail(), DecidedBy: d.GetBy(), Reason: d.GetReason(),
		OpenedAt: moment(f.GetOpenedAt()), DecidedAt: moment(d.GetAt()), WaivedUntil: moment(d.GetUntil()), ResolvedAt: moment(f.GetResolvedAt())}
}

// Seen is a finding as conditions see it.
func (e *Engine) Seen(f *storagepb.FindingRecord) expr.Finding {
	out := FindingInput(f)
	if out.LastSeen = out.ResolvedAt; out.LastSeen.IsZero() {
		out.LastSeen = e.JudgedAt(f.GetAssetId())
	}
	return out
}

// moment returns a time, the zero time for none.
func moment(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func (t *titles) load() expr.Rows {
	if t.read = true; t.rows != nil {
		return t.rows
	}
	t.rows = expr.Rows{}
	t.fail(t.tx.Software(t.ref, func(s *pb.Software) error {
		t.rows = append(t.rows, s)
		return nil
	}))
	return t.rows
}

func (t *titles) fail(err error) {
	if err != nil {
		t.err = errors.Join(t.err, err)
	}
}

// titles returns the ids of the titles, nil where none are stated.
func (t *titles) titles() ([]store.TitleID, error) {
	if t.ids != nil {
		return t.ids, nil
	}
	ids, _, err := t.tx.SoftwareTitles(t.ref)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the titles of %s: %w", t.ref, err)
	}
	t.ids = ids
	return ids, nil
}

// Named implements expr.Software.
func (t *titles) Named(name string) iter.Seq[*pb.Software] {
	if t.names == nil {
		return t.load().Named(name)
	}
	if t.read = true; t.known == nil {
		ids, err := t.titles()
		if err == nil {
			t.known, err = t.names.of(t.tx, ids)
		}
		t.fail(err)
	}
	return slices.Values(t.names.named(name, t.known))
}

// All implements expr.Software.
func (t *titles) All() iter.Seq[*pb.Software] { return t.load().All() }
