package view

import (
	"slices"
	"strings"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// owners finds assets by the address of whom they are with: the owner, or the
// user where nobody is named as owner.
type owners struct {
	rows map[string][]uint32
	// of holds the address of each row, empty for none.
	of []string
}

// whoseAddress returns whom an asset is with, in lower case.
func whoseAddress(a *pb.Asset) string {
	if e := a.GetOwner().GetEmail(); e != "" {
		return strings.ToLower(e)
	}
	if a.GetOwner().GetName() != "" {
		return "" // somebody is named whose address is not known
	}
	return strings.ToLower(a.GetPrimaryUser().GetEmail())
}

// set notes whom a row is with; empty takes the note away.
func (o *owners) set(row uint32, address string) {
	if n := int(row) + 1 - len(o.of); n > 0 {
		o.of = append(o.of, make([]string, n)...)
	}
	was := o.of[row]
	if was == address {
		return
	}
	if was != "" {
		left := slices.DeleteFunc(o.rows[was], func(r uint32) bool { return r == row })
		if o.rows[was] = left; len(left) == 0 {
			delete(o.rows, was)
		}
	}
	if o.of[row] = address; address != "" {
		if o.rows == nil {
			o.rows = make(map[string][]uint32)
		}
		o.rows[address] = append(o.rows[address], row)
	}
}

// countWith returns how many assets are with who has one of the addresses, which
// holds none twice.
func (v *View) countWith(addresses []string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	for _, address := range addresses {
		n += len(v.owners.rows[address])
	}
	return n
}
