// Package identity decides which observations are about one thing: it names
// the strong identifiers that an observation carries, and groups observations
// that share one.
package identity

import (
	"cmp"
	"slices"
	"strings"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Kinds of strong identifiers. MAC addresses, host names and asset tags are
// weak: docks, images and people give two machines the same one.
const (
	Serial        = "serial"
	UUID          = "uuid"
	IMEI          = "imei"
	CloudInstance = "cloud_instance"
)

// Key is one strong identifier in the form in which it is compared.
type Key struct {
	Kind, Scope, Value string
}

// Identifier returns the key as a message.
func (k Key) Identifier() *pb.Identifier {
	return &pb.Identifier{Kind: k.Kind, Scope: k.Scope, Value: k.Value}
}

// Ignored is an identifier that was not used, and why.
type Ignored struct {
	Key    Key
	Reason string
}

// Keys returns the strong identifiers of an observation, sorted, and those
// that say nothing.
func Keys(o *pb.Observation) (keys []Key, ignored []Ignored) {
	add := func(kind, scope, value string) {
		k, ok := normalise(kind, scope, value)
		if !ok {
			return
		}
		if reason := junk(k); reason != "" {
			ignored = append(ignored, Ignored{Key: k, Reason: reason})
			return
		}
		keys = append(keys, k)
	}
	hw := o.GetDevice().GetHardware()
	add(Serial, hw.GetManufacturer(), hw.GetSerial())
	add(UUID, "", hw.GetUuid())
	for _, imei := range hw.GetImei() {
		add(IMEI, "", imei)
	}
	add(CloudInstance, hw.GetCloud().GetProvider(), hw.GetCloud().GetInstanceId())
	for _, id := range o.GetIdentifiers() {
		add(id.GetKind(), id.GetScope(), id.GetValue())
	}
	slices.SortFunc(keys, compareKeys)
	return slices.Compact(keys), ignored
}

func compareKeys(a, b Key) int {
	return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Scope, b.Scope), strings.Compare(a.Value, b.Value))
}

// Group returns which members belong together: for each, the number of its
// group, groups being numbered in the order of their first member. Two members
// are in one group when a chain of shared keys connects them; the grouping does
// not depend on the order of the members.
func Group(members [][]Key) []int {
	parent := make([]int, len(members))
	for i := range parent {
		parent[i] = i
	}
	root := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	holder := make(map[Key]int)
	for i, keys := range members {
		for _, k := range keys {
			if j, ok := holder[k]; ok {
				a, b := root(i), root(j)
				parent[max(a, b)] = min(a, b)
			} else {
				holder[k] = i
			}
		}
	}
	groups := make([]int, len(members))
	numbers := make(map[int]int)
	for i := range members {
		r := root(i)
		if _, ok := numbers[r]; !ok {
			numbers[r] = len(numbers)
		}
		groups[i] = numbers[r]
	}
	return groups
}
