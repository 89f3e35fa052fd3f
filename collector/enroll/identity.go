package enroll

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Identity is who calls.
type Identity struct {
	AgentID string
	// SourceID is the name under which what it reports is filed: its agent id,
	// or another for a copy of an agent's state, so that two devices never
	// overwrite each other.
	SourceID string
	// Labels of the token that it enrolled with.
	Labels map[string]string

	key []byte
}

// Authenticate returns who holds a client certificate that the device CA
// signed. It is to be asked at every call: a revoked agent is refused at once.
func (e *Enroller) Authenticate(ctx context.Context, cert *x509.Certificate) (Identity, error) {
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return Identity{}, fmt.Errorf("%w: its key is not ECDSA", ErrUnknownAgent)
	}
	id, hash := cert.Subject.CommonName, keyHash(key)
	var record *pb.EnrolmentRecord
	err := e.store.View(ctx, func(tx *store.Tx) (err error) {
		record, err = tx.Enrolment(id)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Identity{}, ErrUnknownAgent
	case err != nil:
		return Identity{}, fmt.Errorf("authenticate agent %s: %w", id, err)
	case record.GetRevokedAt() != nil:
		return Identity{}, ErrRevokedAgent
	}
	who := Identity{AgentID: id, SourceID: id, Labels: record.GetLabels(), key: hash}
	switch {
	case equal(record.GetKeyHash(), hash):
		if len(record.GetPreviousKeyHash()) > 0 {
			err = e.retirePrevious(ctx, who)
		}
	case equal(record.GetPreviousKeyHash(), hash):
		// The reply to a renewal may have been lost.
	default:
		who.SourceID = id + "~" + short(hash)
		if !record.GetConflicted() {
			err = e.markConflict(ctx, id, "a key that was renewed is still in use")
		}
	}
	return who, err
}

// retirePrevious ends the life of the key before, now that the current one was
// used.
func (e *Enroller) retirePrevious(ctx context.Context, who Identity) error {
	return e.change(ctx, who.AgentID, func(_ *store.Tx, r *pb.EnrolmentRecord) error {
		if equal(r.GetKeyHash(), who.key) {
			r.PreviousKeyHash = nil
		}
		return nil
	})
}

func (e *Enroller) markConflict(ctx context.Context, id, why string) error {
	return e.change(ctx, id, func(tx *store.Tx, r *pb.EnrolmentRecord) error {
		if r.Conflicted {
			return nil
		}
		r.Conflicted = true
		return e.audit(tx, "agent:"+id, "agent.conflict", id, why)
	})
}

// change updates one agent's record; fn may modify it.
func (e *Enroller) change(ctx context.Context, id string, fn func(*store.Tx, *pb.EnrolmentRecord) error) error {
	err := e.store.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Enrolment(id)
		if err != nil {
			return err
		}
		r = proto.CloneOf(r)
		if err := fn(tx, r); err != nil {
			return err
		}
		return tx.PutEnrolment(r)
	})
	if err != nil {
		return fmt.Errorf("record of agent %s: %w", id, err)
	}
	return nil
}

// Renew replaces a client certificate, with a new key each time. It may be
// repeated with the same request after a lost reply. A copy of an agent's
// state, which shows by a key that was already replaced or by other hardware,
// becomes an agent of its own: nobody is locked out, and both are marked.
func (e *Enroller) Renew(ctx context.Context, who Identity, r *pb.RenewRequest) (*pb.RenewResponse, error) {
	key, err := checkCSR(r.GetCsr())
	if err != nil {
		return nil, err
	}
	if err := checkTexts(r.GetHardwareHash(), r.GetAgentVersion()); err != nil {
		return nil, err
	}
	hash := keyHash(key)
	if equal(hash, who.key) {
		return nil, fmt.Errorf("%w: renew with a new key, not with the one in use", ErrBadRequest)
	}
	same, err := e.device.issueClient(key, who.AgentID, e.now(), e.life)
	if err != nil {
		return nil, err
	}
	other, err := e.device.issueClient(key, agentID(hash), e.now(), e.life)
	if err != nil {
		return nil, err
	}
	var out *pb.EnrolmentRecord
	err = e.store.Update(ctx, func(tx *store.Tx) error {
		record, err := tx.Enrolment(who.AgentID)
		if err != nil {
			return err
		}
		record = proto.CloneOf(record)
		moved := len(record.GetHardwareHash()) > 0 && len(r.GetHardwareHash()) > 0 && !equal(record.GetHardwareHash(), r.GetHardwareHash())
		switch {
		case !moved && equal(record.GetKeyHash(), who.key):
			record.PreviousKeyHash, record.KeyHash, record.Certificate = record.GetKeyHash(), hash, same
			record.RenewalSequence++
			record.CertificateExpiresAt, record.AgentVersion = timestamppb.New(e.now().Add(e.life)), r.GetAgentVersion()
			out = record
			return tx.PutEnrolment(record)
		case !moved && equal(record.GetPreviousKeyHash(), who.key) && equal(record.GetKeyHash(), hash):
			out = record
			return nil
		}
		out, err = e.split(tx, record, hash, other, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("renew agent %s: %w", who.AgentID, err)
	}
	return &pb.RenewResponse{CertificateChain: [][]byte{out.GetCertificate(), e.device.cert.Raw}, CaBundle: e.bundle(), RenewalSequence: out.GetRenewalSequence()}, nil
}

// split makes a copy of an agent's state an agent of its own.
func (e *Enroller) split(tx *store.Tx, from *pb.EnrolmentRecord, hash, cert []byte, r *pb.RenewRequest) (*pb.EnrolmentRecord, error) {
	id := agentID(hash)
	if again, err := tx.Enrolment(id); err == nil {
		return again, nil
	}
	own := proto.CloneOf(from)
	own.AgentId, own.KeyHash, own.PreviousKeyHash, own.Certificate = id, hash, nil, cert
	own.RenewalSequence, own.HardwareHash, own.Conflicted = 1, r.GetHardwareHash(), true
	own.EnrolledAt, own.CertificateExpiresAt = timestamppb.New(e.now()), timestamppb.New(e.now().Add(e.life))
	if !from.GetConflicted() {
		from.Conflicted = true
		if err := tx.PutEnrolment(from); err != nil {
			return nil, err
		}
	}
	if err := e.audit(tx, "agent:"+from.GetAgentId(), "agent.split", id, "a copy of the state of "+from.GetAgentId()+" was renewed"); err != nil {
		return nil, err
	}
	return own, tx.PutEnrolment(own)
}
