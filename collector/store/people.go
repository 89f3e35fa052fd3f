package store

import (
	"bytes"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// PersonMember returns the record that ties an observation to its person.
func (t *Tx) PersonMember(ref Ref) (*storagepb.MemberRecord, error) {
	return read[storagepb.MemberRecord](t, join(prefixPersonOf, ref.Source, ref.ID))
}

// PutPersonMember ties an observation to a person.
func (t *Tx) PutPersonMember(ref Ref, m *storagepb.MemberRecord) error {
	return t.put(join(prefixPersonOf, ref.Source, ref.ID), m)
}

// DeletePersonMember unties an observation from its person.
func (t *Tx) DeletePersonMember(ref Ref) error {
	return t.remove(join(prefixPersonOf, ref.Source, ref.ID))
}

// ScanPersonMembers calls fn with the member record of each observation about a
// person.
func (t *Tx) ScanPersonMembers(fn func(Ref, *storagepb.MemberRecord) error) error {
	return scan(t, prefixPersonOf, nil, func(k []byte, m *storagepb.MemberRecord) error {
		ref, err := refAt(k, prefixPersonOf, 0)
		if err != nil {
			return err
		}
		return fn(ref, m)
	})
}

// Person returns the merged record with this very id; see ResolvePerson for ids
// that were redirected.
func (t *Tx) Person(id string) (*adminpb.Person, error) {
	return read[adminpb.Person](t, join(prefixPerson, id))
}

// ResolvePerson returns the person with this id, or the one that it became.
func (t *Tx) ResolvePerson(id string) (*adminpb.Person, error) {
	for range maxRedirects {
		p, err := t.Person(id)
		if ignoreNotFound(err) != nil || err == nil {
			return p, err
		}
		if id, err = t.Redirect(id); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("person %s: more than %d redirects: run `rollcall-collector rebuild`", id, maxRedirects)
}

// PutPerson stores a merged record. It returns the record before, nil where
// there was none, and whether it differs; one that does not is not written.
func (t *Tx) PutPerson(p *adminpb.Person) (before *adminpb.Person, changed bool, err error) {
	key := join(prefixPerson, p.GetId())
	held, err := t.value(key)
	if err := ignoreNotFound(err); err != nil {
		return nil, false, err
	}
	now, err := proto.MarshalOptions{Deterministic: true}.Marshal(p)
	if err != nil {
		return nil, false, fmt.Errorf("encode person %s: %w", p.GetId(), err)
	}
	if held != nil {
		if bytes.Equal(held, now) {
			return nil, false, nil
		}
		before = new(adminpb.Person)
		if err := proto.Unmarshal(held, before); err != nil {
			return nil, false, fmt.Errorf("person %s is damaged, run `rollcall-collector rebuild` or restore a backup: %w", p.GetId(), err)
		}
	}
	return before, true, t.setValue(key, now)
}

// DeletePerson removes a merged record.
func (t *Tx) DeletePerson(id string) error { return t.remove(join(prefixPerson, id)) }

// ScanPeople calls fn with each person whose id is greater than after, in the
// order of their ids.
func (t *Tx) ScanPeople(after string, fn func(*adminpb.Person) error) error {
	var start []byte
	if after != "" {
		start = within(prefixPerson, after)
	}
	return scan(t, prefixPerson, start, func(_ []byte, p *adminpb.Person) error { return fn(p) })
}

// ClaimPerson records that an observation carries an identifier of a person.
func (t *Tx) ClaimPerson(id *pb.Identifier, ref Ref) error {
	key, err := personKey(id, ref)
	if err != nil {
		return err
	}
	return t.kv.Set(key, nil)
}

// UnclaimPerson records that an observation no longer does.
func (t *Tx) UnclaimPerson(id *pb.Identifier, ref Ref) error {
	key, err := personKey(id, ref)
	if err != nil {
		return err
	}
	return t.kv.Delete(key)
}

// PersonClaimants returns the observations that carry an identifier of a
// person, at most limit.
func (t *Tx) PersonClaimants(id *pb.Identifier, limit int) ([]Ref, error) {
	var refs []Ref
	err := t.kv.Scan(within(prefixPersonKey, id.GetKind(), id.GetScope(), id.GetValue()), nil, func(k, _ []byte) error {
		ref, err := refAt(k, prefixPersonKey, 3)
		if err != nil {
			return err
		}
		if refs = append(refs, ref); len(refs) == limit {
			return Stop
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up %s %q: %w", id.GetKind(), id.GetValue(), err)
	}
	return refs, nil
}

func personKey(id *pb.Identifier, ref Ref) ([]byte, error) {
	if n := len(id.GetKind()) + len(id.GetScope()) + len(id.GetValue()); n > maxIdentifierLen {
		return nil, fmt.Errorf("identifier %s has %d bytes, at most %d are kept", id.GetKind(), n, maxIdentifierLen)
	}
	return join(prefixPersonKey, id.GetKind(), id.GetScope(), id.GetValue(), ref.Source, ref.ID), nil
}

// PutOwned records that an asset is assigned to whoever has an address, which
// holds no NUL and has at most 200 bytes.
func (t *Tx) PutOwned(address, assetID string) error {
	return t.kv.Set(join(prefixOwned, address, assetID), nil)
}

// DeleteOwned records that it no longer is.
func (t *Tx) DeleteOwned(address, assetID string) error {
	return t.kv.Delete(join(prefixOwned, address, assetID))
}

// Owned returns the assets that are assigned to whoever has an address, at most
// limit of those whose id is greater than after.
func (t *Tx) Owned(address, after string, limit int) ([]string, error) {
	var ids []string
	prefix := within(prefixOwned, address)
	var start []byte
	if after != "" {
		start = append(slices.Concat(prefix, []byte(after)), 0)
	}
	err := t.kv.Scan(prefix, start, func(k, _ []byte) error {
		if ids = append(ids, string(k[len(prefix):])); len(ids) == limit {
			return Stop
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up the assets of %q: %w", address, err)
	}
	return ids, nil
}

// PersonByKey returns whom an identifier names: the one person whose records
// carry it, or of several the only one who has not left. It returns ErrNotFound
// where that is nobody, or not one alone, or where more than limit records
// carry it.
func (t *Tx) PersonByKey(id *pb.Identifier, limit int) (*adminpb.Person, error) {
	refs, err := t.PersonClaimants(id, limit+1)
	if err != nil {
		return nil, err
	}
	if len(refs) == 0 || len(refs) > limit {
		return nil, ErrNotFound
	}
	people := make(map[string]*adminpb.Person)
	for _, ref := range refs {
		m, err := t.PersonMember(ref)
		if err != nil {
			return nil, fmt.Errorf("person of %s: %w", ref, err)
		}
		if people[m.GetAssetId()] != nil {
			continue
		}
		if people[m.GetAssetId()], err = t.Person(m.GetAssetId()); err != nil {
			return nil, fmt.Errorf("person %s: %w", m.GetAssetId(), err)
		}
	}
	return only(people)
}

// only returns the only one of some people, or the only one who has not left.
func only(people map[string]*adminpb.Person) (*adminpb.Person, error) {
	var found []*adminpb.Person
	for _, p := range people {
		if len(people) == 1 || p.GetStatus() != "departed" {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return nil, ErrNotFound
	}
	return found[0], nil
}
