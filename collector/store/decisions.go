package store

import pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"

// PutDecision stores what an operator decided on a finding.
func (t *Tx) PutDecision(d *pb.DecisionRecord) error {
	return t.put(join(prefixDecision, d.GetAssetId(), d.GetRule()), d)
}

// DeleteDecision forgets what was decided on a finding.
func (t *Tx) DeleteDecision(assetID, rule string) error {
	return t.remove(join(prefixDecision, assetID, rule))
}

// ScanDecisions calls fn with everything that was decided, by asset and rule.
func (t *Tx) ScanDecisions(fn func(*pb.DecisionRecord) error) error {
	return scan(t, prefixDecision, nil, func(_ []byte, d *pb.DecisionRecord) error { return fn(d) })
}

// Finding returns what is kept of an asset's failing of a rule.
func (t *Tx) Finding(assetID, rule string) (*pb.FindingRecord, error) {
	return read[pb.FindingRecord](t, join(prefixFinding, assetID, rule))
}
