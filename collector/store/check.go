package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/kv"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Problem is something in the store that is not as it must be.
type Problem struct {
	// Record names it, for people, and may name a person or device; Kind is what
	// kind of a record it is.
	Record, Kind string
	// What is wrong.
	What string
	// Derived says that a rebuild makes it anew; otherwise only a backup has it.
	Derived bool
}

// Counts says how many records there are of each kind, by the names of the kinds.
type Counts map[string]int

// kind is what the check knows of the keys that have one prefix.
type kind struct {
	name    string
	check   func(c *check, key, stored []byte) error
	derived bool
}

// kinds has a row for every prefix in keys.go.
var kinds = map[string]kind{
	prefixMeta:         {name: "settings", check: (*check).any},
	prefixObservation:  {name: "observations", check: (*check).observation},
	prefixHead:         {name: "heads", check: (*check).head},
	prefixSoftwareSet:  {name: "software sets", check: (*check).softwareSet},
	prefixTitle:        {name: "software titles", check: (*check).title},
	prefixMember:       {name: "members", check: (*check).member},
	prefixStatement:    {name: "statements", check: decodes[storagepb.StatementRecord]},
	prefixSpoken:       {name: "statements by observation", check: (*check).spoken},
	prefixEvent:        {name: "events", check: (*check).event},
	prefixPersonEvent:  {name: "events of people", check: (*check).personEvent},
	prefixChange:       {name: "changes", check: decodes[storagepb.ChangeRecord]},
	prefixPersonOf:     {name: "members of people", check: (*check).personMember},
	prefixRule:         {name: "rules of the site", check: decodes[storagepb.RuleRecord]},
	prefixVolume:       {name: "report volumes", check: decodes[storagepb.VolumeRecord]},
	prefixTrend:        {name: "scores by day", check: decodes[storagepb.TrendRecord]},
	prefixFeed:         {name: "feeds", check: decodes[storagepb.FeedRecord]},
	prefixDecision:     {name: "decisions", check: decodes[storagepb.DecisionRecord]},
	prefixSubscription: {name: "subscriptions", check: decodes[storagepb.SubscriptionRecord]},
	prefixSubState:     {name: "states of subscriptions", check: decodes[storagepb.SubscriptionState]},
	prefixLetter:       {name: "dead letters", check: decodes[storagepb.LetterRecord]},
	prefixFindingLog:   {name: "changes of findings", check: decodes[storagepb.FindingChangeRecord]},
	prefixView:         {name: "saved views", check: decodes[storagepb.ViewRecord]},
	prefixErasure:      {name: "erasures", check: decodes[storagepb.ErasureRecord]},
	prefixPerson:       {name: "people", check: decodes[adminpb.Person], derived: true},
	prefixPersonKey:    {name: "identifiers of people", check: (*check).personKey, derived: true},
	prefixOwned:        {name: "assets by owner", check: (*check).owned, derived: true},
	prefixFinding:      {name: "findings", check: decodes[storagepb.FindingRecord]},
	prefixNote:         {name: "notes of feeds", check: (*check).any},
	prefixRedirect:     {name: "redirects", check: (*check).redirect},
	prefixSource:       {name: "sources", check: decodes[storagepb.SourceRecord]},
	prefixEnrolment:    {name: "enrolments", check: decodes[storagepb.EnrolmentRecord]},
	prefixToken:        {name: "tokens", check: decodes[storagepb.TokenRecord]},
	prefixAuthority:    {name: "authorities", check: decodes[storagepb.AuthorityRecord]},
	prefixAudit:        {name: "audit records", check: decodes[storagepb.AuditRecord]},
	prefixLastSeen:     {name: "times of last contact", check: (*check).lastSeen},
	prefixPart:         {name: "parts of large records", check: (*check).part},
	prefixAsset:        {name: "assets", check: decodes[pb.Asset], derived: true},
	prefixIdentifier:   {name: "identifiers", check: (*check).identifier, derived: true},
}

// errNoAsset is of a record that is good and leads to a derived one that is not there.
var errNoAsset = errors.New("the asset that it leads to is missing")

// unknownKind is the name of what this version does not know.
const unknownKind = "unknown"

// kindOf returns the row of a key: prefixes have two or four bytes.
func kindOf(key []byte) (kind, bool) {
	k, prefix := kindAt(key)
	return k, prefix != ""
}

// check is one reading of the whole store.
type check struct {
	tx     *Tx
	titles map[titleID]struct{}
}

