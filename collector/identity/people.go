package identity

import "strings"

// person files one identifier of a person. A user principal name has the form
// of an e-mail address, and in directories is one, so the two are compared
// with each other.
func (r *reading) person(kind, scope, value string) {
	var k Key
	var ok bool
	switch kind {
	case Email, "upn":
		k, ok = address(value)
	case Account, "sam_account_name", "samaccountname":
		k, ok = account(scope, value)
	}
	if ok {
		r.strong = append(r.strong, k)
	}
}

// address reads an e-mail address or user principal name: "Ann <ann@b.com>",
// SMTP:ann@b.com of Exchange, and the name of a guest in another tenant,
// ann_b.com#EXT#@tenant.onmicrosoft.com.
func address(value string) (Key, bool) {
	v := lower(strings.TrimFunc(value, blank))
	if i := strings.LastIndexByte(v, '<'); i >= 0 && strings.HasSuffix(v, ">") {
		v = v[i+1 : len(v)-1]
	}
	for _, prefix := range []string{"smtp:", "mailto:"} {
		v = strings.TrimPrefix(v, prefix)
	}
	if guest, _, ok := strings.Cut(v, "#ext#@"); ok {
		if i := strings.LastIndexByte(guest, '_'); i > 0 {
			v = guest[:i] + "@" + guest[i+1:]
		}
	}
	local, domain, ok := strings.Cut(strings.TrimRight(v, "."), "@")
	if !ok || local == "" || len(v) > maxValue || !strings.Contains(domain, ".") || strings.ContainsAny(domain, "@<>,;") || strings.ContainsFunc(v, blank) {
		return Key{}, false
	}
	switch local {
	case "noreply", "no-reply", "unknown", "none", "admin", "administrator", "root", "info", "support", "helpdesk", "postmaster":
		return Key{}, false // a mailbox of many people or of none
	}
	return Key{Email, "", local + "@" + domain}, true
}

// account reads a Windows account, CORP\ann or ann in the scope corp. Without
// its domain it says nothing: every domain has an ann.
func account(scope, value string) (Key, bool) {
	v := lower(strings.TrimFunc(value, blank))
	if domain, name, ok := strings.Cut(v, `\`); ok {
		scope, v = domain, name
	}
	scope = lower(strings.TrimFunc(scope, blank))
	if i := strings.IndexByte(scope, '.'); i > 0 {
		scope = scope[:i]
	}
	if scope == "" || v == "" || len(v)+len(scope) > maxValue || strings.ContainsAny(v, `\/@`) || strings.ContainsFunc(v+scope, blank) {
		return Key{}, false
	}
	switch v {
	case "administrator", "admin", "guest", "root", "system", "defaultaccount":
		return Key{}, false
	}
	return Key{Account, scope, v}, true
}
