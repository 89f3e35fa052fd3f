package store

import (
	"bytes"
	"errors"

	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Statement returns an operator's word by its id.
func (t *Tx) Statement(id string) (*storagepb.StatementRecord, error) {
	return read[storagepb.StatementRecord](t, join(prefixStatement, id))
}

// PutStatement stores an operator's word on two observations.
func (t *Tx) PutStatement(s *storagepb.StatementRecord) error {
	t.spoken = nil
	err := t.put(join(prefixStatement, s.GetId()), s)
	for _, ref := range spokenOf(s) {
		err = errors.Join(err, t.kv.Set(join(prefixSpoken, ref.Source, ref.ID, s.GetId()), nil))
	}
	return err
}

// DeleteStatement takes an operator's word back.
func (t *Tx) DeleteStatement(s *storagepb.StatementRecord) error {
	err := t.remove(join(prefixStatement, s.GetId()))
	for _, ref := range spokenOf(s) {
		err = errors.Join(err, t.kv.Delete(join(prefixSpoken, ref.Source, ref.ID, s.GetId())))
	}
	return err
}

// spokenOf returns the two observations that a statement is about.
func spokenOf(s *storagepb.StatementRecord) [2]Ref {
	return [2]Ref{{Source: s.GetSubjectSource(), ID: s.GetSubjectId()}, {Source: s.GetOtherSource(), ID: s.GetOtherId()}}
}

// StatementsOf returns what operators said about an observation.
func (t *Tx) StatementsOf(ref Ref) ([]*storagepb.StatementRecord, error) {
	if spoken, err := t.anybodySpoke(); err != nil || !spoken {
		return nil, err
	}
	var ids []string
	err := t.kv.Scan(within(prefixSpoken, ref.Source, ref.ID), nil, func(k, _ []byte) error {
		ids = append(ids, string(k[bytes.LastIndexByte(k, 0)+1:]))
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]*storagepb.StatementRecord, len(ids))
	for i, id := range ids {
		if out[i], err = t.Statement(id); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// anybodySpoke tells whether operators said something of any observation, which
// they did not in most fleets: a transaction looks once, and not for each
// observation.
func (t *Tx) anybodySpoke() (bool, error) {
	if t.spoken != nil {
		return *t.spoken, nil
	}
	spoken := false
	err := t.kv.Scan([]byte(prefixSpoken), nil, func(_, _ []byte) error {
		spoken = true
		return Stop
	})
	if err != nil {
		return false, err
	}
	t.spoken = &spoken
	return spoken, nil
}

// Note returns what was put under a name, nil for nothing.
func (t *Tx) Note(name string) ([]byte, error) {
	v, err := t.value(join(prefixNote, name))
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return v, err
}

// PutNote keeps bytes that only their owner reads; nil forgets them.
func (t *Tx) PutNote(name string, v []byte) error {
	if v == nil {
		return t.remove(join(prefixNote, name))
	}
	return t.setValue(join(prefixNote, name), v)
}

// ScanStatements calls fn with each statement whose id is greater than after,
// in the order of their ids.
func (t *Tx) ScanStatements(after string, fn func(*storagepb.StatementRecord) error) error {
	var start []byte
	if after != "" {
		start = within(prefixStatement, after)
	}
	return scan(t, prefixStatement, start, func(_ []byte, s *storagepb.StatementRecord) error { return fn(s) })
}
