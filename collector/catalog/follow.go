package catalog

import (
	"time"

	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// following is what a machine lists: a check-in of the machine confirms all of
// it, and writes nothing.
type following struct {
	host store.Ref
	// sequence orders what was said of one machine: what follows is told after
	// the transaction, and so not always in order.
	sequence uint64
	parts    []store.Ref
}

// followingOf returns what a machine lists by its head.
func followingOf(host store.Ref, h *storagepb.HeadRecord) following {
	f := following{host: host}
	for _, p := range h.GetParts() {
		if p.GetListed() {
			f.parts = append(f.parts, partRef(p.GetId()))
		}
	}
	return f
}

// follow takes in what machines list from now on.
func (s *seen) follow(all []following) {
	if len(all) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range all {
		if held, ok := s.followers[f.host]; ok && held.sequence > f.sequence {
			continue
		}
		s.followers[f.host] = f
	}
}

// confirm notes that a machine was seen at a time, and returns the records of
// what it lists. They are not stored: they are known from the machine's again.
func (s *seen) confirm(host store.Ref, at time.Time) []store.Ref {
	s.mu.RLock()
	f, ok := s.followers[host]
	s.mu.RUnlock()
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range f.parts {
		if at.After(s.at[p]) {
			s.at[p] = at
		}
	}
	return f.parts
}

// catchUp lets what machines list have been seen when these were.
func (s *seen) catchUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for host, f := range s.followers {
		for _, p := range f.parts {
			if at := s.at[host]; at.After(s.at[p]) {
				s.at[p] = at
			}
		}
	}
}
