package expr

import (
	"fmt"
	"reflect"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// field describes one field of a Go struct to CEL; read returns nil for a value
// that is not known.
type field[T any] struct {
	name string
	typ  *cel.Type
	read func(*T) any
}

var recordFields = []field[Record]{
	{"latest_version", cel.StringType, func(r *Record) any { return stated(r.LatestVersion) }},
	{"latest_at", cel.TimestampType, func(r *Record) any { return at(r.LatestAt) }},
	{"disk_full_at", cel.TimestampType, func(r *Record) any { return at(r.DiskFullAt) }},
	{"certificate_end", cel.TimestampType, func(r *Record) any { return at(r.CertificateEnd) }},
	{"clock_skew", cel.DurationType, func(r *Record) any {
		if r.ClockSkew == nil {
			return nil
		}
		return types.Duration{Duration: *r.ClockSkew}
	}},
	{"identity_issues", cel.ListType(cel.StringType), func(r *Record) any {
		if r.IdentityIssues == nil {
			return nil
		}
		return r.IdentityIssues
	}},
	{"lifetimes", cel.ListType(cel.ObjectType(lifetimeType)), func(r *Record) any {
		found := r.Lifetimes
		if found == nil && r.FindLifetimes != nil {
			found = r.FindLifetimes()
		}
		if found == nil {
			return nil
		}
		return found
	}},
	{"vulnerabilities", cel.ListType(cel.ObjectType(weaknessType)), func(r *Record) any {
		found := r.Vulnerabilities
		if found == nil && r.FindVulnerabilities != nil {
			found = r.FindVulnerabilities()
		}
		if found == nil {
			return nil
		}
		return found
	}},
}

var weaknessFields = []field[Vulnerability]{
	{"package", cel.StringType, func(v *Vulnerability) any { return stated(v.Package) }},
	{"version", cel.StringType, func(v *Vulnerability) any { return stated(v.Version) }},
	{"fixed", cel.StringType, func(v *Vulnerability) any { return stated(v.Fixed) }},
	{"fixed_at", cel.TimestampType, func(v *Vulnerability) any { return at(v.FixedAt) }},
	{"severity", cel.StringType, func(v *Vulnerability) any { return stated(v.Severity) }},
	{"known_exploited", cel.BoolType, func(v *Vulnerability) any { return types.Bool(v.Exploited) }},
	{"due", cel.TimestampType, func(v *Vulnerability) any { return at(v.Due) }},
	{"advisories", cel.ListType(cel.StringType), func(v *Vulnerability) any { return v.Advisories }},
}

var lifetimeFields = []field[Lifetime]{
	{"name", cel.StringType, func(l *Lifetime) any { return stated(l.Name) }},
	{"version", cel.StringType, func(l *Lifetime) any { return stated(l.Version) }},
	{"product", cel.StringType, func(l *Lifetime) any { return stated(l.Product) }},
	{"cycle", cel.StringType, func(l *Lifetime) any { return stated(l.Cycle) }},
	{"end", cel.TimestampType, func(l *Lifetime) any { return at(l.End) }},
}

func stated(s string) any {
	if s == "" {
		return nil
	}
	return types.String(s)
}

func at(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return types.Timestamp{Time: t}
}

// describeRecord takes in what is no message.
func (f *fields) describeRecord() {
	describeStruct(f, recordType, "record", recordFields)
	describeStruct(f, lifetimeType, "record.lifetimes", lifetimeFields)
	describeStruct(f, weaknessType, "record.vulnerabilities", weaknessFields)
}

func describeStruct[T any](f *fields, name, path string, list []field[T]) {
	f.types[name], f.paths[name] = map[string]*types.FieldType{}, path
	for _, d := range list {
		unknown := f.unknown(join(path, d.name))
		f.types[name][d.name] = &types.FieldType{
			Type: d.typ,
			IsSet: func(target any) bool {
				r, ok := target.(*T)
				return ok && d.read(r) != nil
			},
			GetFrom: func(target any) (any, error) {
				switch r := target.(type) {
				case *types.Unknown:
					return r, nil
				case *T:
					if v := d.read(r); v != nil {
						return v, nil
					}
				}
				return unknown, nil
			},
		}
	}
}

// object is a Go struct as a value of CEL. Its fields are read through the
// provider, so that it has no more to do than to be handed on.
type object struct {
	native any
	name   string
}

// ConvertToNative implements ref.Val.
func (o object) ConvertToNative(t reflect.Type) (any, error) {
	if reflect.TypeOf(o.native).AssignableTo(t) {
		return o.native, nil
	}
	return nil, fmt.Errorf("a %s is not a %v", o.name, t)
}

// ConvertToType implements ref.Val.
func (o object) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return cel.ObjectType(o.name)
	}
	return types.NewErr("a %s is not a %s", o.name, t.TypeName())
}

// Equal implements ref.Val.
func (o object) Equal(other ref.Val) ref.Val {
	p, ok := other.(object)
	return types.Bool(ok && p.native == o.native)
}

// Type implements ref.Val.
func (o object) Type() ref.Type { return cel.ObjectType(o.name) }

// Value implements ref.Val.
func (o object) Value() any { return o.native }
