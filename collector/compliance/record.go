package compliance

import (
	"errors"
	"time"

	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// agentSource is the source of the agents' reports, whose ids are those of their
// enrolments.
const agentSource = "agent"

// record returns what the collector itself knows of an asset. What it does not
// look up is left unknown.
func (e *Engine) record(tx *store.Tx, a *pb.Asset, issues []string) (*expr.Record, error) {
	r := &expr.Record{IdentityIssues: issues}
	if issues == nil {
		var err error
		if r.IdentityIssues, err = e.Catalog.Issues(tx, a); err != nil {
			return nil, err
		}
	}
	for _, s := range a.GetSources() {
		if s.GetSource() != agentSource {
			continue
		}
		head, err := tx.Head(store.Ref{Source: agentSource, ID: s.GetSourceId()})
		if err != nil {
			return nil, err
		}
		if b := head.GetBaseline(); b != nil && b.ClockAheadSeconds != nil {
			ahead := time.Duration(b.GetClockAheadSeconds()) * time.Second
			r.ClockSkew = &ahead
		}
		enrolment, err := tx.Enrolment(s.GetSourceId())
		if errors.Is(err, store.ErrNotFound) {
			continue // a copy of an agent's state reports under a name of its own
		}
		if err != nil {
			return nil, err
		}
		if at := enrolment.GetCertificateExpiresAt(); at != nil && at.AsTime().After(r.CertificateEnd) {
			r.CertificateEnd = at.AsTime()
		}
	}
	return r, nil
}
