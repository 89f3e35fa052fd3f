// Package enroll decides which endpoint agents may talk to the collector: it
// keeps the device CA and the tokens, issues and renews client certificates,
// and notices copied identities.
package enroll

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// DefaultLife is how long a client certificate is valid; agents renew at half
// of it.
const DefaultLife = 30 * 24 * time.Hour

// Errors that an agent hears of; each is wrapped with what to do.
var (
	ErrUnknownAgent = errors.New("this agent is not enrolled here")
	ErrRevokedAgent = errors.New("this agent was revoked")
	ErrBadRequest   = errors.New("invalid enrolment request")
)

// refusals are the errors that mean that somebody with a token of ours was
// refused, rather than that we could not serve.
var refusals = []error{ErrUsedUp, ErrExpired, ErrRevokedToken, ErrRevokedAgent, ErrBadRequest}

// Bounds of what an agent sends when it enrols.
const (
	maxCSR  = 4 << 10
	maxHash = 64
	maxText = 255
)

// Enroller issues and checks the identities of agents.
type Enroller struct {
	store  *store.Store
	tokens *Tokens
	device *Authority
	server *Authority
	now    func() time.Time
	life   time.Duration
	known  *known
}

// New returns an enroller. device signs agents, server is the authority that
// agents trust; life is how long a client certificate is valid, 0 for
// DefaultLife.
func New(st *store.Store, tokens *Tokens, device, server *Authority, life time.Duration) *Enroller {
	if life == 0 {
		life = DefaultLife
	}
	return &Enroller{store: st, tokens: tokens, device: device, server: server, now: tokens.now, life: life, known: newKnown()}
}

// Enroll exchanges a token and a certificate request for a client certificate.
// The agent's id follows from its key, so the same key may repeat it after a
// lost reply, however often, and gets the same identity without another use of
// the token. peer is who calls, for the audit log. Errors wrap one of this
// package's, or are the store's.
func (e *Enroller) Enroll(ctx context.Context, peer string, r *pb.EnrollRequest) (*pb.EnrollResponse, error) {
	if err := e.tokens.known(ctx, r.GetToken()); err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	fresh, err := e.newEnrolment(r)
	if err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	var record *storagepb.EnrolmentRecord
	err = e.store.Update(ctx, func(tx *store.Tx) (err error) {
		record, err = e.enroll(tx, peer, fresh, r.GetToken())
		return err
	})
	e.known.forget(fresh.GetAgentId())
	if err != nil {
		e.auditRefusal(ctx, r.GetToken(), peer, err)
		return nil, fmt.Errorf("enrol: %w", err)
	}
	return &pb.EnrollResponse{AgentId: record.GetAgentId(), CertificateChain: e.chain(record), CaBundle: e.bundle(),
		RenewalSequence: record.GetRenewalSequence()}, nil
}

// newEnrolment checks a request and returns the record that it leads to, but
// for what its token says.
func (e *Enroller) newEnrolment(r *pb.EnrollRequest) (*storagepb.EnrolmentRecord, error) {
	key, err := checkCSR(r.GetCsr())
	if err != nil {
		return nil, err
	}
	if err := checkTexts(r.GetHardwareHash(), r.GetHostname(), r.GetAgentVersion(), r.GetPlatform()); err != nil {
		return nil, err
	}
	hash, err := keyHash(key)
	if err != nil {
		return nil, err
	}
	id, now := agentID(hash), e.now()
	cert, err := e.device.issueClient(key, id, now, e.life)
	if err != nil {
		return nil, err
	}
	return &storagepb.EnrolmentRecord{
		AgentId: id, KeyHash: hash, RenewalSequence: 1, HardwareHash: r.GetHardwareHash(),
		Hostname: r.GetHostname(), Platform: r.GetPlatform(), AgentVersion: r.GetAgentVersion(),
		EnrolledAt: timestamppb.New(now), CertificateExpiresAt: timestamppb.New(now.Add(e.life)), Certificate: cert,
	}, nil
}

