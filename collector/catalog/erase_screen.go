package catalog

import (
	"context"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/redact"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// erasedError tells which erasure a statement runs against.
type erasedError struct{ erasure string }

func (e erasedError) Error() string {
	return ErrErased.Error() + " (DELETE /v1/erasures/" + e.erasure + ")"
}

func (e erasedError) Is(target error) bool { return target == ErrErased }

// screen takes people who were erased out of a statement before it is filed, and
// refuses one that is about such a person. It is called within the transaction
// that files it: an erasure that began before sees all that came in before it,
// and this all that it has forbidden.
func (c *Catalog) screen(o *pb.Observation) (*pb.Observation, error) {
	c.erased.mu.RLock()
	none := len(c.erased.marks) == 0
	c.erased.mu.RUnlock()
	if none {
		return o, nil
	}
	if o.GetPerson() != nil {
		for _, k := range identity.NewPersonClaim(o, false).Keys {
			if id := c.erasureOf(k.Kind, valueOf(k)); id != "" {
				return nil, erasedError{id}
			}
		}
		return o, nil
	}
	if id := c.ErasedBy(o.GetSourceId()); id != "" {
		return nil, erasedError{id}
	}
	var words []string
	for _, text := range namesPeople(o) {
		if w := c.erasedWord(text); w != "" {
			words = append(words, w)
		}
	}
	if len(words) == 0 {
		return o, nil
	}
	o = proto.CloneOf(o)
	redact.New(redact.Subject{Words: words}).Message(o)
	return o, nil
}

// namesPeople returns the texts of an observation of a device that name people.
func namesPeople(o *pb.Observation) []string {
	d := o.GetDevice()
	texts := []string{d.GetOwner().GetEmail(), d.GetOwner().GetName(), d.GetOwner().GetManager(), d.GetPrimaryUser().GetEmail(), d.GetPrimaryUser().GetName()}
	texts = append(texts, d.GetSecurity().GetLocalAdmins()...)
	for _, v := range d.GetLabels() {
		texts = append(texts, v)
	}
	for _, id := range o.GetIdentifiers() {
		texts = append(texts, id.GetValue())
	}
	return texts
}

// erasedWord returns the part of a text by which an erased person is known,
// empty for none.
func (c *Catalog) erasedWord(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	if k, ok := anyKey(text); ok && c.erasureOf(k.Kind, valueOf(k)) != "" {
		return valueOf(k)
	}
	if c.erasureOf(kindLogin, strings.ToLower(text)) != "" {
		return text
	}
	return ""
}

// refused counts that an erased person was stated.
func (c *Catalog) refused(ctx context.Context, id string) {
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Erasure(id)
		if err != nil {
			return err
		}
		r.Refused, r.LastRefusedAt = r.GetRefused()+1, timestamppb.New(c.now())
		return tx.PutErasure(r)
	})
	if err != nil {
		c.log.Warn("count that a person who was erased was stated again", "erasure", id, "error", err)
	}
}

// loadErasures reads who was erased.
func (c *Catalog) loadErasures(ctx context.Context) error {
	return c.store.View(ctx, func(tx *store.Tx) error {
		return tx.ScanErasures("", func(r *storagepb.ErasureRecord) error {
			c.remember(r)
			return ctx.Err()
		})
	})
}
