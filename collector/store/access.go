package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/kv"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Enrolment returns the record of an enrolled agent.
func (t *Tx) Enrolment(agentID string) (*storagepb.EnrolmentRecord, error) {
	return read[storagepb.EnrolmentRecord](t, join(prefixEnrolment, agentID))
}

// PutEnrolment stores the record of an enrolled agent.
func (t *Tx) PutEnrolment(e *storagepb.EnrolmentRecord) error {
	return t.put(join(prefixEnrolment, e.GetAgentId()), e)
}

// ScanEnrolments calls fn with each enrolled agent whose id is greater than
// after, in the order of their ids.
func (t *Tx) ScanEnrolments(after string, fn func(*storagepb.EnrolmentRecord) error) error {
	var start []byte
	if after != "" {
		start = within(prefixEnrolment, after)
	}
	return scan(t, prefixEnrolment, start, func(_ []byte, e *storagepb.EnrolmentRecord) error { return fn(e) })
}

// Token returns a token's record.
func (t *Tx) Token(id string) (*storagepb.TokenRecord, error) {
	return read[storagepb.TokenRecord](t, join(prefixToken, id))
}

// PutToken stores a token's record.
func (t *Tx) PutToken(r *storagepb.TokenRecord) error { return t.put(join(prefixToken, r.GetId()), r) }

// DeleteToken removes a token's record.
func (t *Tx) DeleteToken(id string) error { return t.remove(join(prefixToken, id)) }

// ScanTokens calls fn with each token whose id is greater than after, in the
// order of their ids.
func (t *Tx) ScanTokens(after string, fn func(*storagepb.TokenRecord) error) error {
	var start []byte
	if after != "" {
		start = within(prefixToken, after)
	}
	return scan(t, prefixToken, start, func(_ []byte, r *storagepb.TokenRecord) error { return fn(r) })
}

// PutAuthority stores a certificate authority's public part.
func (t *Tx) PutAuthority(a *storagepb.AuthorityRecord) error {
	return t.put(join(prefixAuthority, a.GetId()), a)
}

// ScanAuthorities calls fn with each certificate authority.
func (t *Tx) ScanAuthorities(fn func(*storagepb.AuthorityRecord) error) error {
	return scan(t, prefixAuthority, nil, func(_ []byte, a *storagepb.AuthorityRecord) error { return fn(a) })
}

const keyAuditHead = prefixMeta + "audit"

type scopeKey struct{}

// WithScope returns a context in whose transactions entries of the audit log say
// that the actor might see and change no more than a scope.
func WithScope(ctx context.Context, scope string) context.Context {
	return context.WithValue(ctx, scopeKey{}, scope)
}

func scopeOf(ctx context.Context) string {
	scope, _ := ctx.Value(scopeKey{}).(string)
	return scope
}

// AppendAudit adds an entry to the audit log; it sets the entry's sequence and
// hash. The head is kept apart, so that appending reads one key.
func (t *Tx) AppendAudit(r *storagepb.AuditRecord) error {
	head, err := t.value([]byte(keyAuditHead))
	if err := ignoreNotFound(err); err != nil {
		return fmt.Errorf("append to the audit log: %w", err)
	}
	var last int64
	var hash []byte
	if len(head) >= 8 {
		last, hash = int64(binary.BigEndian.Uint64(head)), head[8:]
	}
	r = proto.CloneOf(r)
	r.Sequence = last + 1
	if r.Scope == "" {
		r.Scope = t.scope
	}
	if err := salt(r); err != nil {
		return err
	}
	if r.Hash, err = auditHash(r, hash); err != nil {
		return err
	}
	if err := t.put(auditKey(r.Sequence), r); err != nil {
		return err
	}
	return t.setValue([]byte(keyAuditHead), append(binary.BigEndian.AppendUint64(nil, uint64(r.Sequence)), r.Hash...))
}

// AuditHead returns the number and the hash of the audit log's last entry; 0 and
// nothing where there is none.
func (t *Tx) AuditHead() (sequence int64, hash []byte, err error) {
	head, err := t.value([]byte(keyAuditHead))
	if err := ignoreNotFound(err); err != nil {
		return 0, nil, fmt.Errorf("read the head of the audit log: %w", err)
	}
	if len(head) < 8 {
		return 0, nil, nil
	}
	return int64(binary.BigEndian.Uint64(head)), slices.Clone(head[8:]), nil
}

// Audit returns an entry of the audit log.
func (t *Tx) Audit(sequence int64) (*storagepb.AuditRecord, error) {
	return read[storagepb.AuditRecord](t, auditKey(sequence))
}

// ErrAudit is wrapped where the audit log is not what was written.
var ErrAudit = errors.New("the audit log was tampered with")

// VerifyAudit checks every entry of the audit log, and that the last one is the
// last that was written. The error wraps ErrAudit where one is not right.
func (t *Tx) VerifyAudit(ctx context.Context) (entries int64, hash []byte, err error) {
	err = t.ScanAudit(func(r *storagepb.AuditRecord) error {
		entries, hash = r.GetSequence(), r.GetHash()
		return ctx.Err()
	})
	if err != nil {
		return entries, hash, err
	}
	last, want, err := t.AuditHead()
	if err == nil && (last != entries || !slices.Equal(want, hash)) {
		err = fmt.Errorf("%w: it ends with entry %d, and %d were written", ErrAudit, entries, last)
	}
	return entries, hash, err
}

// ScanAudit calls fn with each entry of the audit log, oldest first, and
// checks the chain of hashes on the way.
func (t *Tx) ScanAudit(fn func(*storagepb.AuditRecord) error) error {
	var last int64
	var hash []byte
	err := scan(t, prefixAudit, nil, func(_ []byte, r *storagepb.AuditRecord) error {
		want, err := auditHash(r, hash)
		if err != nil {
			return err
		}
		if r.GetSequence() != last+1 || !slices.Equal(want, r.GetHash()) {
			return fmt.Errorf("%w: entry %d does not follow entry %d: it was changed, or entries are missing", ErrAudit, r.GetSequence(), last)
		}
		last, hash = r.GetSequence(), r.GetHash()
		return fn(r)
	})
	if errors.Is(err, kv.ErrStop) {
		return nil
	}
	return err
}

func auditKey(sequence int64) []byte {
	return binary.BigEndian.AppendUint64([]byte(prefixAudit), uint64(sequence))
}