// enroll takes one use of the token and stores the identity, or returns the one
// that the same key was given before.
func (e *Enroller) enroll(tx *store.Tx, peer string, fresh *storagepb.EnrolmentRecord, secret string) (*storagepb.EnrolmentRecord, error) {
	held, err := tx.Enrolment(fresh.GetAgentId())
	if err == nil {
		return held, repeated(tx, held, fresh, secret)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	token, err := e.tokens.consume(tx, secret)
	if err != nil {
		return nil, err
	}
	record := proto.CloneOf(fresh)
	record.TokenId, record.Labels = token.GetId(), token.GetLabels()
	if err := tx.PutEnrolment(record); err != nil {
		return nil, err
	}
	return record, e.audit(tx, "token:"+token.GetId(), "agent.enroll", record.GetAgentId(), record.GetHostname()+" at "+peer)
}

// repeated tells whether an agent that enrols again is given what it was given
// before. It proves its key and knows its token; that may be used up or have
// expired since, but not have been revoked.
func repeated(tx *store.Tx, held, fresh *storagepb.EnrolmentRecord, secret string) error {
	token, err := authentic(tx, secret)
	switch {
	case err != nil:
		return err
	case held.GetRevokedAt() != nil:
		return ErrRevokedAgent
	case token.GetRevokedAt() != nil:
		return ErrRevokedToken
	case token.GetId() != held.GetTokenId(), !equal(held.GetKeyHash(), fresh.GetKeyHash()), !bytes.Equal(held.GetHardwareHash(), fresh.GetHardwareHash()):
		return fmt.Errorf("%w: this key was enrolled with another token or on another machine, or was renewed since; empty the agent's state folder to enrol anew", ErrBadRequest)
	}
	return nil
}

// auditRefusal notes an enrolment that was refused although its token is one of
// ours; others are only counted, so that a stranger cannot fill the log.
func (e *Enroller) auditRefusal(ctx context.Context, secret, peer string, why error) {
	if !slices.ContainsFunc(refusals, func(e error) bool { return errors.Is(why, e) }) {
		return
	}
	// The refusal stands whether or not it could be noted.
	_ = e.store.Update(ctx, func(tx *store.Tx) error {
		token, err := authentic(tx, secret)
		if err != nil {
			return err
		}
		return e.audit(tx, "token:"+token.GetId(), "agent.enroll.refused", "", peer+": "+why.Error())
	})
}

// bundle is the authorities that agents trust from now on.
func (e *Enroller) bundle() [][]byte { return [][]byte{e.server.cert.Raw} }

// chain is an agent's certificate with its authority.
func (e *Enroller) chain(r *storagepb.EnrolmentRecord) [][]byte {
	return [][]byte{r.GetCertificate(), e.device.cert.Raw}
}

func (e *Enroller) audit(tx *store.Tx, actor, action, target, detail string) error {
	return tx.AppendAudit(&storagepb.AuditRecord{At: timestamppb.New(e.now()), Actor: actor, Action: action, Target: target, Detail: detail})
}

// Revoke refuses an agent from its next call on; what it said is kept. The
// error wraps store.ErrNotFound for an agent that is not enrolled.
func (e *Enroller) Revoke(ctx context.Context, actor, agentID, reason string) error {
	if !plain(reason, maxText) {
		return fmt.Errorf("%w: the reason may have %d bytes and no control characters", ErrBadRequest, maxText)
	}
	return e.change(ctx, agentID, func(tx *store.Tx, r *storagepb.EnrolmentRecord) (bool, error) {
		if r.GetRevokedAt() != nil {
			return false, nil
		}
		r.RevokedAt, r.RevokedReason = timestamppb.New(e.now()), reason
		return true, e.audit(tx, actor, "agent.revoke", agentID, reason)
	})
}

// change updates one agent's record; fn may modify it, and tells whether it
// did.
func (e *Enroller) change(ctx context.Context, id string, fn func(*store.Tx, *storagepb.EnrolmentRecord) (bool, error)) error {
	err := e.store.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Enrolment(id)
		if err != nil {
			return err
		}
		r = proto.CloneOf(r)
		changed, err := fn(tx, r)
		if err != nil || !changed {
			return err
		}
		return tx.PutEnrolment(r)
	})
	e.known.forget(id)
	if err != nil {
		return fmt.Errorf("record of agent %s: %w", id, err)
	}
	return nil
}

// checkCSR returns the key of a certificate request that proves to hold it.
func checkCSR(der []byte) (*ecdsa.PublicKey, error) {
	if len(der) > maxCSR {
		return nil, fmt.Errorf("%w: the certificate request has %d bytes, at most %d", ErrBadRequest, len(der), maxCSR)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err == nil {
		err = csr.CheckSignature()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: certificate request: %w", ErrBadRequest, err)
	}
	key, ok := csr.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: the key must be ECDSA P-256", ErrBadRequest)
	}
	return key, nil
}

func checkTexts(hash []byte, texts ...string) error {
	if len(hash) > maxHash {
		return fmt.Errorf("%w: hardware_hash has %d bytes, at most %d", ErrBadRequest, len(hash), maxHash)
	}
	for _, s := range texts {
		if !plain(s, maxText) {
			return fmt.Errorf("%w: host name, platform and version may have %d bytes each and no control characters", ErrBadRequest, maxText)
		}
	}
	return nil
}

// keyHash is the SHA-256 of a key's SubjectPublicKeyInfo.
func keyHash(key *ecdsa.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("%w: public key: %w", ErrBadRequest, err)
	}
	sum := sha256.Sum256(der)
	return sum[:], nil
}

// agentID derives an agent's id from the hash of its first key, as a UUID of
// version 8 (RFC 9562, 5.8): a repeated enrolment finds its record by it, and
// two keys never share one.
func agentID(hash []byte) string {
	var u uuid.UUID
	copy(u[:], hash)
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return u.String()
}

// equal compares without telling by its time how much agrees; nothing equals
// the empty hash.
func equal(a, b []byte) bool { return len(a) > 0 && subtle.ConstantTimeCompare(a, b) == 1 }
