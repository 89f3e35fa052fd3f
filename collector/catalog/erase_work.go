package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/redact"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// maxSearches bounds how often the store is searched for one person. Mending a
// record may write another that mentions the person; a search that finds nothing
// to mend ends it.
const maxSearches = 10

// FinishErasures completes the erasures that were begun: it is called once at
// the start, for those that were cut off.
func (c *Catalog) FinishErasures(ctx context.Context) error {
	c.erased.running.Lock()
	defer c.erased.running.Unlock()
	var open []*storagepb.ErasureRecord
	err := c.store.View(ctx, func(tx *store.Tx) error {
		return tx.ScanErasures("", func(r *storagepb.ErasureRecord) error {
			if r.GetCompletedAt() == nil {
				open = append(open, r)
			}
			return ctx.Err()
		})
	})
	if err != nil {
		return fmt.Errorf("find erasures that are not complete: %w", err)
	}
	for _, r := range open {
		if err := c.finishErasure(ctx, r); err != nil {
			return fmt.Errorf("erase a person (erasure %s; it goes on when the collector starts): %w", r.GetId(), err)
		}
	}
	return nil
}

// eraser does the work of one erasure.
type eraser struct {
	catalog *Catalog
	from    *redact.Redactor
	record  *storagepb.ErasureRecord
	// own are the records about the person.
	own map[store.Ref]bool
	// done are the assets and records of this search that were looked at.
	done    map[string]bool
	counts  map[string]int64
	changed bool
	kept    int
}

func (c *Catalog) finishErasure(ctx context.Context, r *storagepb.ErasureRecord) error {
	e := &eraser{catalog: c, from: redactor(r.GetSubject()), record: r, own: make(map[store.Ref]bool), counts: make(map[string]int64)}
	for _, rec := range r.GetSubject().GetRecords() {
		e.own[store.Ref{Source: rec.GetSource(), ID: rec.GetSourceId()}] = true
	}
	for search := 0; search == 0 || e.changed; search++ {
		if search == maxSearches {
			return errors.New("records still mention the person after ten searches")
		}
		if err := e.search(ctx); err != nil {
			return err
		}
	}
	return c.store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Erasure(r.GetId())
		if err != nil {
			return err
		}
		now.Subject, now.CompletedAt, now.Counts = nil, timestamppb.New(c.now()), e.counts
		if e.kept > 0 {
			now.Kept = append(now.Kept, fmt.Sprintf("%d entries of the audit log stay, from before its texts could be erased", e.kept))
		}
		return errors.Join(tx.PutErasure(now), c.auditErasure(tx, "person.erased", now))
	})
}

