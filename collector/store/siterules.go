package store

import pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"

// SiteRule returns a rule that the site wrote through the API.
func (t *Tx) SiteRule(id string) (*pb.RuleRecord, error) {
	return read[pb.RuleRecord](t, join(prefixRule, id))
}

// PutSiteRule stores a rule of the site.
func (t *Tx) PutSiteRule(r *pb.RuleRecord) error { return t.put(join(prefixRule, r.GetId()), r) }

// DeleteSiteRule forgets a rule of the site.
func (t *Tx) DeleteSiteRule(id string) error { return t.remove(join(prefixRule, id)) }

// ScanSiteRules calls fn with each rule of the site, in the order of their ids.
func (t *Tx) ScanSiteRules(fn func(*pb.RuleRecord) error) error {
	return scan(t, prefixRule, nil, func(_ []byte, r *pb.RuleRecord) error { return fn(r) })
}
