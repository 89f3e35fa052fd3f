package store

import (
	"fmt"
	"slices"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Claim records that an observation carries an identifier.
func (t *Tx) Claim(id *pb.Identifier, ref Ref) error {
	key, err := identifierKey(id, ref)
	if err != nil {
		return err
	}
	return t.kv.Set(key, nil)
}

// Unclaim records that an observation no longer carries an identifier.
func (t *Tx) Unclaim(id *pb.Identifier, ref Ref) error {
	key, err := identifierKey(id, ref)
	if err != nil {
		return err
	}
	return t.kv.Delete(key)
}

// Claimants returns the observations that carry an identifier, at most limit.
func (t *Tx) Claimants(id *pb.Identifier, limit int) ([]Ref, error) {
	var refs []Ref
	err := t.kv.Scan(within(prefixIdentifier, id.GetKind(), id.GetScope(), id.GetValue()), nil, func(k, _ []byte) error {
		ref, err := refAt(k, prefixIdentifier, 3)
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

// DropDerived removes what Rebuild recreates, in transactions of bounded size;
// it returns true once nothing is left.
func (t *Tx) DropDerived(limit int) (done bool, err error) {
	var keys [][]byte
	for _, prefix := range []string{prefixAsset, prefixIdentifier, prefixPerson, prefixPersonKey, prefixOwned, prefixPart + prefixAsset, prefixPart + prefixPerson} {
		err := t.kv.Scan([]byte(prefix), nil, func(k, _ []byte) error {
			keys = append(keys, slices.Clone(k))
			if len(keys) >= limit {
				return Stop
			}
			return nil
		})
		if err != nil {
			return false, err
		}
		if len(keys) >= limit {
			break
		}
	}
	for _, k := range keys {
		if err := t.kv.Delete(k); err != nil {
			return false, err
		}
	}
	return len(keys) < limit, nil
}

func identifierKey(id *pb.Identifier, ref Ref) ([]byte, error) {
	if n := len(id.GetKind()) + len(id.GetScope()) + len(id.GetValue()); n > maxIdentifierLen {
		return nil, fmt.Errorf("identifier %s has %d bytes, at most %d are kept", id.GetKind(), n, maxIdentifierLen)
	}
	return join(prefixIdentifier, id.GetKind(), id.GetScope(), id.GetValue(), ref.Source, ref.ID), nil
}
