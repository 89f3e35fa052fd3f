package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// OnErasure lets fn hear of each erasure once it has begun and is durable, and of
// each that was taken back. It is to be called before the first Erase.
func (c *Catalog) OnErasure(fn func(r *storagepb.ErasureRecord, readmitted bool)) { c.onErasure = fn }

// EraseAgain makes an erasure known that this store, put back to an older state,
// does not know of, and tells whether anything here names the person. Nothing but
// the marks is known of them, so whom they stand for is found by trying every name
// that the store holds. FinishErasures does the work. One that is known already is
// left as it is.
func (c *Catalog) EraseAgain(ctx context.Context, r *storagepb.ErasureRecord) (found bool, err error) {
	c.remember(r)
	var again *storagepb.ErasureRecord
	err = c.store.View(ctx, func(tx *store.Tx) error {
		again = nil
		if _, err := tx.Erasure(r.GetId()); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		again, err = c.recall(ctx, tx, r)
		return err
	})
	if err != nil || again == nil {
		return false, wrapAgain(r, err)
	}
	s := again.GetSubject()
	found = len(s.GetRecords())+len(s.GetAddresses())+len(s.GetAccounts())+len(s.GetLogins()) > 0
	if !found {
		again.Subject, again.CompletedAt = nil, timestamppb.New(c.now())
	}
	return found, wrapAgain(r, c.store.Update(ctx, func(tx *store.Tx) error {
		return errors.Join(tx.PutErasure(again), c.auditErasure(tx, "person.erase", again))
	}))
}

func wrapAgain(r *storagepb.ErasureRecord, err error) error {
	if err != nil {
		return fmt.Errorf("erase a person again after a restore (erasure %s): %w", r.GetId(), err)
	}
	return nil
}

// recall works out what names a person of whom only marks are known.
func (c *Catalog) recall(ctx context.Context, tx *store.Tx, r *storagepb.ErasureRecord) (*storagepb.ErasureRecord, error) {
	k := known{store: c.store, marks: make(map[store.Mark]bool), tried: make(map[string]bool), words: make(map[string]bool), logins: make(map[string]bool)}
	for _, m := range r.GetMarks() {
		if len(m) == store.MarkSize {
			k.marks[store.Mark(m)] = true
		}
	}
	person, err := k.person(ctx, tx)
	if err != nil {
		return nil, err
	}
	err = tx.Mentions(ctx, func(key, value []byte) bool {
		k.read(key)
		k.read(value)
		return false
	}, func(store.Mention) error { return nil })
	if err != nil {
		return nil, err
	}
	e := Erasing{Person: person, By: r.GetBy(), Reason: r.GetReason()}
	for w := range k.words {
		e.Also = append(e.Also, w)
	}
	slices.Sort(e.Also)
	again, err := c.describe(tx, e)
	if err != nil {
		return nil, err
	}
	for l := range k.logins {
		again.Subject.Logins = add(again.Subject.Logins, l)
	}
	slices.Sort(again.Subject.Logins)
	again.Id, again.At, again.Counts = r.GetId(), r.GetAt(), nil
	again.Marks = append(again.Marks, r.GetMarks()...)
	slices.SortFunc(again.Marks, slices.Compare)
	again.Marks = slices.CompactFunc(again.Marks, bytes.Equal)
	return again, nil
}

// known finds what has one of some marks.
type known struct {
	store *store.Store
	marks map[store.Mark]bool
	// tried are texts that were looked at; words are the addresses and accounts,
	// and logins the account names without a domain, that have a mark.
	tried, words, logins map[string]bool
}

// maxTried bounds what is remembered of texts that have no mark.
const maxTried = 1 << 20

// person returns somebody made of all records of the people whom a mark is of.
func (k *known) person(ctx context.Context, tx *store.Tx) (*adminpb.Person, error) {
	ids := make(map[string]bool)
	err := tx.ScanObservations(func(o *pb.Observation) error {
		if o.GetPerson() == nil {
			return ctx.Err()
		}
		if !slices.ContainsFunc(identity.NewPersonClaim(o, true).Keys, func(key identity.Key) bool { return k.marks[k.store.Mark(key.Kind, valueOf(key))] }) {
			return ctx.Err()
		}
		m, err := tx.PersonMember(store.Ref{Source: o.GetSource(), ID: o.GetSourceId()})
		ids[m.GetAssetId()] = true
		return err
	})
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	all := new(adminpb.Person)
	for id := range ids {
		p, err := tx.Person(id)
		if err != nil {
			return nil, fmt.Errorf("person %s: %w", id, err)
		}
		all.Sources = append(all.Sources, p.GetSources()...)
	}
	return all, nil
}

// named tells of the bytes that addresses and accounts are made of.
func named(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte(`._%+'@\-`, b) >= 0
}

// read tries every text of a record, of whatever kind that is. A text of an encoded
// message may have the byte of its length before it and the tag of the next field
// behind it, either of which may look like a letter.
func (k *known) read(record []byte) {
	for from := 0; from < len(record); from++ {
		if !named(record[from]) {
			continue
		}
		to := from + 1
		for to < len(record) && named(record[to]) {
			to++
		}
		if n := to - from; n >= minLogin && n <= maxKnown {
			text := string(record[from:to])
			for _, t := range []string{text, text[1:], text[:n-1], text[1 : n-1]} {
				k.try(t)
			}
		}
		from = to
	}
}

// Bounds of a text that may name somebody, in bytes; see description.login.
const (
	minLogin = 4
	maxKnown = 300
)

func (k *known) try(text string) {
	if len(text) < minLogin || k.tried[text] {
		return
	}
	if len(k.tried) >= maxTried {
		clear(k.tried)
	}
	k.tried[text] = true
	// A backslash within JSON is two.
	text = strings.ReplaceAll(text, `\\`, `\`)
	if strings.ContainsAny(text, `@\`) {
		if key, ok := anyKey(text); ok && k.marks[k.store.Mark(key.Kind, valueOf(key))] {
			k.words[valueOf(key)] = true
		}
		return
	}
	if low := strings.ToLower(text); k.marks[k.store.Mark(kindLogin, low)] {
		k.logins[low] = true
	}
}