// search looks through the whole store and mends what mentions the person.
func (e *eraser) search(ctx context.Context) error {
	e.changed, e.done, e.kept = false, make(map[string]bool), 0
	var found []store.Mention
	err := e.catalog.store.View(ctx, func(tx *store.Tx) error {
		found = nil
		return tx.Mentions(ctx, e.from.Mentions, func(m store.Mention) error {
			found = append(found, m)
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("search the store: %w", err)
	}
	// Devices first, then people: the assets follow the people that they name, and
	// by then they name this one no longer.
	for _, people := range []bool{false, true} {
		for _, m := range found {
			if err := e.mend(ctx, m, people); err != nil {
				return fmt.Errorf("mend a record (%s): %w", m.What(), err)
			}
		}
	}
	// What operators say of the person need not mention them.
	for ref := range e.own {
		if err := e.mendRecord(ctx, ref, "observations"); err != nil {
			return fmt.Errorf("withdraw a record of the person: %w", err)
		}
	}
	return nil
}

// mend takes the person out of one record, in a transaction of its own.
func (e *eraser) mend(ctx context.Context, m store.Mention, people bool) error {
	if people != (m.Kind == store.MentionRecord && e.own[m.Ref] || m.Kind == store.MentionPerson) {
		return nil
	}
	switch m.Kind {
	case store.MentionRecord:
		return e.mendRecord(ctx, m.Ref, m.What())
	case store.MentionAsset:
		return e.mendAsset(ctx, m.ID, m.What())
	case store.MentionPerson:
		return e.mendPerson(ctx, m.ID, m.What())
	}
	changed := false
	err := e.catalog.store.Update(ctx, func(tx *store.Tx) (err error) {
		changed, err = e.mendText(tx, m)
		return err
	})
	if errors.Is(err, store.ErrUnsealed) {
		e.kept++
		return nil
	}
	return e.count(m.What(), changed, err)
}

func (e *eraser) count(what string, changed bool, err error) error {
	if err == nil && changed {
		e.changed = true
		e.counts[what]++
	}
	return err
}

func (e *eraser) mendText(tx *store.Tx, m store.Mention) (bool, error) {
	switch m.Kind {
	case store.MentionTitle:
		return tx.EraseTitle(m.Title, func(s *pb.Software) bool { return e.from.Message(s) })
	case store.MentionAudit:
		return tx.EraseAudit(m.Sequence, e.mentions)
	case store.MentionNote:
		return tx.EraseNote(m, e.note)
	case store.MentionStatement:
		return e.mendStatement(tx, m.ID)
	}
	return tx.EraseTexts(m, e.from.Message)
}

// mentions tells whether a text of the audit log names the person: it may be the
// JSON of a request.
func (e *eraser) mentions(text string) bool {
	return e.from.Within(text) || e.from.Within(strings.ReplaceAll(text, `\\`, `\`))
}

// note takes the person out of what a feed remembers, and drops what it can ask
// for again.
func (e *eraser) note(name string, note []byte) []byte {
	if strings.Contains(name, "/cache/") {
		return nil
	}
	text, found := e.from.Text(string(note))
	if !found {
		return note
	}
	return bytes.Clone([]byte(text))
}

func (e *eraser) mendStatement(tx *store.Tx, id string) (bool, error) {
	s, err := tx.Statement(id)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if e.own[store.Ref{Source: s.GetSubjectSource(), ID: s.GetSubjectId()}] || e.own[store.Ref{Source: s.GetOtherSource(), ID: s.GetOtherId()}] {
		return true, tx.DeleteStatement(s)
	}
	by, found := e.from.Text(s.GetBy())
	if !found {
		return false, nil
	}
	s.By = by
	return true, tx.PutStatement(s)
}

// mendRecord withdraws a record about the person, or one that a source keeps
// under the person's name; of others it takes the person out.
func (e *eraser) mendRecord(ctx context.Context, ref store.Ref, what string) error {
	if e.done[ref.String()] {
		return nil
	}
	e.done[ref.String()] = true
	var asset string
	person, changed := false, false
	f, err := e.catalog.update(ctx, ref, func(f *filing) error {
		f.because, f.redact = becauseErased, e.from
		asset, person, changed = "", false, false
		o, err := f.tx.Observation(ref)
		if errors.Is(err, store.ErrNotFound) {
			return nil // an index entry of what was withdrawn meanwhile
		}
		if err != nil {
			return err
		}
		if person = o.GetPerson() != nil; !person {
			m, err := f.tx.Member(ref)
			asset = m.GetAssetId()
			if err != nil || !e.from.Within(ref.ID) {
				return err
			}
			p, err := f.load(ref)
			changed = true
			return errors.Join(err, f.withdraw(p))
		}
		changed, err = e.mendProfile(f, o)
		return err
	})
	if err := e.count(what, changed, err); err != nil {
		return err
	}
	if changed && (e.own[ref] || asset != "") {
		e.catalog.forget(f.ref)
	}
	if asset == "" {
		return nil
	}
	return e.mendAsset(ctx, asset, "assets")
}

// mendProfile withdraws what is said of the person, and takes the person out of
// what is said of somebody else: a manager, most of the time.
func (e *eraser) mendProfile(f *filing, o *pb.Observation) (bool, error) {
	p, err := f.loadPerson(f.ref)
	if err != nil {
		return false, err
	}
	if e.own[f.ref] {
		return true, e.endProfile(f, p)
	}
	now := proto.CloneOf(o)
	if !e.from.Message(now) {
		return false, nil
	}
	if err := f.tx.PutContent(now); err != nil {
		return false, err
	}
	return true, f.placePerson(o, part{ref: f.ref, o: now, head: p.head, member: p.member})
}

// endProfile withdraws a record about the person, and with the last one the ids
// that led to the person.
func (e *eraser) endProfile(f *filing, p personPart) error {
	id := p.member.GetAssetId()
	held, err := f.tx.Person(id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	former := held.GetRedirects()
	said, err := f.tx.StatementsOf(f.ref)
	if err != nil {
		return err
	}
	for _, s := range said {
		if err := f.tx.DeleteStatement(s); err != nil {
			return err
		}
	}
	if err := f.withdrawPerson(p.part); err != nil {
		return err
	}
	if _, err := f.tx.Person(id); !errors.Is(err, store.ErrNotFound) {
		return err
	}
	for _, was := range former {
		if err := f.tx.DeleteRedirect(was); err != nil {
			return err
		}
	}
	return f.forgetPerson(append(former, id)...)
}

// mendPerson makes anew a person whose records name the erased one no longer.
func (e *eraser) mendPerson(ctx context.Context, id, what string) error {
	if err := e.mendPersonEvents(ctx, id); err != nil {
		return err
	}
	p := false
	_, err := e.catalog.update(ctx, store.Ref{}, func(f *filing) error {
		f.because, f.redact, p = becauseErased, e.from, false
		held, err := f.tx.Person(id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		before := proto.CloneOf(held)
		c := newCrowd(f)
		if err := errors.Join(c.visitPerson(id), c.complete(), f.assignPeople(c), f.reown(c)); err != nil {
			return err
		}
		now, err := f.tx.Person(id)
		if errors.Is(err, store.ErrNotFound) {
			p = true
			return nil
		}
		p = err == nil && !proto.Equal(before, now)
		return err
	})
	return e.count(what, p, err)
}
