package store

import (
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Feed returns a feed that was connected through the API. The error wraps
// ErrNotFound where there is none.
func (t *Tx) Feed(id string) (*storagepb.FeedRecord, error) {
	return read[storagepb.FeedRecord](t, join(prefixFeed, id))
}

// PutFeed stores how a feed is connected.
func (t *Tx) PutFeed(r *storagepb.FeedRecord) error { return t.put(join(prefixFeed, r.GetId()), r) }

// DeleteFeed forgets how a feed was connected.
func (t *Tx) DeleteFeed(id string) error { return t.remove(join(prefixFeed, id)) }

// ScanFeeds calls fn with every feed that was connected through the API.
func (t *Tx) ScanFeeds(fn func(*storagepb.FeedRecord) error) error {
	return scan(t, prefixFeed, nil, func(_ []byte, r *storagepb.FeedRecord) error { return fn(r) })
}

// DropNotes forgets what was put under names that begin with a text, at most
// limit of them, and returns how many it forgot.
func (t *Tx) DropNotes(begin string, limit int) (int, error) {
	return t.prune(string(join(prefixNote, begin)), limit, func(_, _ []byte) (bool, error) { return true, nil }, nil)
}
