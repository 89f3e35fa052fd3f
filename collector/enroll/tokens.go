package enroll

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Kinds of tokens, and the prefixes of their secrets.
const (
	KindAPI    = "api"
	KindEnroll = "enroll"

	prefixAPI    = "rca"
	prefixEnroll = "rce"
)

// Roles that a token of kind api can have.
var Roles = []string{"viewer", "operator", "admin", "metrics", "servicedesk"}

// Errors about tokens, each of which says what to do.
var (
	ErrUnknownToken = errors.New("the token is not known: check that it was copied whole, or create one with `rollcall token create`")
	ErrExpired      = errors.New("the token has expired: create a new one with `rollcall token create`")
	ErrRevokedToken = errors.New("the token was revoked: create a new one with `rollcall token create`")
	ErrUsedUp       = errors.New("the token has been used as often as it may: create a new one with `rollcall token create --kind enroll --uses N`")
	ErrBadToken     = errors.New("invalid token request")
)

// Bounds of a token.
const (
	maxName      = 100
	maxLabels    = 32
	maxLabelText = 100
	maxUses      = 1_000_000
	maxTokenLife = 10 * 365 * 24 * time.Hour
	enrollLife   = 24 * time.Hour
	apiLife      = 365 * 24 * time.Hour
	maxSecret    = 512
)

// bootstrapID is the record of the token that an operator preset.
const bootstrapID = "bootstrap"

// Tokens creates and checks tokens; only hashes of their secrets are stored.
type Tokens struct {
	store *store.Store
	now   func() time.Time

	mu   sync.Mutex
	used map[string]time.Time
}

// NewTokens returns the tokens of a store.
func NewTokens(st *store.Store, now func() time.Time) *Tokens {
	return &Tokens{store: st, now: now, used: make(map[string]time.Time)}
}

// Create makes a token on behalf of actor; the answer holds its secret, which
// is not kept.
func (t *Tokens) Create(ctx context.Context, actor string, r *pb.CreateTokenRequest) (*pb.CreateTokenResponse, error) {
	if err := checkRequest(r); err != nil {
		return nil, err
	}
	prefix, life := prefixAPI, apiLife
	record := &pb.TokenRecord{Kind: r.GetKind(), Name: r.GetName(), Role: r.GetRole(), Labels: r.GetLabels(), CreatedAt: timestamppb.New(t.now())}
	if r.GetKind() == KindEnroll {
		prefix, life = prefixEnroll, enrollLife
		record.MaxUses = max(1, r.GetMaxUses())
	}
	if r.GetExpiresIn() != nil {
		life = r.GetExpiresIn().AsDuration()
	}
	record.ExpiresAt = timestamppb.New(t.now().Add(life))
	random := make([]byte, 5+32)
	if _, err := rand.Read(random); err != nil {
		return nil, fmt.Errorf("make a token: %w", err)
	}
	record.Id = strings.ToLower(base32.StdEncoding.EncodeToString(random[:5]))
	secret := prefix + "_" + record.Id + "_" + base64.RawURLEncoding.EncodeToString(random[5:])
	record.SecretHash = hashSecret(secret)
	err := t.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutToken(record); err != nil {
			return err
		}
		return tx.AppendAudit(&pb.AuditRecord{At: record.CreatedAt, Actor: actor, Action: "token.create", Target: record.Id, Detail: record.Kind + " " + record.Name})
	})
	if err != nil {
		return nil, fmt.Errorf("create token %q: %w", r.GetName(), err)
	}
	return &pb.CreateTokenResponse{Token: secret, Id: record.Id, Kind: record.Kind, Name: record.Name, Role: record.Role,
		ExpiresAt: record.ExpiresAt, MaxUses: record.MaxUses, Labels: record.Labels}, nil
}

