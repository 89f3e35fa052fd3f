package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
)

// MentionKind says how a record that mentions something is to be handled.
type MentionKind int

// Kinds of mentions.
const (
	// MentionRecord is in what a source says of one thing, or in the name of that:
	// see Ref.
	MentionRecord MentionKind = iota + 1
	// MentionAsset is in a merged asset or in its history, and MentionPerson in a
	// merged person or in theirs: see ID.
	MentionAsset
	MentionPerson
	// MentionStatement is in an operator's word, whose id is ID.
	MentionStatement
	// MentionTitle is in a software title, see Title, and MentionAudit in an entry
	// of the audit log, see Sequence.
	MentionTitle
	MentionAudit
	// MentionNote is in a note: see EraseNote.
	MentionNote
	// MentionTexts is in any other record: see EraseTexts.
	MentionTexts
)

// Mention is a record that holds something that was looked for.
type Mention struct {
	Kind     MentionKind
	Ref      Ref
	ID       string
	Title    TitleID
	Sequence int64
	key      []byte
}

// What names the kind of the record, as Counts does.
func (m Mention) What() string {
	k, _ := kindAt(m.key)
	return k.name
}

// kindAt returns the row of a key and its prefix.
func kindAt(key []byte) (kind, string) {
	for _, n := range []int{4, 2} {
		prefix := string(key[:min(n, len(key))])
		if k, ok := kinds[prefix]; ok {
			return k, prefix
		}
	}
	return kind{}, ""
}

// Mentions calls fn with each record that match holds of, given its key and its
// value as it was before it was packed. Keys are names that sources gave, so they
// may mention people as well.
func (t *Tx) Mentions(ctx context.Context, match func(key, value []byte) bool, fn func(Mention) error) error {
	return t.kv.Scan(nil, nil, func(key, stored []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, prefix := kindAt(key)
		var value []byte
		switch prefix {
		case prefixMeta, prefixErasure, prefixAuthority, prefixPart:
			return nil // secrets, what is looked for, certificates, and what its record has
		case prefixSoftwareSet, prefixMember, prefixPersonOf, prefixLastSeen, prefixVolume, prefixTrend, prefixSpoken, prefixIdentifier, prefixPersonKey, prefixOwned:
			// numbers and ids only
		default:
			var err error
			if value, err = t.unpack(key, stored); err != nil {
				return err
			}
		}
		if !match(key, value) {
			return nil
		}
		m, err := mention(prefix, slices.Clone(key))
		if err != nil {
			return err
		}
		return fn(m)
	})
}

func mention(prefix string, key []byte) (m Mention, err error) {
	m.key = key
	last := string(key[bytes.LastIndexByte(key, 0)+1:])
	switch prefix {
	case prefixObservation, prefixMember, prefixPersonOf, prefixLastSeen:
		m.Kind = MentionRecord
		m.Ref, err = refAt(key, prefix, 0)
	case prefixHead:
		m.Kind = MentionTexts
		m.Ref, err = refAt(key, prefix, 0)
	case prefixSoftwareSet:
		m.Kind = MentionRecord
		parts := bytes.SplitN(key[len(prefix):], []byte{0}, 3)
		if len(parts) == 3 {
			m.Ref = Ref{Source: string(parts[0]), ID: string(parts[1])}
		}
	case prefixIdentifier, prefixPersonKey:
		m.Kind = MentionRecord
		m.Ref, err = refAt(key, prefix, 3)
	case prefixAsset:
		m.Kind, m.ID = MentionAsset, string(key[len(prefix):])
	case prefixEvent:
		m.Kind = MentionAsset
		m.ID, err = assetEvents.subject(key)
	case prefixOwned:
		m.Kind, m.ID = MentionAsset, last
	case prefixPersonEvent:
		m.Kind = MentionPerson
		m.ID, err = personEvents.subject(key)
	case prefixPerson:
		m.Kind, m.ID = MentionPerson, string(key[len(prefix):])
	case prefixStatement:
		m.Kind, m.ID = MentionStatement, string(key[len(prefix):])
	case prefixSpoken:
		m.Kind, m.ID = MentionStatement, last
	case prefixTitle:
		var n uint64
		n, err = numberAt(key, prefix)
		m.Kind, m.Title = MentionTitle, titleID(n)
	case prefixAudit:
		var n uint64
		n, err = numberAt(key, prefix)
		m.Kind, m.Sequence = MentionAudit, int64(n)
	case prefixNote:
		m.Kind = MentionNote
	default:
		m.Kind = MentionTexts
		if texts[prefix] == nil {
			return m, fmt.Errorf("record %q mentions a person, and is of a kind that holds no texts", key)
		}
	}
	return m, err
}

// numberAt reads the number that a key is, after its prefix.
func numberAt(key []byte, prefix string) (uint64, error) {
	if len(key) != len(prefix)+8 {
		return 0, fmt.Errorf("key %q has a wrong length: the database is damaged; restore a backup", key)
	}
	return binary.BigEndian.Uint64(key[len(prefix):]), nil
}
