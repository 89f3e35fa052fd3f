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
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/scope"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Kinds of tokens, and the prefixes of their secrets.
const (
	KindAPI    = "api"
	KindEnroll = "enroll"
	// KindSession is the token of a person who signed in.
	KindSession = "session"

	prefixAPI     = "rca"
	prefixEnroll  = "rce"
	prefixSession = "rcs"
)

// metricsRole is the role of those who read the metrics.
const metricsRole = "metrics"

// Roles that a token of kind api can have.
var Roles = []string{"viewer", "auditor", "operator", "admin", metricsRole, "servicedesk"}

// RoleOf returns the role that a name stands for: that of those who work at a
// service desk has two.
func RoleOf(name string) string {
	if name == "helpdesk" {
		return "servicedesk"
	}
	return name
}

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

// Tokens creates and checks tokens; only hashes of their secrets are stored.
type Tokens struct {
	store *store.Store
	now   func() time.Time

	mu   sync.Mutex
	used map[string]time.Time
	// basis is that of sessions which are good; empty where nobody can sign in.
	basis string
}

// NewTokens returns the tokens of a store.
func NewTokens(st *store.Store, now func() time.Time) *Tokens {
	return &Tokens{store: st, now: now, used: make(map[string]time.Time)}
}

// Create makes a token on behalf of actor; the answer holds its secret, which
// is not kept.
func (t *Tokens) Create(ctx context.Context, actor string, r *adminpb.CreateTokenRequest) (*adminpb.CreateTokenResponse, error) {
	if err := checkRequest(r); err != nil {
		return nil, err
	}
	sc, err := scope.Parse(r.GetScope())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadToken, err)
	}
	prefix, life := prefixAPI, apiLife
	record := &storagepb.TokenRecord{Kind: r.GetKind(), Name: r.GetName(), Role: RoleOf(r.GetRole()), Labels: r.GetLabels(), CreatedAt: timestamppb.New(t.now()), Scope: sc.Texts()}
	if r.GetKind() == KindEnroll {
		prefix, life = prefixEnroll, enrollLife
		record.MaxUses = max(1, r.GetMaxUses())
	}
	if r.GetExpiresIn() != nil {
		life = r.GetExpiresIn().AsDuration()
	}
	record.ExpiresAt = timestamppb.New(t.now().Add(life))
	id, secret, err := newSecret(prefix)
	if err != nil {
		return nil, err
	}
	record.Id, record.SecretHash = id, hashSecret(secret)
	err = t.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutToken(record); err != nil {
			return err
		}
		return tx.AppendAudit(&storagepb.AuditRecord{At: record.CreatedAt, Actor: actor, Action: "token.create", Target: record.Id, Detail: strings.Join(append(strings.Fields(record.Kind+" "+record.Role+" "+record.Name), sc.Texts()...), " ")})
	})
	if err != nil {
		return nil, fmt.Errorf("create token %q: %w", r.GetName(), err)
	}
	return &adminpb.CreateTokenResponse{Token: secret, Id: record.Id, Kind: record.Kind, Name: record.Name, Role: record.Role,
		ExpiresAt: record.ExpiresAt, MaxUses: record.MaxUses, Labels: record.Labels, Scope: record.Scope}, nil
}

// idLen is the length of the random id that a secret carries.
const idLen = 8

// newSecret makes a secret, <prefix>_<id>_<256 random bits>, and its id.
func newSecret(prefix string) (id, secret string, err error) {
	random := make([]byte, 5+32)
	if _, err := rand.Read(random); err != nil {
		return "", "", fmt.Errorf("make a token: %w", err)
	}
	id = strings.ToLower(base32.StdEncoding.EncodeToString(random[:5]))
	return id, prefix + "_" + id + "_" + base64.RawURLEncoding.EncodeToString(random[5:]), nil
}

func checkRequest(r *adminpb.CreateTokenRequest) error {
	life := r.GetExpiresIn()
	switch {
	case r.GetKind() != KindAPI && r.GetKind() != KindEnroll:
		return fmt.Errorf("%w: kind is %q, want %s or %s", ErrBadToken, r.GetKind(), KindAPI, KindEnroll)
	case r.GetKind() == KindAPI && !slices.Contains(Roles, RoleOf(r.GetRole())):
		return fmt.Errorf("%w: role is %q, want one of %s", ErrBadToken, r.GetRole(), strings.Join(Roles, ", "))
	case r.GetKind() == KindEnroll && r.GetRole() != "":
		return fmt.Errorf("%w: an enrolment token has no role", ErrBadToken)
	case r.GetKind() == KindEnroll && len(r.GetScope()) > 0:
		return fmt.Errorf("%w: an enrolment token has no scope; labels say where its devices belong", ErrBadToken)
	case r.GetRole() == metricsRole && len(r.GetScope()) > 0:
		return fmt.Errorf("%w: metrics are of the whole fleet: a token of role %s has no scope", ErrBadToken, metricsRole)
	case r.GetKind() == KindAPI && r.GetMaxUses() != 0:
		return fmt.Errorf("%w: max_uses is for enrolment tokens only", ErrBadToken)
	case !plain(r.GetName(), maxName):
		return fmt.Errorf("%w: the name may have %d bytes and no control characters", ErrBadToken, maxName)
	case r.GetMaxUses() < 0 || r.GetMaxUses() > maxUses:
		return fmt.Errorf("%w: max_uses is %d, want 1 to %d", ErrBadToken, r.GetMaxUses(), maxUses)
	case life != nil && (life.CheckValid() != nil || life.AsDuration() <= 0 || life.AsDuration() > maxTokenLife):
		return fmt.Errorf("%w: expires_in must be more than 0 and at most 10 years", ErrBadToken)
	case len(r.GetLabels()) > maxLabels:
		return fmt.Errorf("%w: %d labels, at most %d", ErrBadToken, len(r.GetLabels()), maxLabels)
	}
	for k, v := range r.GetLabels() {
		if k == "" || !plain(k, maxLabelText) || !plain(v, maxLabelText) {
			return fmt.Errorf("%w: label %q: key and value may have %d bytes each and no control characters, and the key may not be empty", ErrBadToken, k, maxLabelText)
		}
	}
	return nil
}

func hashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// plain tells whether s is a text of at most limit bytes that can be shown on
// one line.
func plain(s string, limit int) bool {
	return len(s) <= limit && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// tokenID returns the id that a secret of our making carries.
func tokenID(secret string) (string, bool) {
	prefix, rest, _ := strings.Cut(secret, "_")
	id, _, ok := strings.Cut(rest, "_")
	return id, ok && len(id) == idLen && (prefix == prefixAPI || prefix == prefixEnroll || prefix == prefixSession)
}

// authentic returns the record of a secret, usable or not, or ErrUnknownToken.
func authentic(tx *store.Tx, secret string) (*storagepb.TokenRecord, error) {
	if len(secret) > maxSecret {
		return nil, ErrUnknownToken
	}
	hash := hashSecret(secret)
	ids := []string{presetID}
	if id, ok := tokenID(secret); ok {
		ids = []string{id, presetID}
	}
	for _, id := range ids {
		r, err := tx.Token(id)
		if err == nil && equal(r.GetSecretHash(), hash) {
			return r, nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	return nil, ErrUnknownToken
}

// usable tells why a token cannot be used, uses apart. A session can where a token
// of kind api can.
func (t *Tokens) usable(r *storagepb.TokenRecord, kind string) error {
	switch {
	case r.GetKind() == KindSession && kind == KindAPI:
		return t.open(r)
	case r.GetKind() != kind && kind == KindAPI:
		return fmt.Errorf("%w (this is a token for enrolment, not for the API)", ErrUnknownToken)
	case r.GetKind() != kind:
		return fmt.Errorf("%w (this is a token for the API, not for enrolment)", ErrUnknownToken)
	case r.GetRevokedAt() != nil:
		return ErrRevokedToken
	case r.GetExpiresAt() != nil && !t.now().Before(r.GetExpiresAt().AsTime()):
		return ErrExpired
	}
	return nil
}

// consume takes one use of an enrolment token.
func (t *Tokens) consume(tx *store.Tx, secret string) (*storagepb.TokenRecord, error) {
	r, err := authentic(tx, secret)
	if err != nil {
		return nil, err
	}
	if err := t.usable(r, KindEnroll); err != nil {
		return nil, err
	}
	if r.GetUses() >= r.GetMaxUses() {
		return nil, ErrUsedUp
	}
	r = proto.CloneOf(r)
	r.Uses++
	return r, tx.PutToken(r)
}

// known returns ErrUnknownToken for a secret that was never given out; it
// costs a hash and a look-up, so it comes before any work for a stranger.
func (t *Tokens) known(ctx context.Context, secret string) error {
	return t.store.View(ctx, func(tx *store.Tx) error {
		_, err := authentic(tx, secret)
		return err
	})
}

// Verify returns the record of an API token or session that may be used. Its error
// wraps ErrUnknownToken, ErrExpired, ErrRevokedToken or ErrSessionOver, or is the
// store's.
func (t *Tokens) Verify(ctx context.Context, secret string) (*storagepb.TokenRecord, error) {
	var r *storagepb.TokenRecord
	err := t.store.View(ctx, func(tx *store.Tx) (err error) {
		r, err = authentic(tx, secret)
		return err
	})
	if err == nil {
		err = t.usable(r, KindAPI)
	}
	if err != nil {
		return nil, fmt.Errorf("verify a token: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.used[r.GetId()] = t.now()
	return r, nil
}

// List returns at most limit tokens whose ids follow after, without secrets.
// last_used_at is known since the collector started.
func (t *Tokens) List(ctx context.Context, after string, limit int) ([]*adminpb.Token, error) {
	var out []*adminpb.Token
	err := t.store.View(ctx, func(tx *store.Tx) error {
		return tx.ScanTokens(after, func(r *storagepb.TokenRecord) error {
			out = append(out, &adminpb.Token{Id: r.GetId(), Kind: r.GetKind(), Name: r.GetName(), Role: r.GetRole(), CreatedAt: r.GetCreatedAt(),
				ExpiresAt: r.GetExpiresAt(), MaxUses: r.GetMaxUses(), Uses: r.GetUses(), Labels: r.GetLabels(), RevokedAt: r.GetRevokedAt(), Scope: r.GetScope(), Person: r.GetPerson()})
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
		return t.end(tx, r, actor)
	})
	if err != nil {
		return fmt.Errorf("revoke token %s: %w", id, err)
	}
	return nil
}
