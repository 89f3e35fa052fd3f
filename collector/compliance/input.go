package compliance

import (
	"iter"

	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
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
}

// softwareOf returns the software of an asset, nil where nobody states any.
func softwareOf(tx *store.Tx, a *pb.Asset) *titles {
	from := a.GetProvenance()["software"]
	if from == nil {
		return nil
	}
	return &titles{tx: tx, ref: store.Ref{Source: from.GetSource(), ID: from.GetSourceId()}}
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
