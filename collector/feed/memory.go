package feed

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
)

// memory is what a feed knows after a restart.
type memory struct {
	// Streams is what is known of each stream.
	Streams map[string]streamMemory `json:"streams,omitempty"`
	// LastFull is when the last complete pass over everything began, LastSuccess
	// when the last pass of any kind ended well.
	LastFull    time.Time `json:"last_full,omitzero"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	// Next is when the next pass is due. FullDue makes it one over everything.
	Next    time.Time `json:"next,omitzero"`
	FullDue bool      `json:"full_due,omitempty"`
	// Failures counts passes that failed in a row; Error is why the last did.
	Failures int    `json:"failures,omitempty"`
	Error    string `json:"error,omitempty"`
	// Withheld is why the last complete pass withdrew nothing though it should have,
	// empty where nothing is withheld, and WithheldSince since when.
	Withheld      string    `json:"withheld,omitempty"`
	WithheldSince time.Time `json:"withheld_since,omitzero"`
	// Unread is how many records the last complete pass could not tell apart.
	Unread int `json:"unread,omitempty"`
	// Complete is the set of records of the last complete pass.
	Complete seenSet `json:"complete,omitzero"`
	// Pass is the pass that is under way, or was cut off.
	Pass *checkpoint `json:"pass,omitempty"`

	// failure is why the last pass failed, as long as the program runs.
	failure error
}

// streamMemory is what is known of one stream.
type streamMemory struct {
	// Changed is the latest time of change that a complete pass saw.
	Changed time.Time `json:"changed,omitzero"`
	// Records is how many records the last complete pass over everything had.
	Records int `json:"records,omitempty"`
}

// checkpoint is where a pass goes on.
type checkpoint struct {
	Full    bool      `json:"full"`
	Started time.Time `json:"started"`
	// Stream is the index of the stream that is being read, Mark the page.
	Stream int            `json:"stream"`
	Mark   fetch.Bookmark `json:"mark"`
	// At is when Mark was given: vendors' marks do not keep.
	At time.Time `json:"at"`
	// Seen is the set of records so far.
	Seen seenSet `json:"seen"`
	// Changed, Records and Totals are by stream.
	Changed map[string]time.Time `json:"changed,omitempty"`
	Records map[string]int       `json:"records,omitempty"`
	Totals  map[string]int       `json:"totals,omitempty"`
	Unread  int                  `json:"unread,omitempty"`
}

// seenSet names a set of records that is kept in chunks.
type seenSet struct {
	ID     string `json:"id,omitempty"`
	Chunks int    `json:"chunks,omitempty"`
}

// keeper reads and writes what one feed remembers.
type keeper struct {
	state State
	feed  string
}

func (k keeper) key(parts string) string { return "feed/" + k.feed + "/" + parts }

func (k keeper) load(ctx context.Context) (memory, error) {
	m := memory{Streams: make(map[string]streamMemory)}
	b, err := k.state.Get(ctx, k.key("memory"))
	if err != nil || b == nil {
		return m, err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("what feed %s remembers cannot be read: %w", k.feed, err)
	}
	if m.Streams == nil {
		m.Streams = make(map[string]streamMemory)
	}
	return m, nil
}

func (k keeper) save(ctx context.Context, m memory) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("remember feed %s: %w", k.feed, err)
	}
	return k.state.Put(ctx, k.key("memory"), b)
}

// Get implements fetch.Cache.
func (k keeper) Get(ctx context.Context, key string) ([]byte, error) {
	return k.state.Get(ctx, k.key("cache/"+hashed(key)))
}

// Put implements fetch.Cache.
func (k keeper) Put(ctx context.Context, key string, value []byte) error {
	return k.state.Put(ctx, k.key("cache/"+hashed(key)), value)
}

// hashed bounds the length of a key that holds a vendor's id.
func hashed(s string) string {
	h := fnv.New128a()
	h.Write([]byte(s))
	return fmt.Sprintf("%x", h.Sum(nil))
}

// seen holds the records of a pass, 8 bytes each. That two records have the
// same hash only means that one is kept a while too long.
type seen map[uint64]struct{}

func hashID(id string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	return h.Sum64()
}

func (s seen) has(id string) bool {
	_, ok := s[hashID(id)]
	return ok
}

// chunkKey names a chunk. A set is written under one of two names in turn, so
// that it needs no cleaning up beyond what it had more of before.
func (k keeper) chunkKey(set seenSet, i int) string {
	return k.key(fmt.Sprintf("seen/%s/%d", set.ID, i))
}

// maxChunk bounds the records of one chunk.
const maxChunk = 100_000

// add keeps the hashes of a page as further chunks of a set.
func (k keeper) add(ctx context.Context, set *seenSet, hashes []uint64) error {
	for len(hashes) > 0 {
		n := min(len(hashes), maxChunk)
		b := make([]byte, 0, 8*n)
		for _, h := range hashes[:n] {
			b = binary.BigEndian.AppendUint64(b, h)
		}
		if err := k.state.Put(ctx, k.chunkKey(*set, set.Chunks), b); err != nil {
			return err
		}
		set.Chunks, hashes = set.Chunks+1, hashes[n:]
	}
	return nil
}

// read returns a set that was kept, nil for none.
func (k keeper) read(ctx context.Context, set seenSet) (seen, error) {
	if set.ID == "" {
		return nil, nil
	}
	s := make(seen)
	for i := range set.Chunks {
		b, err := k.state.Get(ctx, k.chunkKey(set, i))
		if err != nil {
			return nil, err
		}
		if b == nil || len(b)%8 != 0 {
			return nil, fmt.Errorf("feed %s: a part of the set of records that were seen is lost", k.feed)
		}
		for ; len(b) > 0; b = b[8:] {
			s[binary.BigEndian.Uint64(b)] = struct{}{}
		}
	}
	return s, nil
}

// drop forgets a set.
func (k keeper) drop(ctx context.Context, set seenSet) error {
	for i := range set.Chunks {
		if err := k.state.Put(ctx, k.chunkKey(set, i), nil); err != nil {
			return err
		}
	}
	return nil
}
