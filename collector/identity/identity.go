// Package identity decides which observations are about one thing: it names
// the identifiers that an observation carries, unites the observations that
// share a strong one, and says why it united or kept apart.
package identity

import (
	"cmp"
	"slices"
	"strings"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Kinds of strong identifiers of devices. Names are those of Identifier.kind.
const (
	Serial        = "serial"
	UUID          = "uuid"
	UDID          = "udid"
	IMEI          = "imei"
	CloudInstance = "cloud_instance"
	// Ids that a management system gave a device, scoped by the system: they
	// tie the system's own record to others that quote it.
	Directory = "directory"
	MDM       = "mdm"
	EDR       = "edr"
	// Parts is a built-in disk, a network card and the host name at once: what
	// is left of a machine whose board was replaced and lost its numbers.
	Parts = "parts"
	// Part is the serial number of what is attached to machines and is none
	// itself: a display, a dock. Its scope is who counts these numbers.
	Part = "part"
)

// Kinds of strong identifiers of people.
const (
	Email   = "email"
	Account = "account"
	// EmployeeID is a number of personnel.
	EmployeeID = "employee_id"
)

// Kinds of weak identifiers. Docks, images and people give two machines the
// same one, so they never unite by themselves: they corroborate, and suggest.
const (
	MAC      = "mac"
	Hostname = "hostname"
	AssetTag = "asset_tag"
	Disk     = "disk"
	Board    = "board"
	Maker    = "maker"
	// Product is the number of the model of what is attached to machines.
	Product = "product"
)

// Key is one identifier in the form in which it is compared.
type Key struct {
	Kind, Scope, Value string
}

// Identifier returns the key as a message.
func (k Key) Identifier() *pb.Identifier {
	return &pb.Identifier{Kind: k.Kind, Scope: k.Scope, Value: k.Value}
}

// String returns the key as people read it: serial 5XK2J93.
func (k Key) String() string {
	kind := strings.ReplaceAll(k.Kind, "_", " ")
	if k.Scope == "" {
		return kind + " " + k.Value
	}
	return kind + " " + k.Scope + "/" + k.Value
}

// Ignored is an identifier that was not used, and why.
type Ignored struct {
	Key    Key
	Reason string
}

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(rank(a.Kind), rank(b.Kind)), strings.Compare(a.Kind, b.Kind),
		strings.Compare(a.Scope, b.Scope), strings.Compare(a.Value, b.Value))
}

// rank orders the strong kinds by how firmly they hold to the chassis: where
// two contradict each other, the first decides.
func rank(kind string) int {
	return slices.Index([]string{Serial, Part, IMEI, CloudInstance, UUID, UDID, Directory, MDM, EDR, Parts, Email, Account, EmployeeID}, kind)
}

func sortKeys(keys []Key) []Key {
	slices.SortFunc(keys, compareKeys)
	return slices.Compact(keys)
}

// sets is a union-find over numbered members: the root of a set is its lowest
// member.
type sets struct {
	parent  []int
	members [][]int
}

func newSets(n int) *sets {
	s := &sets{parent: make([]int, n), members: make([][]int, n)}
	for i := range n {
		s.parent[i], s.members[i] = i, []int{i}
	}
	return s
}

func (s *sets) root(i int) int {
	for s.parent[i] != i {
		s.parent[i] = s.parent[s.parent[i]]
		i = s.parent[i]
	}
	return i
}

func (s *sets) unite(i, j int) {
	a, b := s.root(i), s.root(j)
	if a == b {
		return
	}
	a, b = min(a, b), max(a, b)
	s.parent[b] = a
	s.members[a] = append(s.members[a], s.members[b]...)
	s.members[b] = nil
}
