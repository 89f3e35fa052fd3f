package store

import (
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// SiteRule returns a rule that the site wrote through the API.
func (t *Tx) SiteRule(id string) (*storagepb.RuleRecord, error) {
	return read[storagepb.RuleRecord](t, join(prefixRule, id))
}

// PutSiteRule stores a rule of the site.
func (t *Tx) PutSiteRule(r *storagepb.RuleRecord) error { return t.put(join(prefixRule, r.GetId()), r) }

// DeleteSiteRule forgets a rule of the site.
func (t *Tx) DeleteSiteRule(id string) error { return t.remove(join(prefixRule, id)) }

// ScanSiteRules calls fn with each rule of the site, in the order of their ids.
func (t *Tx) ScanSiteRules(fn func(*storagepb.RuleRecord) error) error {
	return scan(t, prefixRule, nil, func(_ []byte, r *storagepb.RuleRecord) error { return fn(r) })
}
