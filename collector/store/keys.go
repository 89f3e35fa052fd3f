package store

// SchemaVersion is the version of the layout below. It rises with every change
// that an older collector could not read.
const SchemaVersion = 1

// Every key that the database can hold begins with one of these. Parts are
// joined by 0x00; sources and ids therefore hold no NUL (checked on the way in).
//
// Truth: what was said, and what cannot be computed again.
const (
	prefixMeta        = "!/" // !/schema, !/install           schema version, id of this installation
	prefixObservation = "o/" // o/<source>\0<source_id>       Observation without software rows
	prefixSoftwareSet = "w/" // w/<source>\0<source_id>\0...  packed software rows of that observation
	prefixTitle       = "t/" // t/<hash>                      one interned software row
	prefixMember      = "m/" // m/<source>\0<source_id>       MemberRecord: which asset
	prefixRedirect    = "r/" // r/<old asset id>              new asset id
	prefixSource      = "s/" // s/<source>                    SourceRecord
	prefixEnrolment   = "e/" // e/<agent id>                  EnrolmentRecord
	prefixBaseline    = "b/" // b/<agent id>                  BaselineRecord
	prefixToken       = "k/" // k/<token id>                  TokenRecord
	prefixAuthority   = "y/" // y/<authority id>              AuthorityRecord
	prefixAudit       = "u/" // u/<sequence, 8 bytes big-endian> AuditRecord
	prefixLastSeen    = "l/" // l/<source>\0<source_id>       unix seconds, flushed in bulk
)

// Derived: Rebuild recreates all of it from the truth.
const (
	prefixAsset       = "a/" // a/<asset id>                  Asset
	prefixAssetMember = "n/" // n/<asset id>\0<source>\0<source_id>
	prefixIdentifier  = "i/" // i/<kind>\0<scope>\0<value>\0<source>\0<source_id>
)