func checkRequest(r *pb.CreateTokenRequest) error {
	life := r.GetExpiresIn()
	switch {
	case r.GetKind() != KindAPI && r.GetKind() != KindEnroll:
		return fmt.Errorf("%w: kind is %q, want %s or %s", ErrBadToken, r.GetKind(), KindAPI, KindEnroll)
	case r.GetKind() == KindAPI && !slices.Contains(Roles, r.GetRole()):
		return fmt.Errorf("%w: role is %q, want one of %s", ErrBadToken, r.GetRole(), strings.Join(Roles, ", "))
	case r.GetKind() == KindEnroll && r.GetRole() != "":
		return fmt.Errorf("%w: an enrolment token has no role", ErrBadToken)
	case r.GetKind() == KindAPI && r.GetMaxUses() != 0:
		return fmt.Errorf("%w: max_uses is for enrolment tokens only", ErrBadToken)
	case len(r.GetName()) > maxName || strings.ContainsAny(r.GetName(), "\x00\n\r"):
		return fmt.Errorf("%w: the name may have %d bytes on one line", ErrBadToken, maxName)
	case r.GetMaxUses() < 0 || r.GetMaxUses() > maxUses:
		return fmt.Errorf("%w: max_uses is %d, want 1 to %d", ErrBadToken, r.GetMaxUses(), maxUses)
	case life != nil && (life.CheckValid() != nil || life.AsDuration() <= 0 || life.AsDuration() > maxTokenLife):
		return fmt.Errorf("%w: expires_in must be more than 0 and at most 10 years", ErrBadToken)
	case len(r.GetLabels()) > maxLabels:
		return fmt.Errorf("%w: %d labels, at most %d", ErrBadToken, len(r.GetLabels()), maxLabels)
	}
	for k, v := range r.GetLabels() {
		if k == "" || len(k) > maxLabelText || len(v) > maxLabelText || strings.ContainsRune(k+v, 0) {
			return fmt.Errorf("%w: label %q: key and value may have %d bytes each", ErrBadToken, k, maxLabelText)
		}
	}
	return nil
}

func hashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// splitToken returns the parts of a secret.
func splitToken(secret string) (id, prefix string, ok bool) {
	parts := strings.SplitN(secret, "_", 3)
	if len(parts) != 3 || len(secret) > maxSecret || len(parts[1]) != 8 || (parts[0] != prefixAPI && parts[0] != prefixEnroll) {
		return "", "", false
	}
	return parts[1], parts[0], true
}

// find returns the record of a secret that may be used at all: known, neither
// expired nor revoked.
func (t *Tokens) find(tx *store.Tx, secret string) (*pb.TokenRecord, error) {
	id, prefix, ok := splitToken(secret)
	if !ok {
		id = bootstrapID
	}
	if strings.ContainsRune(id, 0) || len(secret) > maxSecret {
		return nil, ErrUnknownToken
	}
	r, err := tx.Token(id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, ErrUnknownToken
	case err != nil:
		return nil, err
	case !equal(r.GetSecretHash(), hashSecret(secret)), ok && (prefix == prefixEnroll) != (r.GetKind() == KindEnroll):
		return nil, ErrUnknownToken
	case r.GetRevokedAt() != nil:
		return nil, ErrRevokedToken
	case r.GetExpiresAt() != nil && !t.now().Before(r.GetExpiresAt().AsTime()):
		return nil, ErrExpired
	}
	return r, nil
}

// consume takes one use of an enrolment token.
func (t *Tokens) consume(tx *store.Tx, secret string) (*pb.TokenRecord, error) {
	r, err := t.find(tx, secret)
	if err != nil {
		return nil, err
	}
	if r.GetKind() != KindEnroll {
		return nil, fmt.Errorf("%w (this is a token for the API, not for enrolment)", ErrUnknownToken)
	}
	if r.GetUses() >= r.GetMaxUses() {
		return nil, ErrUsedUp
	}
	r = proto.CloneOf(r)
	r.Uses++
	return r, tx.PutToken(r)
}

