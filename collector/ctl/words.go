package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// ago tells a time as its distance from now; empty where there is none.
func (s *session) ago(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	d := s.world.now().Sub(t.AsTime())
	if d < 0 {
		return "in " + distance(-d)
	}
	if d < time.Second {
		return "now"
	}
	return distance(d) + " ago"
}

func distance(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/day)
}

// size tells a number of bytes in the unit that keeps it short; nil is empty.
func size(bytes *int64) string {
	if bytes == nil {
		return ""
	}
	v, unit := float64(*bytes), 0
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	for math.Abs(v) >= 1024 && unit < len(units)-1 {
		v, unit = v/1024, unit+1
	}
	text := strconv.FormatFloat(v, 'f', 1, 64)
	if unit == 0 || v >= 100 || strings.HasSuffix(text, ".0") {
		text = strconv.FormatFloat(v, 'f', 0, 64)
	}
	return text + " " + units[unit]
}

// yes tells a fact that is true, false or not known.
func yes(b *bool) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return "yes"
	}
	return "no"
}

// number tells a count, with its unit; nil is empty.
func number(n *int32, unit string) string {
	if n == nil {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", *n, unit))
}

// phrase joins what there is of some words.
func phrase(words ...string) string { return joined(" ", words...) }

// list joins what there is of some things.
func list(things ...string) string { return joined(", ", things...) }

func joined(by string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(parts), func(p string) bool { return p == "" }), by)
}

// pairs tells a map in the order of its keys.
func pairs[V any](m map[string]V) string {
	out := make([]string, 0, len(m))
	for k, v := range m {
		out = append(out, fmt.Sprintf("%s=%v", k, v))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// plainValue tells one value of a conflict, whatever its type.
func plainValue(v *structpb.Value) string {
	if text, ok := v.GetKind().(*structpb.Value_StringValue); ok {
		return text.StringValue
	}
	b, err := v.MarshalJSON()
	if err != nil {
		return "?"
	}
	return string(b)
}
