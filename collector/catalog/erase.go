package catalog

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/redact"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Errors of an erasure.
var (
	// ErrHeld is returned where an asset of the person is on legal hold.
	ErrHeld = errors.New("an asset of the person is on legal hold")
	// ErrErased is returned for a statement about a person who was erased.
	ErrErased = errors.New("the person was erased, and is not taken in again until the erasure is deleted")
)

// becauseErased is why assets change then.
const becauseErased = "a person was erased"

// kindLogin is the kind of the mark of an account without its domain.
const kindLogin = "login"

// erasures guards what is known of people who were erased.
type erasures struct {
	mu sync.RWMutex
	// marks leads from what identified them to the erasures.
	marks map[store.Mark]string
	// one erasure runs at a time.
	running sync.Mutex
}

// Erasing is a person to erase.
type Erasing struct {
	// Person is nil for one whom only devices name.
	Person *adminpb.Person
	// Also are further names, addresses and accounts of the person.
	Also       []string
	By, Reason string
}

// PlanErasure tells what erasing a person would change, by the kinds of records,
// and which assets name the person. The error wraps ErrHeld where one of those is
// on legal hold, and store.ErrNotFound where nothing names the person.
func (c *Catalog) PlanErasure(ctx context.Context, e Erasing) (r *storagepb.ErasureRecord, assets []string, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		if r, err = c.describe(tx, e); err != nil {
			return err
		}
		found := make(map[string]bool)
		err := tx.Mentions(ctx, redactor(r.GetSubject()).Mentions, func(m store.Mention) error {
			r.Counts[m.What()]++
			if m.Kind == store.MentionAsset {
				found[m.ID] = true
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(r.Counts) == 0 {
			return store.ErrNotFound
		}
		assets = slices.Sorted(maps.Keys(found))
		return held(tx, assets)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("plan the erasure of a person: %w", err)
	}
	return r, assets, nil
}

// held refuses where one of some assets is on legal hold.
func held(tx *store.Tx, assets []string) error {
	var names []string
	for _, id := range assets {
		a, err := tx.Asset(id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if reason := a.GetHold().GetReason(); reason != "" {
			names = append(names, fmt.Sprintf("%s (%s, id %s)", a.GetName(), reason, id))
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s: what is held must not be erased; end the hold first, with rollcall set ASSET hold.reason=", ErrHeld, strings.Join(names, ", "))
}

// redactor returns what takes a person out of records.
func redactor(s *storagepb.ErasureSubject) *redact.Redactor {
	subject := redact.Subject{Words: slices.Concat(s.GetAddresses(), s.GetAccounts(), s.GetLogins(), s.GetNames()), Numbers: s.GetNumbers()}
	for _, r := range s.GetRecords() {
		subject.Records = append(subject.Records, redact.Record{Source: r.GetSource(), ID: r.GetSourceId()})
	}
	return redact.New(subject)
}

// Erase removes a person from everything that is kept, and has what is said of
// them later not taken. It is done in many transactions; what is cut off is
// finished by FinishErasures. The error may be as for PlanErasure.
func (c *Catalog) Erase(ctx context.Context, e Erasing) (*storagepb.ErasureRecord, error) {
	r, _, err := c.PlanErasure(ctx, e)
	if err != nil {
		return nil, err
	}
	if redactor(r.GetSubject()).Within(e.Reason) {
		return nil, fmt.Errorf("%w: the reason names the person, and is kept in the audit log: give the number of the request instead", ErrInvalid)
	}
	r.Counts = nil
	// What is filed from here on is looked at, so that no record comes in behind
	// the back of the search.
	c.remember(r)
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		return errors.Join(tx.PutErasure(r), c.auditErasure(tx, "person.erase", r))
	})
	if err != nil {
		c.disremember(r.GetId())
		return nil, fmt.Errorf("begin to erase a person: %w", err)
	}
	if c.onErasure != nil {
		c.onErasure(r, false)
	}
	// Once begun it ends, whoever waits for it.
	if err := c.FinishErasures(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	err = c.store.View(ctx, func(tx *store.Tx) error {
		r, err = tx.Erasure(r.GetId())
		return err
	})
	return r, err
}

// auditErasure notes an erasure in the audit log, without anything that names
// the person.
func (c *Catalog) auditErasure(tx *store.Tx, action string, r *storagepb.ErasureRecord) error {
	detail := struct {
		Reason string           `json:"reason"`
		Marks  []string         `json:"marks"`
		Counts map[string]int64 `json:"counts,omitempty"`
	}{Reason: r.GetReason(), Counts: r.GetCounts()}
	for _, m := range r.GetMarks() {
		detail.Marks = append(detail.Marks, hex.EncodeToString(m))
	}
	b, err := json.Marshal(detail)
	if err != nil {
		return fmt.Errorf("note an erasure in the audit log: %w", err)
	}
	return tx.AppendAudit(&storagepb.AuditRecord{At: timestamppb.New(c.now()), Actor: r.GetBy(), Action: action, Target: r.GetId(), Detail: string(b)})
}

// remember has statements about an erased person refused.
func (c *Catalog) remember(r *storagepb.ErasureRecord) {
	c.erased.mu.Lock()
	defer c.erased.mu.Unlock()
	if c.erased.marks == nil {
		c.erased.marks = make(map[store.Mark]string)
	}
	for _, m := range r.GetMarks() {
		if len(m) == store.MarkSize {
			c.erased.marks[store.Mark(m)] = r.GetId()
		}
	}
}

func (c *Catalog) disremember(id string) {
	c.erased.mu.Lock()
	defer c.erased.mu.Unlock()
	maps.DeleteFunc(c.erased.marks, func(_ store.Mark, of string) bool { return of == id })
}

// DeleteErasure takes an erased person in again once somebody states them. The
// error wraps store.ErrNotFound where there is no such erasure, and ErrInvalid
// where it is not complete.
func (c *Catalog) DeleteErasure(ctx context.Context, by, id string) error {
	var r *storagepb.ErasureRecord
	err := c.store.Update(ctx, func(tx *store.Tx) (err error) {
		if r, err = tx.Erasure(id); err != nil {
			return err
		}
		if r.GetCompletedAt() == nil {
			return fmt.Errorf("%w: it is not complete yet", ErrInvalid)
		}
		return errors.Join(tx.DeleteErasure(id), tx.AppendAudit(&storagepb.AuditRecord{At: timestamppb.New(c.now()), Actor: by, Action: "erasure.delete", Target: id}))
	})
	if err != nil {
		return fmt.Errorf("delete erasure %s: %w", id, err)
	}
	c.disremember(id)
	if c.onErasure != nil {
		c.onErasure(r, true)
	}
	return nil
}

// ErasedBy returns the erasure by which an identifier was erased, empty where it
// was not.
func (c *Catalog) ErasedBy(text string) string {
	k, ok := anyKey(text)
	if !ok {
		return ""
	}
	return c.erasureOf(k.Kind, valueOf(k))
}

// valueOf is an identifier as its mark is made of it.
func valueOf(k identity.Key) string {
	switch k.Kind {
	case identity.Account:
		return k.Scope + `\` + k.Value
	case identity.EmployeeID:
		return strings.ToLower(k.Value)
	}
	return k.Value
}

func (c *Catalog) erasureOf(kind, value string) string {
	c.erased.mu.RLock()
	defer c.erased.mu.RUnlock()
	if len(c.erased.marks) == 0 {
		return ""
	}
	return c.erased.marks[c.store.Mark(kind, value)]
}