// Check reads every record and calls report for each that cannot be decoded, or
// that refers to one that is not there. What the derived records should say is
// catalog.Check's matter.
func (t *Tx) Check(ctx context.Context, report func(Problem)) (Counts, error) {
	counts := make(Counts)
	c := &check{tx: t, titles: make(map[titleID]struct{})}
	err := t.kv.Scan(nil, nil, func(key, stored []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		k, known := kindOf(key)
		if !known {
			report(Problem{Record: fmt.Sprintf("record %q", key), Kind: unknownKind, What: "it is of a kind that this version of Rollcall does not know"})
			return nil
		}
		counts[k.name]++
		if err := k.check(c, key, stored); err != nil {
			report(Problem{Record: fmt.Sprintf("record %q (%s)", key, k.name), Kind: k.name, What: err.Error(), Derived: k.derived || errors.Is(err, errNoAsset)})
		}
		return nil
	})
	if err != nil {
		return counts, fmt.Errorf("check the records: %w", err)
	}
	if err := t.ScanAudit(func(*storagepb.AuditRecord) error { return ctx.Err() }); err != nil {
		if ctx.Err() != nil {
			return counts, ctx.Err()
		}
		report(Problem{Record: "audit log", Kind: "audit records", What: err.Error()})
	}
	return counts, nil
}

func decodes[M any, P interface {
	*M
	proto.Message
}](c *check, key, stored []byte) error {
	return c.decode(key, stored, P(new(M)))
}

func (c *check) decode(key, stored []byte, m proto.Message) error {
	v, err := c.tx.unpack(key, stored)
	if err != nil {
		return err
	}
	return proto.Unmarshal(v, m)
}

func (c *check) any(key, stored []byte) error {
	if string(key) == keySchema || string(key) == keyInstall || bytes.HasPrefix(key, []byte(prefixMeta)) {
		return nil // their readers refuse what they cannot read
	}
	_, err := c.tx.unpack(key, stored)
	return err
}

// exists tells whether there is a record under a key. It notes nothing in the
// transaction, unlike Tx.value, since a check reads every key there is.
func (c *check) exists(what string, key []byte) error {
	_, err := c.tx.kv.Get(key)
	if errors.Is(err, kv.ErrNotFound) {
		return fmt.Errorf("its %s is missing", what)
	}
	return err
}

// beside makes sure that the observation which ends a key is there.
func (c *check) beside(key []byte, prefix string) error {
	ref, err := refAt(key, prefix, 0)
	if err != nil {
		return err
	}
	return c.exists("observation", join(prefixObservation, ref.Source, ref.ID))
}

func (c *check) observation(key, stored []byte) error {
	o := new(pb.Observation)
	if err := c.decode(key, stored, o); err != nil {
		return err
	}
	ref, err := refAt(key, prefixObservation, 0)
	if err != nil {
		return err
	}
	if ref != (Ref{Source: o.GetSource(), ID: o.GetSourceId()}) {
		return fmt.Errorf("it names itself %q", o.GetSource()+"/"+o.GetSourceId())
	}
	members := prefixMember
	if o.GetPerson() != nil {
		members = prefixPersonOf
	}
	return errors.Join(c.exists("head", join(prefixHead, ref.Source, ref.ID)),
		c.exists("member record", join(members, ref.Source, ref.ID)),
		c.exists("source", join(prefixSource, ref.Source)))
}

func (c *check) head(key, stored []byte) error {
	return errors.Join(c.decode(key, stored, new(storagepb.HeadRecord)), c.beside(key, prefixHead))
}

func (c *check) member(key, stored []byte) error { return c.memberOf(key, stored, prefixMember) }

func (c *check) personMember(key, stored []byte) error {
	return c.memberOf(key, stored, prefixPersonOf)
}

func (c *check) memberOf(key, stored []byte, prefix string) error {
	m := new(storagepb.MemberRecord)
	if err := c.decode(key, stored, m); err != nil {
		return err
	}
	if m.GetAssetId() == "" {
		return errors.New("it names no asset")
	}
	return c.beside(key, prefix)
}

func (c *check) title(key, stored []byte) error {
	body, err := c.tx.unpack(key, stored)
	if err != nil {
		return err
	}
	if len(key) != len(prefixTitle)+8 {
		return errors.New("its key has a wrong length")
	}
	id := titleID(binary.BigEndian.Uint64(key[len(prefixTitle):]))
	c.titles[id] = struct{}{}
	sum := sha256.Sum256(append(bytes.Clone(c.tx.store.install), body...))
	if titleID(binary.BigEndian.Uint64(sum[:])>>8) != id && !erasedTitle(body) {
		return errors.New("it has another content than its id says")
	}
	return proto.Unmarshal(body, new(pb.Software))
}

// softwareSet comes after all titles: their keys are less.
func (c *check) softwareSet(key, stored []byte) error {
	b, err := c.tx.unpack(key, stored)
	if err != nil {
		return err
	}
	parts := bytes.SplitN(key[len(prefixSoftwareSet):], []byte{0}, 3)
	if len(parts) != 3 || len(parts[2]) == 0 {
		return errors.New("its key is not whole")
	}
	ref := Ref{Source: string(parts[0]), ID: string(parts[1])}
	var rows []entry
	switch parts[2][0] {
	case partBase:
		rows, err = decodeBase(b)
		err = errors.Join(err, c.exists("counts", softwareKey(ref, partCounts)))
	case partCounts:
		err = c.softwareCounts(ref, b)
	case partChange:
		var d delta
		d, _, err = decodeDelta(b)
		rows = append(d.removed, d.added...)
	default:
		err = errors.New("its key is of an unknown kind")
	}
	if err != nil {
		return err
	}
	for _, r := range rows {
		if _, ok := c.titles[r.title]; !ok {
			return fmt.Errorf("its software title %x is missing", r.title)
		}
	}
	return nil
}

