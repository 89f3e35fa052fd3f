package expr

import (
	"fmt"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

// findingType is how CEL knows a Finding.
const findingType = "rollcall.Finding"

// Finding is that an asset fails a rule. Its fields have the names that the API
// gives them; what is zero or empty is unknown.
type Finding struct {
	Rule, Severity, State string
	// Detail is what makes the asset fail; empty is none, and not unknown.
	Detail                            []string
	DecidedBy, Reason                 string
	OpenedAt, DecidedAt               time.Time
	WaivedUntil, ResolvedAt, LastSeen time.Time
}

var findingFields = []field[Finding]{
	{"rule", cel.StringType, func(f *Finding) any { return stated(f.Rule) }},
	{"severity", cel.StringType, func(f *Finding) any { return stated(f.Severity) }},
	{"state", cel.StringType, func(f *Finding) any { return stated(f.State) }},
	{"detail", cel.ListType(cel.StringType), func(f *Finding) any {
		if f.Detail == nil {
			return []string{}
		}
		return f.Detail
	}},
	{"decided_by", cel.StringType, func(f *Finding) any { return stated(f.DecidedBy) }},
	{"reason", cel.StringType, func(f *Finding) any { return stated(f.Reason) }},
	{"opened_at", cel.TimestampType, func(f *Finding) any { return at(f.OpenedAt) }},
	{"decided_at", cel.TimestampType, func(f *Finding) any { return at(f.DecidedAt) }},
	{"waived_until", cel.TimestampType, func(f *Finding) any { return at(f.WaivedUntil) }},
	{"resolved_at", cel.TimestampType, func(f *Finding) any { return at(f.ResolvedAt) }},
	{"last_seen", cel.TimestampType, func(f *Finding) any { return at(f.LastSeen) }},
}

var unknownFinding = types.NewUnknown(5, types.NewAttributeTrail("finding"))

// NewForFindings returns an environment whose conditions see one variable more:
//
//	finding   a Finding of the asset
//
// The error would be a fault of this package.
func NewForFindings() (*Env, error) {
	e, err := New()
	if err != nil {
		return nil, err
	}
	describeStruct(e.fields, findingType, "finding", findingFields)
	for _, d := range findingFields {
		e.fields.names = append(e.fields.names, d.name)
	}
	if e.cel, err = e.cel.Extend(cel.Variable("finding", cel.ObjectType(findingType))); err != nil {
		return nil, fmt.Errorf("describe findings to CEL: %w", err)
	}
	return e, nil
}

// lacks tells what to write for a name that stands alone and is that of a field;
// empty where it is none.
func (e *Env) lacks(name string) string {
	var all []string
	for _, v := range []struct{ name, typ string }{{"finding", findingType}, {"asset", assetType}} {
		if _, ok := e.fields.types[v.typ][name]; ok {
			all = append(all, v.name+"."+name)
		}
	}
	return strings.Join(all, " or ")
}
