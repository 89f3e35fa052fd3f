package enroll

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
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
	// Version is the one that it last said that it runs.
	Version string

	key []byte
}

// Authenticate returns who holds a client certificate that the device CA
// signed. It is to be asked at every call, since it is here that a revoked
// agent is refused and a copied identity shows.
func (e *Enroller) Authenticate(ctx context.Context, cert *x509.Certificate) (Identity, error) {
	id, sum := cert.Subject.CommonName, sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	record, err := e.known.record(ctx, e.store, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Identity{}, ErrUnknownAgent
	case err != nil:
		return Identity{}, fmt.Errorf("authenticate agent %s: %w", id, err)
	case record.GetRevokedAt() != nil:
		return Identity{}, ErrRevokedAgent
	}
	who := Identity{AgentID: id, SourceID: id, Labels: record.GetLabels(), Version: record.GetAgentVersion(), key: sum[:]}
	// What is noted below is noted at the next call where the store takes
	// nothing now: an agent is not refused for it.
	switch {
	case equal(record.GetKeyHash(), who.key):
		if len(record.GetPreviousKeyHash()) > 0 {
			_ = e.retirePrevious(ctx, who)
		}
	case equal(record.GetPreviousKeyHash(), who.key):
		// The reply to a renewal may have been lost.
	default:
		who.SourceID = id + "~" + hex.EncodeToString(who.key[:4])
		if !record.GetConflicted() {
			_ = e.markConflict(ctx, who)
		}
	}
	return who, nil
}

// Runs notes the version that an agent says it runs, where that is another than
// before.
func (e *Enroller) Runs(ctx context.Context, who Identity, version string) error {
	// What a copy runs is not what the agent does.
	if version == "" || version == who.Version || who.SourceID != who.AgentID {
		return nil
	}
	if err := checkTexts(nil, version); err != nil {
		return err
	}
	return e.change(ctx, who.AgentID, func(_ *store.Tx, r *storagepb.EnrolmentRecord) (bool, error) {
		changed := r.GetAgentVersion() != version
		r.AgentVersion = version
		return changed, nil
	})
}

// retirePrevious ends the life of the key before, now that the current one was
// used.
func (e *Enroller) retirePrevious(ctx context.Context, who Identity) error {
	return e.change(ctx, who.AgentID, func(_ *store.Tx, r *storagepb.EnrolmentRecord) (bool, error) {
		if !equal(r.GetKeyHash(), who.key) || len(r.GetPreviousKeyHash()) == 0 {
			return false, nil
		}
		r.PreviousKeyHash = nil
		return true, nil
	})
}

// markConflict notes that a key is in use which is not this agent's any more.
func (e *Enroller) markConflict(ctx context.Context, who Identity) error {
	return e.change(ctx, who.AgentID, func(tx *store.Tx, r *storagepb.EnrolmentRecord) (bool, error) {
		if r.GetConflicted() || equal(r.GetKeyHash(), who.key) || equal(r.GetPreviousKeyHash(), who.key) {
			return false, nil
		}
		r.Conflicted = true
		return true, e.audit(tx, "agent:"+who.AgentID, "agent.conflict", who.SourceID, "a key that was replaced by renewal is still in use: the agent's state was copied or restored")
	})
}

// Renew replaces a client certificate, with a new key each time. It may be
// repeated with the same request after a lost reply. A copy of an agent's
// state, which shows by a key that was already replaced or by other hardware,
// becomes an agent of its own: nobody is locked out, and both are marked.
func (e *Enroller) Renew(ctx context.Context, who Identity, r *pb.RenewRequest) (*pb.RenewResponse, error) {
	next, err := e.newRenewal(who, r)
	if err != nil {
		return nil, fmt.Errorf("renew agent %s: %w", who.AgentID, err)
	}
	var out *storagepb.EnrolmentRecord
	err = e.store.Update(ctx, func(tx *store.Tx) (err error) {
		out, err = e.renew(tx, who, next)
		return err
	})
	e.known.forget(who.AgentID, next.ownID)
	if err != nil {
		return nil, fmt.Errorf("renew agent %s: %w", who.AgentID, err)
	}
	return &pb.RenewResponse{CertificateChain: e.chain(out), CaBundle: e.bundle(), RenewalSequence: out.GetRenewalSequence()}, nil
}

