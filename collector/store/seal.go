package store

import (
	"crypto/rand"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// saltSize is enough that nobody finds a salt by trying.
const saltSize = 16

// sealed is a text of an audit entry that the chain of hashes covers through a
// seal.
type sealed struct {
	text       *string
	salt, seal *[]byte
}

func sealedOf(r *storagepb.AuditRecord) [3]sealed {
	return [3]sealed{
		{&r.Actor, &r.ActorSalt, &r.ActorSeal},
		{&r.Target, &r.TargetSalt, &r.TargetSeal},
		{&r.Detail, &r.DetailSalt, &r.DetailSeal},
	}
}

// salt gives each text of a new entry its salt.
func salt(r *storagepb.AuditRecord) error {
	all := make([]byte, 3*saltSize)
	if _, err := rand.Read(all); err != nil {
		return fmt.Errorf("make the salts of an audit entry: %w", err)
	}
	for i, s := range sealedOf(r) {
		*s.salt, *s.seal = all[i*saltSize:(i+1)*saltSize], nil
	}
	return nil
}

// auditHash covers the entry and the hash of the one before it.
func auditHash(r *storagepb.AuditRecord, before []byte) ([]byte, error) {
	bare := proto.CloneOf(r)
	bare.Hash = nil
	var seals [][]byte
	for _, s := range sealedOf(bare) {
		switch {
		case len(*s.seal) > 0:
			// A text beside a seal is none that was sealed: it stays in the hash.
			seals = append(seals, *s.seal)
			*s.seal = nil
		case len(*s.salt) > 0:
			seals = append(seals, hashParts(*s.salt, []byte(*s.text)))
			*s.text, *s.salt = "", nil
		}
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(bare)
	if err != nil {
		return nil, fmt.Errorf("encode audit entry: %w", err)
	}
	return hashParts(append([][]byte{before, b}, seals...)...), nil
}

// ErrUnsealed is returned for an audit entry from before texts were sealed: it
// can only be kept as it is.
var ErrUnsealed = errors.New("the audit entry covers its texts themselves, and cannot be changed")

// EraseAudit takes texts that fn picks out of an entry of the audit log, and
// tells whether there were any. The log still verifies, and nobody can learn from
// it what they were. The error may be ErrUnsealed.
func (t *Tx) EraseAudit(sequence int64, fn func(text string) bool) (bool, error) {
	r, err := t.Audit(sequence)
	if err != nil {
		return false, fmt.Errorf("audit entry %d: %w", sequence, err)
	}
	erased := false
	for _, s := range sealedOf(r) {
		if *s.text == "" || !fn(*s.text) {
			continue
		}
		if len(*s.salt) == 0 {
			return false, fmt.Errorf("audit entry %d: %w", sequence, ErrUnsealed)
		}
		*s.seal = hashParts(*s.salt, []byte(*s.text))
		*s.text, *s.salt = "", nil
		erased = true
	}
	if !erased {
		return false, nil
	}
	return true, t.put(auditKey(sequence), r)
}
