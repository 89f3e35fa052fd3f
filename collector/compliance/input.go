package compliance

import (
	"iter"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// input returns what rules look at of an asset, which must be the caller's own,
// and its software, nil where nobody states any.
func (e *Engine) input(tx *store.Tx, a *pb.Asset, kinds []string) (*expr.Input, *titles, error) {
	if err := e.Catalog.Date(tx, a); err != nil {
		return nil, nil, err
	}
	in := &expr.Input{Asset: a, Kinds: kinds, Now: e.Now()}
	software := softwareOf(tx, a)
	if software != nil {
		in.Software = software
	}
	var err error
	if in.Record, err = e.record(tx, a); err != nil {
		return nil, nil, err
	}
	e.find(tx, a, in.Record, software)
	e.advise(tx, a, in.Record, software)
	return in, software, nil
}

// titles is the software of an asset, read once a rule asks for it: a thousand
// rows are most of what judging an asset costs.
type titles struct {
	tx   *store.Tx
	ref  store.Ref
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
func softwareOf(tx *store.Tx, a *pb.Asset) *titles {
	from := a.GetProvenance()["software"]
	if from == nil {
		return nil
	}
	return &titles{tx: tx, ref: store.Ref{Source: from.GetSource(), ID: from.GetSourceId()}}
}

// SoftwareOf returns the software of an asset for a condition, nil where nobody
// states any. It is read once a condition asks for it; failed tells, after that,
// whether it could be.
func SoftwareOf(tx *store.Tx, a *pb.Asset) (software expr.Software, failed func() error) {
	t := softwareOf(tx, a)
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
	if t.read {
		return t.rows
	}
	t.read = true
	t.err = t.tx.Software(t.ref, func(s *pb.Software) error {
		t.rows = append(t.rows, s)
		return nil
	})
	return t.rows
}

// Named implements expr.Software.
func (t *titles) Named(name string) iter.Seq[*pb.Software] { return t.load().Named(name) }

// All implements expr.Software.
func (t *titles) All() iter.Seq[*pb.Software] { return t.load().All() }
