package expr

import (
	"reflect"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	// titlesVariable is what has_software looks into.
	titlesVariable = "@titles"
	hasSoftware    = "@has_software"
	noTexts        = "@no_texts"
	// maxDays bounds days(n), a little above the years that a timestamp has.
	maxDays = 100_000
)

var (
	titlesType  = cel.OpaqueType("rollcall.Titles")
	versionType = cel.OpaqueType("rollcall.Version")
)

// functions declares what expressions can call beside the functions of CEL.
func functions() []cel.EnvOption {
	source := []*cel.Type{cel.ObjectType(assetType), cel.StringType}
	ordered := func(name string) cel.EnvOption {
		return cel.Function(name, cel.Overload(strings.Trim(name, "_")+"_versions", []*cel.Type{versionType, versionType}, cel.BoolType))
	}
	return append(clockFunctions(),
		cel.Function("days", cel.Overload("days_int", []*cel.Type{cel.IntType}, cel.DurationType, cel.UnaryBinding(daysOf))),
		cel.Function(noTexts, cel.Overload("no_texts", nil, cel.ListType(cel.StringType), cel.FunctionBinding(func(...ref.Val) ref.Val {
			return types.NewStringList(types.DefaultTypeAdapter, nil)
		}))),
		cel.Function("@seen_by", cel.Overload("seen_by_kind", source, cel.TimestampType, cel.BinaryBinding(seenBy))),
		cel.Function("@known_to", cel.Overload("known_to_kind", source, cel.BoolType, cel.BinaryBinding(knownTo))),
		cel.Function(hasSoftware, cel.Overload("has_software_name", []*cel.Type{titlesType, cel.StringType, cel.StringType}, cel.BoolType,
			cel.FunctionBinding(func(args ...ref.Val) ref.Val { return installed(args[0], args[1], args[2]) }))),
		cel.Function("version", cel.Overload("version_string", []*cel.Type{cel.StringType}, versionType, cel.UnaryBinding(func(v ref.Val) ref.Val {
			s, ok := v.(types.String)
			if !ok {
				return types.MaybeNoSuchOverloadErr(v)
			}
			return version(s)
		}))),
		ordered("_<_"), ordered("_<=_"), ordered("_>_"), ordered("_>=_"),
	)
}

func daysOf(v ref.Val) ref.Val {
	n, ok := v.(types.Int)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	if n < -maxDays || n > maxDays {
		return types.NewErr("days(%d) is out of range: %d are the most", int64(n), maxDays)
	}
	return types.Duration{Duration: time.Duration(n) * 24 * time.Hour}
}

// neverSeen is what seen_by is of a kind that does not know the asset.
var neverSeen = types.NewUnknown(5, types.NewAttributeTrail("sources"))

// seenBy returns when a source of the kind last saw the asset.
func seenBy(a, kind ref.Val) ref.Val {
	asset, ok := a.Value().(*pb.Asset)
	if !ok {
		return types.MaybeNoSuchOverloadErr(a)
	}
	var last time.Time
	for _, s := range asset.GetSources() {
		if t := s.GetLastSeen(); types.String(s.GetKind()) == kind && t.CheckValid() == nil && t.AsTime().After(last) {
			last = t.AsTime()
		}
	}
	if last.IsZero() {
		return neverSeen
	}
	return types.Timestamp{Time: last}
}

// knownTo tells whether any source of the kind speaks of the asset.
func knownTo(a, kind ref.Val) ref.Val {
	asset, ok := a.Value().(*pb.Asset)
	if !ok {
		return types.MaybeNoSuchOverloadErr(a)
	}
	for _, s := range asset.GetSources() {
		if types.String(s.GetKind()) == kind {
			return types.True
		}
	}
	return types.False
}

// installed tells whether a title of that name is there in an allowed version.
func installed(t, name, text ref.Val) ref.Val {
	act, ok := t.(*titles)
	n, ok2 := name.(types.String)
	c, ok3 := text.(types.String)
	if !ok || !ok2 || !ok3 {
		return types.MaybeNoSuchOverloadErr(t)
	}
	if act.in.Software == nil {
		return unknownSoftware
	}
	return types.Bool(hasTitle(act.in.Software, string(n), act.constraints[string(c)]))
}

// hasTitle tells whether software has a title of a name, or of one that a
// pattern fits, in an allowed version.
func hasTitle(in Software, name string, allowed constraint) bool {
	for s := range in.Named(name) {
		if allowed.allows(s.GetKind(), s.GetVersion()) {
			return true
		}
	}
	return false
}

// NamePattern is a name of software in which * stands for any text, whatever the
// case of the letters.
type NamePattern struct{ parts []string }

