package enroll

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/scope"
	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Bounds of sessions.
const (
	// maxOwnSessions is how many one person may have; one more ends the oldest.
	maxOwnSessions = 20
	maxSessions    = 10_000
	// sessionKept is how long a session that is over is still listed, and
	// maxForgotten how many are forgotten at once.
	sessionKept  = 7 * 24 * time.Hour
	maxForgotten = 500
	maxPerson    = 254
	maxSubject   = 255
)

// Errors about sessions, each of which says what to do.
var (
	ErrSessionOver = errors.New("you are no longer signed in: run `rollcall login` again")
	ErrNoRoom      = errors.New("too many people are signed in: an administrator can end sessions with `rollcall token revoke`")
)

// Session is what a person who signed in may, and for how long.
type Session struct {
	// Person is how the audit log knows them, Name how people do, and Subject how
	// the provider does.
	Person, Name, Subject string
	Role                  string
	Scope                 []string
	Life                  time.Duration
}

// UseBasis has sessions refused that began with another basis than this one; an
// empty one refuses all. It is to be called before anybody is served.
func (t *Tokens) UseBasis(basis string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.basis = basis
}

// open tells why a session cannot be used.
func (t *Tokens) open(r *storagepb.TokenRecord) error {
	t.mu.Lock()
	basis := t.basis
	t.mu.Unlock()
	switch {
	case r.GetRevokedAt() != nil:
		return fmt.Errorf("%w (the session was ended)", ErrSessionOver)
	case !t.now().Before(r.GetExpiresAt().AsTime()):
		return fmt.Errorf("%w (the session ended %s)", ErrSessionOver, r.GetExpiresAt().AsTime().Format(time.RFC3339))
	case basis == "":
		return fmt.Errorf("%w (nobody can sign in here now: the configuration has no oidc)", ErrSessionOver)
	case r.GetBasis() != basis:
		return fmt.Errorf("%w (who may sign in was changed)", ErrSessionOver)
	case !someone(r.GetPerson()):
		return fmt.Errorf("%w (the person was erased)", ErrSessionOver)
	}
	return nil
}

// someone tells whether a text names a person. What erasing leaves of one does not.
func someone(person string) bool {
	return person != "" && plain(person, maxPerson) && !strings.ContainsAny(person, " []")
}

// SignIn begins a session and returns its secret and its record.
func (t *Tokens) SignIn(ctx context.Context, s Session) (string, *storagepb.TokenRecord, error) {
	sc, err := scope.Parse(s.Scope)
	switch {
	case err != nil:
		return "", nil, fmt.Errorf("sign in: %w", err)
	case !someone(s.Person) || !plain(s.Name, maxName) || !plain(s.Subject, maxSubject) || !slices.Contains(Roles, s.Role) || s.Life <= 0:
		return "", nil, fmt.Errorf("sign in: %w: %.100q with role %.50q for %s", ErrBadToken, s.Person, s.Role, s.Life)
	}
	id, secret, err := newSecret(prefixSession)
	if err != nil {
		return "", nil, err
	}
	t.mu.Lock()
	basis := t.basis
	t.mu.Unlock()
	record := &storagepb.TokenRecord{Id: id, Kind: KindSession, Name: s.Name, Role: s.Role, SecretHash: hashSecret(secret), Scope: sc.Texts(), Person: s.Person, Subject: s.Subject,
		Basis: basis, CreatedAt: timestamppb.New(t.now()), ExpiresAt: timestamppb.New(t.now().Add(s.Life))}
	var forgotten []string
	err = t.store.Update(store.WithScope(ctx, sc.String()), func(tx *store.Tx) (err error) {
		if forgotten, err = t.makeRoom(tx, s.Person); err != nil {
			return err
		}
		if err := tx.PutToken(record); err != nil {
			return err
		}
		return tx.AppendAudit(&storagepb.AuditRecord{At: record.CreatedAt, Actor: ActorOf(record), Action: "session.create", Target: id, Detail: record.Role})
	})
	if err != nil {
		return "", nil, fmt.Errorf("begin a session of %s: %w", s.Person, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range forgotten {
		delete(t.used, id)
	}
	return secret, record, nil
}

// ActorOf is how the audit log calls who has a token.
func ActorOf(r *storagepb.TokenRecord) string {
	if r.GetKind() == KindSession {
		return "user:" + r.GetPerson()
	}
	return "token:" + r.GetId()
}

// makeRoom forgets sessions that are long over, and ends the oldest of who has too
// many.
func (t *Tokens) makeRoom(tx *store.Tx, person string) (forgotten []string, err error) {
	var own []*storagepb.TokenRecord
	all := 0
	err = tx.ScanTokens("", func(r *storagepb.TokenRecord) error {
		switch {
		case r.GetKind() != KindSession:
		case t.open(r) == nil:
			all++
			if r.GetPerson() == person {
				own = append(own, r)
			}
		case len(forgotten) < maxForgotten && t.now().Sub(ended(r)) > sessionKept:
			forgotten = append(forgotten, r.GetId())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, id := range forgotten {
		if err := tx.DeleteToken(id); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(own, func(a, b *storagepb.TokenRecord) int {
		return a.GetCreatedAt().AsTime().Compare(b.GetCreatedAt().AsTime())
	})
	for ; len(own) >= maxOwnSessions; own = own[1:] {
		if err := t.end(tx, own[0], ActorOf(own[0])); err != nil {
			return nil, err
		}
		all--
	}
	if all >= maxSessions {
		return nil, ErrNoRoom
	}
	return forgotten, nil
}

// ended is when a session ended, or will at the latest.
func ended(r *storagepb.TokenRecord) time.Time {
	if at := r.GetRevokedAt(); at != nil {
		return at.AsTime()
	}
	return r.GetExpiresAt().AsTime()
}

// end refuses a token from now on.
func (t *Tokens) end(tx *store.Tx, r *storagepb.TokenRecord, actor string) error {
	r = proto.CloneOf(r)
	r.RevokedAt = timestamppb.New(t.now())
	if err := tx.PutToken(r); err != nil {
		return err
	}
	e := &storagepb.AuditRecord{At: r.RevokedAt, Actor: actor, Action: "token.revoke", Target: r.GetId(), Detail: r.GetName()}
	if r.GetKind() == KindSession {
		e.Action, e.Detail = "session.revoke", r.GetPerson()
	}
	return tx.AppendAudit(e)
}

// RevokeSessions ends all sessions of a person and tells how many there were.
func (t *Tokens) RevokeSessions(ctx context.Context, actor, person string) (n int, err error) {
	err = t.store.Update(ctx, func(tx *store.Tx) error {
		var own []*storagepb.TokenRecord
		err := tx.ScanTokens("", func(r *storagepb.TokenRecord) error {
			if r.GetKind() == KindSession && strings.EqualFold(r.GetPerson(), person) && t.open(r) == nil {
				own = append(own, r)
			}
			return nil
		})
		n = len(own)
		for _, r := range own {
			err = errors.Join(err, t.end(tx, r, actor))
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("end the sessions of %s: %w", person, err)
	}
	return n, nil
}
