package store

import (
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// PutDecision stores what an operator decided on a finding.
func (t *Tx) PutDecision(d *storagepb.DecisionRecord) error {
	return t.put(join(prefixDecision, d.GetAssetId(), d.GetRule()), d)
}

// DeleteDecision forgets what was decided on a finding.
func (t *Tx) DeleteDecision(assetID, rule string) error {
	return t.remove(join(prefixDecision, assetID, rule))
}

// ScanDecisions calls fn with everything that was decided, by asset and rule.
func (t *Tx) ScanDecisions(fn func(*storagepb.DecisionRecord) error) error {
	return scan(t, prefixDecision, nil, func(_ []byte, d *storagepb.DecisionRecord) error { return fn(d) })
}

// Finding returns what is kept of an asset's failing of a rule.
func (t *Tx) Finding(assetID, rule string) (*storagepb.FindingRecord, error) {
	return read[storagepb.FindingRecord](t, join(prefixFinding, assetID, rule))
}