func (c *check) softwareCounts(ref Ref, b []byte) error {
	n, err := decodeCounts(b)
	if err != nil {
		return err
	}
	err = c.exists("base", softwareKey(ref, partBase))
	for change := n.first; change < n.changes && err == nil; change++ {
		err = c.exists(fmt.Sprintf("change %d", change), changeKey(ref, change))
	}
	return err
}

func (c *check) spoken(key, _ []byte) error {
	parts := bytes.Split(key[len(prefixSpoken):], []byte{0})
	if len(parts) != 3 {
		return errors.New("its key is not whole")
	}
	return c.exists("statement", join(prefixStatement, string(parts[2])))
}

func (c *check) event(key, stored []byte) error { return c.eventOf(assetEvents, key, stored) }

func (c *check) personEvent(key, stored []byte) error { return c.eventOf(personEvents, key, stored) }

func (c *check) eventOf(l eventLog, key, stored []byte) error {
	if _, err := l.subject(key); err != nil {
		return errors.New("its key has a wrong length")
	}
	return c.decode(key, stored, new(storagepb.EventRecord))
}

func (c *check) redirect(key, stored []byte) error {
	to, err := c.tx.unpack(key, stored)
	if err != nil {
		return err
	}
	for _, prefix := range []string{prefixAsset, prefixPerson} {
		if c.exists("asset", join(prefix, string(to))) == nil {
			return nil
		}
	}
	if c.exists("asset", join(prefixRedirect, string(to))) == nil {
		return nil
	}
	return errNoAsset
}

func (c *check) lastSeen(key, stored []byte) error {
	v, err := c.tx.unpack(key, stored)
	if err == nil && len(v) != 8 {
		err = fmt.Errorf("it has %d bytes, want 8", len(v))
	}
	return err
}

// part makes sure that a part has a record that knows of it; that a record has
// its parts shows when it is expanded.
func (c *check) part(key, _ []byte) error {
	if len(key) < len(prefixPart)+5 {
		return errors.New("its key is not whole")
	}
	owner, n := key[len(prefixPart):len(key)-5], binary.BigEndian.Uint32(key[len(key)-4:])
	stored, err := c.tx.kv.Get(owner)
	if errors.Is(err, kv.ErrNotFound) || (err == nil && (len(stored) < 2 || stored[0] != packedParts)) {
		return errors.New("no record has it as a part")
	}
	if err != nil {
		return err
	}
	if parts, _ := binary.Uvarint(stored[1:]); uint64(n) >= parts {
		return fmt.Errorf("its record has %d parts", parts)
	}
	return nil
}

func (c *check) identifier(key, _ []byte) error { return c.stated(key, prefixIdentifier) }

func (c *check) personKey(key, _ []byte) error { return c.stated(key, prefixPersonKey) }

func (c *check) owned(key, _ []byte) error {
	at := bytes.LastIndexByte(key, 0)
	return c.exists("asset", join(prefixAsset, string(key[at+1:])))
}

// stated makes sure that the observation is there which states an identifier.
func (c *check) stated(key []byte, prefix string) error {
	ref, err := refAt(key, prefix, 3)
	if err != nil {
		return err
	}
	return c.exists("observation", join(prefixObservation, ref.Source, ref.ID))
}

// SameAsset tells whether the stored asset is this one; the error is ErrNotFound
// where there is none of its id.
func (t *Tx) SameAsset(a *pb.Asset) (bool, error) {
	held, err := t.value(join(prefixAsset, a.GetId()))
	if err != nil {
		return false, err
	}
	now, err := proto.MarshalOptions{Deterministic: true}.Marshal(a)
	if err != nil {
		return false, fmt.Errorf("encode asset %s: %w", a.GetId(), err)
	}
	return bytes.Equal(held, now), nil
}

// Claims tells whether an observation is listed under an identifier, and under
// which key it is to be: see ScanClaims.
func (t *Tx) Claims(id *pb.Identifier, ref Ref) (key []byte, listed bool, err error) {
	if key, err = identifierKey(id, ref); err != nil {
		return nil, false, err
	}
	_, err = t.kv.Get(key)
	if errors.Is(err, kv.ErrNotFound) {
		return key, false, nil
	}
	return key, err == nil, err
}

// ScanClaims calls fn with the key of each identifier of each observation.
func (t *Tx) ScanClaims(fn func(key []byte) error) error {
	return t.kv.Scan([]byte(prefixIdentifier), nil, func(k, _ []byte) error { return fn(k) })
}

// ScanAssetIDs calls fn with the id of each asset.
func (t *Tx) ScanAssetIDs(fn func(id string) error) error {
	return t.kv.Scan([]byte(prefixAsset), nil, func(k, _ []byte) error { return fn(string(k[len(prefixAsset):])) })
}
