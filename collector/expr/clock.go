package expr

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// clock is the time of one evaluation. Each comparison with it notes when it
// comes out otherwise, so that the outcome holds until the earliest of those.
type clock struct {
	now, next time.Time
}

// until notes that a comparison comes out otherwise at t.
func (c *clock) until(t time.Time) {
	if c.next.IsZero() || t.Before(c.next) {
		c.next = t
	}
}

// The comparisons that splitNow makes of those with now in them. Their first
// argument is now, the second a time that does not depend on it.
const (
	nowAfter    = "@now_after"
	nowNotUntil = "@now_at_or_after"
	nowBefore   = "@now_before"
	nowUntil    = "@now_at_or_before"
)

// clockComparisons tell whether they hold of now and a time.
var clockComparisons = map[string]func(*clock, time.Time) bool{
	nowAfter:    func(c *clock, t time.Time) bool { return c.past(t.Add(1)) },
	nowNotUntil: func(c *clock, t time.Time) bool { return c.past(t) },
	nowBefore:   func(c *clock, t time.Time) bool { return !c.past(t) },
	nowUntil:    func(c *clock, t time.Time) bool { return !c.past(t.Add(1)) },
}

// clockFunctions declares them.
func clockFunctions() (all []cel.EnvOption) {
	for _, name := range slices.Sorted(maps.Keys(clockComparisons)) {
		holds := clockComparisons[name]
		all = append(all, cel.Function(name, cel.Overload(name+"_timestamp", []*cel.Type{cel.TimestampType, cel.TimestampType}, cel.BoolType,
			cel.BinaryBinding(func(a, b ref.Val) ref.Val {
				c, ok := a.(*clock)
				t, ok2 := b.(types.Timestamp)
				if !ok || !ok2 {
					return types.MaybeNoSuchOverloadErr(a)
				}
				return types.Bool(holds(c, t.Time))
			}))))
	}
	return all
}

// past tells whether t has come.
func (c *clock) past(t time.Time) bool {
	if !c.now.Before(t) {
		return true
	}
	c.until(t)
	return false
}

// ConvertToNative implements ref.Val.
func (c *clock) ConvertToNative(t reflect.Type) (any, error) {
	return types.Timestamp{Time: c.now}.ConvertToNative(t)
}

// ConvertToType implements ref.Val.
func (c *clock) ConvertToType(t ref.Type) ref.Val {
	return types.Timestamp{Time: c.now}.ConvertToType(t)
}

// Equal implements ref.Val.
func (c *clock) Equal(other ref.Val) ref.Val { return types.Timestamp{Time: c.now}.Equal(other) }

// Type implements ref.Val.
func (c *clock) Type() ref.Type { return types.TimestampType }

// Value implements ref.Val.
func (c *clock) Value() any { return c }
