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

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/redact"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
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

// describe works out what names a person.
func (c *Catalog) describe(tx *store.Tx, e Erasing) (*storagepb.ErasureRecord, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("name an erasure: %w", err)
	}
	d := description{tx: tx, own: make(map[store.Ref]bool), record: &storagepb.ErasureRecord{Id: id.String(), At: timestamppb.New(c.now()), By: e.By, Reason: e.Reason,
		Counts: make(map[string]int64), Subject: new(storagepb.ErasureSubject)}}
	for _, s := range e.Person.GetSources() {
		d.own[store.Ref{Source: s.GetSource(), ID: s.GetSourceId()}] = true
	}
	for ref := range d.own {
		d.record.Subject.Records = append(d.record.Subject.Records, &storagepb.ErasedRecord{Source: ref.Source, SourceId: ref.ID})
		o, err := tx.Observation(ref)
		if err != nil {
			return nil, fmt.Errorf("record %s: %w", ref, err)
		}
		p := o.GetPerson()
		if err := d.name(p.GetName(), p.GetGivenName(), p.GetFamilyName()); err != nil {
			return nil, err
		}
		for _, k := range identity.NewPersonClaim(o, true).Keys {
			if err := d.key(k); err != nil {
				return nil, err
			}
		}
	}
	for _, text := range e.Also {
		if k, ok := anyKey(text); ok {
			err = d.key(k)
		} else {
			err = d.name(text, "", "")
		}
		if err != nil {
			return nil, err
		}
	}
	for m := range d.marks(c.store) {
		d.record.Marks = append(d.record.Marks, m[:])
	}
	slices.SortFunc(d.record.Marks, slices.Compare)
	return d.record, nil
}

// anyKey reads an identifier of a person, whatever kind it is of.
func anyKey(text string) (identity.Key, bool) {
	for _, kind := range []string{identity.Email, identity.Account} {
		if k, ok := identity.PersonKey(kind, "", text); ok {
			return k, true
		}
	}
	return identity.Key{}, false
}

// description gathers what names a person.
type description struct {
	tx     *store.Tx
	own    map[store.Ref]bool
	record *storagepb.ErasureRecord
}

// others tells whether somebody else carries an identifier.
func (d *description) others(k identity.Key) (bool, error) {
	refs, err := d.tx.PersonClaimants(k.Identifier(), identity.MaxClaimants)
	return slices.ContainsFunc(refs, func(r store.Ref) bool { return !d.own[r] }), err
}

// key takes in an identifier, unless somebody else carries it too.
func (d *description) key(k identity.Key) error {
	shared, err := d.others(k)
	if err != nil {
		return err
	}
	s := d.record.GetSubject()
	if shared {
		d.keep("an identifier of kind " + k.Kind + " stays, which records of somebody else have as well")
		return nil
	}
	switch k.Kind {
	case identity.Email:
		s.Addresses = add(s.Addresses, k.Value)
		local, _, _ := strings.Cut(k.Value, "@")
		return d.login(local)
	case identity.Account:
		s.Accounts = add(s.Accounts, k.Scope+`\`+k.Value)
		return d.login(k.Value)
	case identity.EmployeeID:
		s.Numbers = add(s.Numbers, strings.ToLower(k.Value))
	}
	return nil
}

// name takes in a name of a person, in the orders in which systems write it,
// unless it is of one word only or somebody else's as well.
func (d *description) name(whole, given, family string) error {
	for _, n := range []string{whole, given + " " + family, family + ", " + given, family + " " + given} {
		n = strings.ToLower(strings.Join(strings.Fields(n), " "))
		if strings.Count(n, " ") == 0 || strings.HasPrefix(n, ",") || strings.HasSuffix(n, ",") {
			continue
		}
		namesake := false
		err := d.tx.ScanPeople("", func(p *adminpb.Person) error {
			mine := slices.ContainsFunc(p.GetSources(), func(s *pb.AssetSource) bool { return d.own[store.Ref{Source: s.GetSource(), ID: s.GetSourceId()}] })
			if namesake = !mine && strings.EqualFold(p.GetName(), n); namesake {
				return store.Stop
			}
			return nil
		})
		if err != nil {
			return err
		}
		if namesake {
			d.keep("the name stays where nothing else names the person, since somebody else has it as well")
			continue
		}
		d.record.Subject.Names = add(d.record.Subject.Names, n)
	}
	return nil
}

// login takes in the name of an account without its domain, as devices know it,
// unless it may be somebody else's.
func (d *description) login(name string) error {
	if len(name) < 4 {
		d.keep("an account name of fewer than four letters stays where no domain stands with it")
		return nil
	}
	shared := false
	err := d.tx.ScanPeople("", func(p *adminpb.Person) error {
		if slices.ContainsFunc(p.GetSources(), func(s *pb.AssetSource) bool { return d.own[store.Ref{Source: s.GetSource(), ID: s.GetSourceId()}] }) {
			return nil
		}
		_, account, _ := strings.Cut(p.GetAccount(), `\`)
		shared = strings.EqualFold(account, name)
		for _, address := range append(slices.Clone(p.GetEmails()), p.GetUpn()) {
			local, _, _ := strings.Cut(address, "@")
			shared = shared || strings.EqualFold(local, name)
		}
		if shared {
			return store.Stop
		}
		return nil
	})
	if err != nil {
		return err
	}
	if shared {
		d.keep("an account name stays where no domain stands with it, since somebody else has it as well")
		return nil
	}
	d.record.Subject.Logins = add(d.record.Subject.Logins, name)
	return nil
}

func (d *description) keep(what string) { d.record.Kept = add(d.record.Kept, what) }

func add(to []string, s string) []string {
	if slices.Contains(to, s) {
		return to
	}
	return append(to, s)
}

// marks returns what the person will be known by again.
func (d *description) marks(st *store.Store) map[store.Mark]bool {
	out := make(map[store.Mark]bool)
	s := d.record.GetSubject()
	for kind, values := range map[string][]string{identity.Email: s.GetAddresses(), identity.Account: s.GetAccounts(), identity.EmployeeID: s.GetNumbers(), kindLogin: s.GetLogins()} {
		for _, v := range values {
			out[st.Mark(kind, v)] = true
		}
	}
	return out
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
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Erasure(id)
		if err != nil {
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