// renewal is a checked request with the certificates that may answer it, which
// are signed before the store's writer is needed.
type renewal struct {
	hash, hardware []byte
	version        string
	ends           *timestamppb.Timestamp
	// same continues the agent; apart makes the caller one of its own, ownID.
	same, apart []byte
	ownID       string
}

func (e *Enroller) newRenewal(who Identity, r *pb.RenewRequest) (*renewal, error) {
	key, err := checkCSR(r.GetCsr())
	if err != nil {
		return nil, err
	}
	if err := checkTexts(r.GetHardwareHash(), r.GetAgentVersion()); err != nil {
		return nil, err
	}
	hash, err := keyHash(key)
	if err != nil {
		return nil, err
	}
	if equal(hash, who.key) {
		return nil, fmt.Errorf("%w: renew with a new key, not with the one in use", ErrBadRequest)
	}
	now := e.now()
	n := &renewal{hash: hash, hardware: r.GetHardwareHash(), version: r.GetAgentVersion(), ends: timestamppb.New(now.Add(e.life)), ownID: agentID(hash)}
	if n.same, err = e.device.issueClient(key, who.AgentID, now, e.life); err != nil {
		return nil, err
	}
	n.apart, err = e.device.issueClient(key, n.ownID, now, e.life)
	return n, err
}

func (e *Enroller) renew(tx *store.Tx, who Identity, n *renewal) (*storagepb.EnrolmentRecord, error) {
	held, err := tx.Enrolment(who.AgentID)
	if err != nil {
		return nil, err
	}
	if held.GetRevokedAt() != nil {
		return nil, ErrRevokedAgent
	}
	moved := len(held.GetHardwareHash()) > 0 && len(n.hardware) > 0 && !bytes.Equal(held.GetHardwareHash(), n.hardware)
	switch {
	case !moved && equal(held.GetKeyHash(), who.key):
		next := proto.CloneOf(held)
		next.PreviousKeyHash, next.KeyHash, next.Certificate = held.GetKeyHash(), n.hash, n.same
		next.RenewalSequence++
		next.CertificateExpiresAt, next.AgentVersion = n.ends, n.version
		return next, tx.PutEnrolment(next)
	case !moved && equal(held.GetPreviousKeyHash(), who.key) && equal(held.GetKeyHash(), n.hash):
		return held, nil
	}
	return e.split(tx, held, n)
}

// split makes a copy of an agent's state an agent of its own.
func (e *Enroller) split(tx *store.Tx, from *storagepb.EnrolmentRecord, n *renewal) (*storagepb.EnrolmentRecord, error) {
	again, err := tx.Enrolment(n.ownID)
	switch {
	case err == nil && again.GetRevokedAt() != nil:
		return nil, ErrRevokedAgent
	case err == nil && !equal(again.GetKeyHash(), n.hash):
		return nil, fmt.Errorf("%w: this key was renewed since; renew with a new one", ErrBadRequest)
	case err == nil:
		return again, nil
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	own := proto.CloneOf(from)
	own.AgentId, own.KeyHash, own.PreviousKeyHash, own.Certificate = n.ownID, n.hash, nil, n.apart
	own.RenewalSequence, own.HardwareHash, own.AgentVersion, own.Conflicted = 1, n.hardware, n.version, true
	own.EnrolledAt, own.CertificateExpiresAt = timestamppb.New(e.now()), n.ends
	if !from.GetConflicted() {
		marked := proto.CloneOf(from)
		marked.Conflicted = true
		if err := tx.PutEnrolment(marked); err != nil {
			return nil, err
		}
	}
	if err := e.audit(tx, "agent:"+from.GetAgentId(), "agent.split", own.GetAgentId(), "a copy of the state of "+from.GetAgentId()+" was renewed"); err != nil {
		return nil, err
	}
	return own, tx.PutEnrolment(own)
}
