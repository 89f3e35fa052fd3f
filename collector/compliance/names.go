package compliance

import (
	"slices"
	"strings"
	"sync"

	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// maxPatterns bounds the names that are remembered with the titles that they
// mean; rules ask for some, over and over.
const maxPatterns = 20_000

// names remembers what titles are called, so that a rule that asks for a title
// costs a look at numbers on each device and reads none of its thousand rows.
type names struct {
	mu     sync.RWMutex
	titles map[store.TitleID]named
	// numbers gives each name, in lower case, a number: its place in all.
	numbers  map[string]uint32
	all      []string
	patterns map[string]*fitting
}

// named is a title and the number of its name.
type named struct {
	row  *pb.Software
	name uint32
}

// fitting are the names that one pattern means, of the first seen ones.
type fitting struct {
	pattern expr.NamePattern
	seen    int
	names   map[uint32]struct{}
}

// freshNames forgets the names where they have become very many. It is to be called
// while nothing is judged.
func (e *Engine) freshNames() {
	n := e.names.Load()
	n.mu.RLock()
	defer n.mu.RUnlock()
	if len(n.all) > maxLifetimes || len(n.titles) > maxLifetimes {
		e.names.Store(new(names))
	}
}

// of returns the titles of some ids.
func (n *names) of(tx *store.Tx, ids []store.TitleID) ([]named, error) {
	out := make([]named, len(ids))
	var missing []int
	n.mu.RLock()
	for i, id := range ids {
		at, ok := n.titles[id]
		if out[i] = at; !ok {
			missing = append(missing, i)
		}
	}
	n.mu.RUnlock()
	if len(missing) == 0 {
		return out, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.titles == nil {
		n.titles = make(map[store.TitleID]named)
	}
	for _, i := range missing {
		row, err := tx.Title(ids[i])
		if err != nil {
			return nil, err
		}
		out[i] = named{row: row, name: n.number(strings.ToLower(row.GetName()))}
		n.titles[ids[i]] = out[i]
	}
	return out, nil
}

// number returns the number of a name. The caller holds n.mu.
func (n *names) number(name string) uint32 {
	if at, ok := n.numbers[name]; ok {
		return at
	}
	if n.numbers == nil {
		n.numbers = make(map[string]uint32)
	}
	at := uint32(len(n.all))
	n.all, n.numbers[name] = append(n.all, name), at
	return at
}

// named returns those of some titles that a name means.
func (n *names) named(name string, among []named) (rows []*pb.Software) {
	n.mu.RLock()
	f := n.patterns[name]
	current := f != nil && f.seen == len(n.all)
	if current {
		rows = f.among(among)
	}
	n.mu.RUnlock()
	if current {
		return rows
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if f = n.patterns[name]; f == nil {
		if n.patterns == nil || len(n.patterns) >= maxPatterns {
			n.patterns = make(map[string]*fitting)
		}
		f = &fitting{pattern: expr.ParseName(name), names: make(map[uint32]struct{})}
		n.patterns[name] = f
	}
	n.catchUp(f)
	return f.among(among)
}

// catchUp looks at the names that came since. The caller holds n.mu.
func (n *names) catchUp(f *fitting) {
	if exact, ok := f.pattern.Exact(); ok {
		if at, ok := n.numbers[exact]; ok {
			f.names[at] = struct{}{}
		}
	} else {
		for i, name := range n.all[f.seen:] {
			if f.pattern.Fits(name) {
				f.names[uint32(f.seen+i)] = struct{}{}
			}
		}
	}
	f.seen = len(n.all)
}

// among returns those titles that have one of the names.
func (f *fitting) among(titles []named) (rows []*pb.Software) {
	switch len(f.names) {
	case 0:
		return nil
	case 1:
		for one := range f.names {
			for i := range titles {
				if titles[i].name == one {
					rows = append(rows, titles[i].row)
				}
			}
		}
		return rows
	}
	return slices.Collect(func(yield func(*pb.Software) bool) {
		for i := range titles {
			if _, ok := f.names[titles[i].name]; ok && !yield(titles[i].row) {
				return
			}
		}
	})
}
