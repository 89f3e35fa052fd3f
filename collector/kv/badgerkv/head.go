package badgerkv

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

// head describes one commit. Every commit writes it under the same key, so the
// versions of that key are the list of commits.
type head struct {
	// store is the random identity that the store got when it was made.
	store [16]byte
	// seq counts the store's commits from 1; 0 is a store without any.
	seq uint64
	// prev is the Badger version of the commit before.
	prev uint64
	// digest is the SHA-256 of prevDigest, seq and the commit's writes, so two
	// stores with the same digest have gone through the same commits.
	prevDigest, digest [sha256.Size]byte
}

const headSize = 16 + 8 + 8 + 2*sha256.Size

func (h *head) encode() []byte {
	b := make([]byte, 0, headSize)
	b = append(b, h.store[:]...)
	b = binary.BigEndian.AppendUint64(b, h.seq)
	b = binary.BigEndian.AppendUint64(b, h.prev)
	b = append(b, h.prevDigest[:]...)
	return append(b, h.digest[:]...)
}

func decodeHead(b []byte) (head, error) {
	var h head
	if len(b) != headSize {
		return h, errors.New("commit record has a wrong length")
	}
	copy(h.store[:], b)
	h.seq = binary.BigEndian.Uint64(b[16:])
	h.prev = binary.BigEndian.Uint64(b[24:])
	copy(h.prevDigest[:], b[32:])
	copy(h.digest[:], b[32+sha256.Size:])
	return h, nil
}

// headAt returns the newest commit that a transaction sees; it is zero where
// there is none. Every commit writes its head along with the rest, so it tells
// exactly what the transaction sees.
func headAt(txn *badger.Txn) (head, error) {
	item, err := txn.Get(headKey)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return head{}, nil
	}
	if err != nil {
		return head{}, fmt.Errorf("read the newest commit: %w", err)
	}
	value, err := itemValue(item)
	if err != nil {
		return head{}, err
	}
	return decodeHead(value)
}

func (h *head) mark() kv.Mark {
	return kv.Mark{Store: hex.EncodeToString(h.store[:]), Commit: h.seq, Digest: hex.EncodeToString(h.digest[:])}
}