// ParseName returns the pattern of a name as has_software is given it.
func ParseName(name string) NamePattern {
	return NamePattern{strings.Split(strings.ToLower(name), "*")}
}

// Exact returns the one name that a pattern without * fits, in lower case.
func (p NamePattern) Exact() (name string, ok bool) { return p.parts[0], len(p.parts) == 1 }

// Fits tells whether a name in lower case is one of those meant.
func (p NamePattern) Fits(name string) bool {
	rest, ok := strings.CutPrefix(name, p.parts[0])
	last := len(p.parts) - 1
	if !ok || last == 0 {
		return ok && rest == ""
	}
	for _, part := range p.parts[1:last] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, p.parts[last])
}

// titles is the activation as the value that has_software gets.
type titles activation

// ConvertToNative implements ref.Val.
func (t *titles) ConvertToNative(reflect.Type) (any, error) { return t, nil }

// ConvertToType implements ref.Val.
func (t *titles) ConvertToType(ref.Type) ref.Val { return types.NewErr("titles cannot be converted") }

// Equal implements ref.Val.
func (t *titles) Equal(other ref.Val) ref.Val { return types.Bool(other == ref.Val(t)) }

// Type implements ref.Val.
func (t *titles) Type() ref.Type { return titlesType }

// Value implements ref.Val.
func (t *titles) Value() any { return t }

// version is text that compares as a version.
type version string

// Compare implements traits.Comparer.
func (v version) Compare(other ref.Val) ref.Val {
	o, ok := other.(version)
	if !ok {
		return types.MaybeNoSuchOverloadErr(other)
	}
	d := compareVersions(string(v), string(o))
	return types.Int(min(max(d, -1), 1))
}

// ConvertToNative implements ref.Val.
func (v version) ConvertToNative(reflect.Type) (any, error) { return string(v), nil }

// ConvertToType implements ref.Val.
func (v version) ConvertToType(t ref.Type) ref.Val {
	if t == types.StringType {
		return types.String(v)
	}
	return types.NewErr("a version is not a %s", t.TypeName())
}

// Equal implements ref.Val.
func (v version) Equal(other ref.Val) ref.Val {
	o, ok := other.(version)
	return types.Bool(ok && compareVersions(string(v), string(o)) == 0)
}

// Type implements ref.Val.
func (v version) Type() ref.Type { return orderedType{versionType} }

// Value implements ref.Val.
func (v version) Value() any { return string(v) }

// orderedType is a type whose values have an order, which an opaque type of
// CEL cannot say of itself.
type orderedType struct{ *cel.Type }

// HasTrait implements ref.Type.
func (orderedType) HasTrait(trait int) bool { return trait&traits.ComparerType != 0 }

// sizes estimates how long lists and texts may be, for the worst cost.
type sizes struct{}

// EstimateSize implements cost.Estimator.
func (sizes) EstimateSize(element cost.AstNode) *cost.SizeEstimate {
	most := uint64(200)
	switch path := element.Path(); {
	case element.Type().Kind() == types.OpaqueKind:
		most = 1
	case element.ComputedSize() != nil:
		return nil
	case len(path) == 0 && element.Type().Kind() == types.ListKind:
		most = 50_000 // what is left of a list may be all of the software
	case len(path) == 1 && path[0] == "software":
		most = 50_000
	case element.Type().Kind() == types.ListKind:
		most = 500
	}
	return &cost.SizeEstimate{Min: 0, Max: most}
}

// EstimateCallCost implements cost.Estimator.
func (sizes) EstimateCallCost(function, _ string, _ *cost.AstNode, _ []cost.AstNode) *cost.CallEstimate {
	switch function {
	case hasSoftware:
		return &cost.CallEstimate{CostEstimate: cost.Estimate{Min: 1, Max: 1000}}
	case "string": // of numbers, times and texts of a field's size
		return &cost.CallEstimate{CostEstimate: cost.Estimate{Min: 1, Max: 20}, ResultSize: &cost.SizeEstimate{Max: 200}}
	case "substring", "lowerAscii", "upperAscii", "trim", "charAt", "replace", "join":
		return &cost.CallEstimate{CostEstimate: cost.Estimate{Min: 1, Max: 500}, ResultSize: &cost.SizeEstimate{Max: 2000}}
	case noTexts:
		none := cost.FixedSizeEstimate(0)
		return &cost.CallEstimate{CostEstimate: cost.FixedCostEstimate(1), ResultSize: &none}
	case "@seen_by", "@known_to":
		return &cost.CallEstimate{CostEstimate: cost.Estimate{Min: 1, Max: 20}}
	}
	return nil
}
