package merge

import "time"

// Kinds of sources, as SourceRecord.kind has them.
const (
	KindAgent      = "agent"
	KindMDM        = "mdm"
	KindIDP        = "idp"
	KindEDR        = "edr"
	KindPurchasing = "purchasing"
	KindWarranty   = "warranty"
	KindCloud      = "cloud"
	KindSaaS       = "saas"
	KindFile       = "file"
	KindOperator   = "operator"
	// KindHost is of what a machine says of the things that are attached to it,
	// which have records of their own.
	KindHost = "host"
)

// Kinds are all kinds of sources.
var Kinds = []string{KindAgent, KindMDM, KindIDP, KindEDR, KindPurchasing, KindWarranty, KindCloud, KindSaaS, KindFile, KindOperator, KindHost}

// lasting are the kinds of sources that say a thing once: what was bought is
// not bought again each day. Their silence means nothing, and that they speak
// does not make others old.
var lasting = map[string]bool{KindPurchasing: true, KindWarranty: true, KindFile: true, KindOperator: true}

// DefaultStaleAfter is how much longer than another a source has been silent
// when it counts as stale.
const DefaultStaleAfter = 30 * 24 * time.Hour

// precedence names, for a field and all below it, the kinds of sources that
// are believed, best first; a longer path wins over a shorter one. Kinds that
// are not named come last, all alike. Within one rank the newer statement wins.
var precedence = map[string][]string{
	// What the machine is and runs: its own word is best.
	"": {KindOperator, KindAgent, KindMDM, KindEDR, KindCloud, KindIDP, KindFile, KindHost},

	"hardware": {KindAgent, KindMDM, KindEDR, KindCloud, KindHost, KindWarranty, KindPurchasing},
	"os":       {KindAgent, KindMDM, KindEDR, KindCloud},
	"patch":    {KindAgent, KindMDM, KindEDR},
	"security": {KindAgent, KindMDM, KindEDR},
	"network":  {KindAgent, KindMDM, KindEDR, KindCloud},
	"storage":  {KindAgent, KindMDM},
	// An asset tag is stuck on by people; firmware often holds none or junk.
	"hardware.asset_tag": {KindOperator, KindFile, KindPurchasing, KindMDM, KindAgent},
	"hardware.cloud":     {KindCloud, KindAgent},

	"mdm": {KindMDM, KindIDP, KindAgent},
	"edr": {KindEDR, KindAgent, KindMDM},

	"owner":        {KindOperator, KindMDM, KindIDP, KindFile, KindAgent},
	"primary_user": {KindAgent, KindMDM, KindIDP},
	"location":     {KindOperator, KindFile, KindMDM, KindAgent},
	"purchase":     {KindPurchasing, KindWarranty, KindOperator, KindFile, KindMDM},
	"warranties":   {KindPurchasing, KindWarranty, KindOperator, KindFile, KindMDM},
	"hold":         {KindOperator},
	"financial":    {KindOperator, KindPurchasing, KindFile},
	"stage":        {KindOperator, KindPurchasing, KindFile, KindMDM},
	"labels":       {KindOperator, KindFile, KindMDM, KindAgent},
}
