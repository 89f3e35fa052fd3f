package store

import (
	"encoding/hex"

	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Whose names whose a saved view is in its key; SharedView is one of everybody.
type Whose string

// SharedView is for views that everybody may use.
const SharedView Whose = ""

// Whose returns how the views of an owner are told apart. It does not tell who
// the owner is, so that keys name nobody.
func (s *Store) Whose(owner string) Whose {
	m := s.Mark("view", owner)
	return Whose(hex.EncodeToString(m[:]))
}

// SavedView returns a view. The error wraps ErrNotFound where there is none.
func (t *Tx) SavedView(w Whose, id string) (*storagepb.ViewRecord, error) {
	return read[storagepb.ViewRecord](t, join(prefixView, string(w), id))
}

// PutSavedView stores a view.
func (t *Tx) PutSavedView(w Whose, r *storagepb.ViewRecord) error {
	return t.put(join(prefixView, string(w), r.GetView().GetId()), r)
}

// DeleteSavedView forgets a view.
func (t *Tx) DeleteSavedView(w Whose, id string) error {
	return t.remove(join(prefixView, string(w), id))
}

// ScanSavedViews calls fn with the views of one owner, in the order of their ids.
func (t *Tx) ScanSavedViews(w Whose, fn func(*storagepb.ViewRecord) error) error {
	return scan(t, string(within(prefixView, string(w))), nil, func(_ []byte, r *storagepb.ViewRecord) error { return fn(r) })
}
