package store

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

// SchemaVersion is the version of the layout below. It rises with every change
// that an older collector could not read; legacy.go has the step from each to the
// next.
const SchemaVersion = 3

// Every key that the database can hold begins with one of these. Parts are
// joined by 0x00; sources and ids therefore hold no NUL (checked on the way in).
//
// Truth: what was said, and what cannot be computed again.
const (
	prefixMeta         = "!/"   // !/schema, !/install, !/pruned, !/pruned-findings, !/migration, !/rebuild: schema version, secret id of this installation, end of what was pruned of the logs, how far a migration came, that a rebuild is due
	prefixObservation  = "o/"   // o/<source>\0<source_id>       Observation without software rows and what its head has
	prefixHead         = "h/"   // h/<source>\0<source_id>       HeadRecord: when and how completely it was stated
	prefixSoftwareSet  = "w/"   // w/<source>\0<source_id>\0<part> software rows of that observation: base, counts, changes
	prefixTitle        = "t/"   // t/<id, 8 bytes>               one interned software row
	prefixMember       = "m/"   // m/<source>\0<source_id>       MemberRecord: which asset
	prefixPersonOf     = "j/"   // j/<source>\0<source_id>       MemberRecord: which person
	prefixStatement    = "q/"   // q/<statement id>              StatementRecord
	prefixSpoken       = "n/"   // n/<source>\0<source_id>\0<statement id>  a statement that names that observation
	prefixEvent        = "v/"   // v/<asset id, 16 bytes><unix nanoseconds, sequence, 8 bytes each> EventRecord
	prefixPersonEvent  = "z/h/" // z/h/<person id, 16 bytes><unix nanoseconds, sequence, 8 bytes each> EventRecord of a person
	prefixChange       = "c/"   // c/<sequence, 8 bytes>         ChangeRecord: the change log
	prefixFinding      = "p/"   // p/<asset id>\0<rule>          FindingRecord
	prefixRule         = "z/r/" // z/r/<rule id>                RuleRecord: a rule of the site
	prefixVolume       = "z/v/" // z/v/<asset id>               VolumeRecord
	prefixTrend        = "z/t/" // z/t/                         TrendRecord
	prefixDecision     = "z/d/" // z/d/<asset id>\0<rule>          DecisionRecord
	prefixErasure      = "z/e/" // z/e/<erasure id>             ErasureRecord
	prefixSubscription = "z/n/" // z/n/<subscription>           SubscriptionRecord
	prefixSubState     = "z/s/" // z/s/<subscription>            SubscriptionState: how far it has come
	prefixLetter       = "z/l/" // z/l/<subscription>\0<letter id> LetterRecord: a message that was given up
	prefixFindingLog   = "z/p/" // z/p/<sequence, 8 bytes>       FindingChangeRecord: the log of findings
	prefixView         = "z/w/" // z/w/<whose>\0<view>            ViewRecord; whose is empty for one that is shared, else a keyed hash of the owner
	prefixNote         = "f/"   // f/<name>                      what a feed must know after a restart
	prefixFeed         = "z/f/" // z/f/<feed>                    FeedRecord: how a feed is connected
	prefixRedirect     = "r/"   // r/<old asset id>              new asset id
	prefixSource       = "s/"   // s/<source>                    SourceRecord
	prefixEnrolment    = "e/"   // e/<agent id>                  EnrolmentRecord
	prefixToken        = "k/"   // k/<token id>                  TokenRecord
	prefixAuthority    = "y/"   // y/<authority id>              AuthorityRecord
	prefixAudit        = "u/"   // u/<sequence, 8 bytes big-endian> AuditRecord
	prefixLastSeen     = "l/"   // l/<source>\0<source_id>       unix seconds, flushed in bulk
	prefixPart         = "x/"   // x/<key>\0<n, 4 bytes>         part n of a record over the engine's value bound
)

// Derived: Rebuild recreates all of it from the truth.
const (
	prefixAsset      = "a/" // a/<asset id>                  Asset, whose sources are its members
	prefixIdentifier = "i/" // i/<kind>\0<scope>\0<value>\0<source>\0<source_id>
	prefixPerson     = "b/" // b/<person id>                 Person, whose sources are its members
	prefixPersonKey  = "d/" // d/<kind>\0<scope>\0<value>\0<source>\0<source_id>  as i/, of people
	prefixOwned      = "g/" // g/<e-mail address>\0<asset id>  who an asset is assigned to
)

const (
	keySchema         = prefixMeta + "schema"
	keyInstall        = prefixMeta + "install"
	keyPruned         = prefixMeta + "pruned"
	keyPrunedFindings = prefixMeta + "pruned-findings"
	// keyMigration is there from a migration's first transaction to its last.
	keyMigration = prefixMeta + "migration"
	keyRebuild   = prefixMeta + "rebuild"
)

// Ref names an observation: a source and its own name of the thing.
type Ref struct {
	Source, ID string
}

// String returns "source/id".
func (r Ref) String() string { return r.Source + "/" + r.ID }

// MaxRefLen bounds the length in bytes of a source's name and of a source id
// together, so that every key built from them stays below kv.MaxKeySize.
const MaxRefLen = 320

// maxIdentifierLen bounds kind, scope and value of an identifier together.
const maxIdentifierLen = kv.MaxKeySize - MaxRefLen - 16

// Check tells what is wrong with a reference that came from outside.
func (r Ref) Check() error {
	switch {
	case r.Source == "" || r.ID == "":
		return fmt.Errorf("an observation needs a source and a source_id, got %q and %q", r.Source, r.ID)
	case len(r.Source)+len(r.ID) > MaxRefLen:
		return fmt.Errorf("source and source_id have %d bytes together, at most %d are kept", len(r.Source)+len(r.ID), MaxRefLen)
	case strings.ContainsRune(r.Source, 0) || strings.ContainsRune(r.ID, 0):
		return fmt.Errorf("source %q or source_id %q holds a NUL character", r.Source, r.ID)
	}
	return nil
}

// join builds a key from a prefix and its parts.
func join(prefix string, parts ...string) []byte {
	n := len(prefix)
	for _, p := range parts {
		n += len(p) + 1
	}
	key := make([]byte, 0, n)
	key = append(key, prefix...)
	for i, p := range parts {
		if i > 0 {
			key = append(key, 0)
		}
		key = append(key, p...)
	}
	return key
}

// within builds a key that ends with a separator: the prefix of all keys below
// the given parts.
func within(prefix string, parts ...string) []byte {
	return append(join(prefix, parts...), 0)
}

// refAt reads the reference that ends a key, after skip further parts.
func refAt(key []byte, prefix string, skip int) (Ref, error) {
	parts := bytes.Split(key[len(prefix):], []byte{0})
	if len(parts) != skip+2 {
		return Ref{}, fmt.Errorf("key %q has %d parts, want %d: the database is damaged; restore a backup", key, len(parts), skip+2)
	}
	return Ref{Source: string(parts[skip]), ID: string(parts[skip+1])}, nil
}
