// Package enroll decides which endpoint agents may talk to the collector: it
// keeps the device CA and the tokens, issues and renews client certificates,
// and notices copied identities.
package enroll

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
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
}

// New returns an enroller. device signs agents, server is the authority that
// agents trust; life is how long a client certificate is valid, 0 for
// DefaultLife.
func New(st *store.Store, tokens *Tokens, device, server *Authority, life time.Duration) *Enroller {
	if life == 0 {
		life = DefaultLife
	}
	return &Enroller{store: st, tokens: tokens, device: device, server: server, now: tokens.now, life: life}
}

// Enroll exchanges a token and a certificate request for a client certificate.
// The agent's id follows from its key, so the same key may repeat it after a
// lost reply and gets the same identity without another use of the token.
func (e *Enroller) Enroll(ctx context.Context, peer string, r *pb.EnrollRequest) (*pb.EnrollResponse, error) {
	key, err := checkCSR(r.GetCsr())
	if err != nil {
		return nil, err
	}
	if err := checkTexts(r.GetHardwareHash(), r.GetHostname(), r.GetAgentVersion(), r.GetPlatform()); err != nil {
		return nil, err
	}
	hash := keyHash(key)
	id := agentID(hash)
	cert, err := e.device.issueClient(key, id, e.now(), e.life)
	if err != nil {
		return nil, err
	}
	var record *pb.EnrolmentRecord
	err = e.store.Update(ctx, func(tx *store.Tx) error {
		record, err = tx.Enrolment(id)
		if err == nil {
			return e.repeat(tx, record, hash, r.GetToken())
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		token, err := e.tokens.consume(tx, r.GetToken())
		if err != nil {
			return err
		}
		record = &pb.EnrolmentRecord{
			AgentId: id, KeyHash: hash, RenewalSequence: 1, HardwareHash: r.GetHardwareHash(), TokenId: token.GetId(),
			Hostname: r.GetHostname(), Platform: r.GetPlatform(), AgentVersion: r.GetAgentVersion(),
			EnrolledAt: timestamppb.New(e.now()), CertificateExpiresAt: timestamppb.New(e.now().Add(e.life)),
			Labels: token.GetLabels(), Certificate: cert,
		}
		if err := tx.PutEnrolment(record); err != nil {
			return err
		}
		return e.audit(tx, "token:"+token.GetId(), "agent.enroll", id, r.GetHostname()+" at "+peer)
	})
	if err != nil {
		e.auditRefusal(ctx, r.GetToken(), peer, err)
		return nil, fmt.Errorf("enrol: %w", err)
	}
	return &pb.EnrollResponse{AgentId: id, CertificateChain: [][]byte{record.GetCertificate(), e.device.cert.Raw},
		CaBundle: e.bundle(), RenewalSequence: record.GetRenewalSequence()}, nil
}

// repeat answers an agent that enrols again with the key that it has: it needs
// no unused token, but the one that it enrolled with.
func (e *Enroller) repeat(tx *store.Tx, record *pb.EnrolmentRecord, hash []byte, secret string) error {
	if record.GetRevokedAt() != nil {
		return ErrRevokedAgent
	}
	token, err := e.tokens.find(tx, secret)
	if err != nil {
		return err
	}
	if token.GetId() != record.GetTokenId() || !equal(record.GetKeyHash(), hash) {
		return fmt.Errorf("%w: this key is enrolled with another token, or was renewed since; remove the agent's state folder to enrol anew", ErrBadRequest)
	}
	return nil
}

// auditRefusal notes an enrolment that was refused, where the token names
// whose it was; others are only counted, so that nobody can fill the log.
func (e *Enroller) auditRefusal(ctx context.Context, secret, peer string, why error) {
	if !errors.Is(why, ErrUsedUp) && !errors.Is(why, ErrExpired) && !errors.Is(why, ErrRevokedToken) {
		return
	}
	id, _, _ := splitToken(secret)
	// The refusal stands whether or not it could be noted.
	_ = e.store.Update(ctx, func(tx *store.Tx) error {
		return e.audit(tx, "token:"+id, "agent.enroll.refused", "", peer+": "+why.Error())
	})
}

// bundle is the authorities that agents trust from now on.
func (e *Enroller) bundle() [][]byte { return [][]byte{e.server.cert.Raw} }

func (e *Enroller) audit(tx *store.Tx, actor, action, target, detail string) error {
	return tx.AppendAudit(&pb.AuditRecord{At: timestamppb.New(e.now()), Actor: actor, Action: action, Target: target, Detail: detail})
}

// Revoke refuses an agent from its next call on. What it said is kept.
func (e *Enroller) Revoke(ctx context.Context, actor, agentID, reason string) error {
	err := e.store.Update(ctx, func(tx *store.Tx) error {
		record, err := tx.Enrolment(agentID)
		if err != nil {
			return err
		}
		if record.GetRevokedAt() != nil {
			return nil
		}
		record = proto.CloneOf(record)
		record.RevokedAt, record.RevokedReason = timestamppb.New(e.now()), reason
		if err := tx.PutEnrolment(record); err != nil {
			return err
		}
		return e.audit(tx, actor, "agent.revoke", agentID, reason)
	})
	if err != nil {
		return fmt.Errorf("revoke agent %s: %w", agentID, err)
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
		if len(s) > maxText {
			return fmt.Errorf("%w: a text of %d bytes, at most %d", ErrBadRequest, len(s), maxText)
		}
	}
	return nil
}

// keyHash is the SHA-256 of a key's SubjectPublicKeyInfo.
func keyHash(key *ecdsa.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		// A P-256 key always has an encoding; a hash of nothing matches none.
		return nil
	}
	sum := sha256.Sum256(der)
	return sum[:]
}

// agentID derives an agent's id from the hash of its first key, as a UUID of
// version 8 (RFC 9562, 5.8).
func agentID(hash []byte) string {
	var u uuid.UUID
	copy(u[:], hash)
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return u.String()
}

func equal(a, b []byte) bool { return len(a) > 0 && subtle.ConstantTimeCompare(a, b) == 1 }

func short(hash []byte) string { return hex.EncodeToString(hash[:min(4, len(hash))]) }