// Verify returns the record of an API token that may be used.
func (t *Tokens) Verify(ctx context.Context, secret string) (*pb.TokenRecord, error) {
	var r *pb.TokenRecord
	err := t.store.View(ctx, func(tx *store.Tx) (err error) {
		r, err = t.find(tx, secret)
		return err
	})
	if err != nil {
		return nil, err
	}
	if r.GetKind() != KindAPI {
		return nil, fmt.Errorf("%w (this is a token for enrolment, not for the API)", ErrUnknownToken)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.used[r.GetId()] = t.now()
	return r, nil
}

// List returns at most limit tokens whose ids follow after, without secrets.
// last_used_at is known since the collector started.
func (t *Tokens) List(ctx context.Context, after string, limit int) ([]*pb.Token, error) {
	var out []*pb.Token
	err := t.store.View(ctx, func(tx *store.Tx) error {
		return tx.ScanTokens(after, func(r *pb.TokenRecord) error {
			out = append(out, &pb.Token{Id: r.GetId(), Kind: r.GetKind(), Name: r.GetName(), Role: r.GetRole(), CreatedAt: r.GetCreatedAt(),
				ExpiresAt: r.GetExpiresAt(), MaxUses: r.GetMaxUses(), Uses: r.GetUses(), Labels: r.GetLabels(), RevokedAt: r.GetRevokedAt()})
			if len(out) == limit {
				return store.Stop
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, token := range out {
		if at, ok := t.used[token.GetId()]; ok {
			token.LastUsedAt = timestamppb.New(at)
		}
	}
	return out, nil
}

// Revoke refuses a token from now on; store.ErrNotFound is wrapped where there
// is none.
func (t *Tokens) Revoke(ctx context.Context, actor, id string) error {
	err := t.store.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Token(id)
		if err != nil || r.GetRevokedAt() != nil {
			return err
		}
		r = proto.CloneOf(r)
		r.RevokedAt = timestamppb.New(t.now())
		if err := tx.PutToken(r); err != nil {
			return err
		}
		return tx.AppendAudit(&pb.AuditRecord{At: r.RevokedAt, Actor: actor, Action: "token.revoke", Target: id, Detail: r.GetName()})
	})
	if err != nil {
		return fmt.Errorf("revoke token %s: %w", id, err)
	}
	return nil
}

// minPreset is the least length of a preset secret.
const minPreset = 16

// Bootstrap makes the first administrator's token of an installation that has
// no token at all, and returns its secret, or "" where there are tokens. preset
// is the secret that an operator chose, or "" for a random one; a preset is
// taken over also later, so that a deployment can rely on it.
func (t *Tokens) Bootstrap(ctx context.Context, preset string) (string, error) {
	if preset == "" {
		any, err := t.List(ctx, "", 1)
		if err != nil || len(any) > 0 {
			return "", err
		}
		r, err := t.Create(ctx, "bootstrap", &pb.CreateTokenRequest{Kind: KindAPI, Name: "first administrator", Role: "admin"})
		return r.GetToken(), err
	}
	if len(preset) < minPreset || len(preset) > maxSecret || strings.ContainsAny(preset, " \t\r\n\x00") {
		return "", fmt.Errorf("the preset administrator token must have %d to %d characters without spaces", minPreset, maxSecret)
	}
	id, _, ok := splitToken(preset)
	if !ok {
		id = bootstrapID
	}
	record := &pb.TokenRecord{Id: id, Kind: KindAPI, Name: "preset administrator", Role: "admin", SecretHash: hashSecret(preset), CreatedAt: timestamppb.New(t.now())}
	err := t.store.Update(ctx, func(tx *store.Tx) error {
		held, err := tx.Token(id)
		if err == nil && equal(held.GetSecretHash(), record.SecretHash) {
			return nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := tx.PutToken(record); err != nil {
			return err
		}
		return tx.AppendAudit(&pb.AuditRecord{At: record.CreatedAt, Actor: "bootstrap", Action: "token.preset", Target: id})
	})
	if err != nil {
		return "", fmt.Errorf("preset the administrator token: %w", err)
	}
	return preset, nil
}
