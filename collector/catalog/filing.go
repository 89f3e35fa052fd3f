package catalog

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/history"
	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/merge"
	"github.com/rollcall-itam/rollcall/collector/redact"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// filing is one run of one transaction that changes what is held.
type filing struct {
	catalog *Catalog
	tx      *store.Tx
	// ref is the observation that is filed or withdrawn; asset is what it turns
	// out to be about.
	ref   store.Ref
	asset string
	// rows is how many software rows ref states, -1 for none.
	rows int
	// cause is who brought it about, for the history: ref, or an operator.
	cause           store.Ref
	softwareChanged bool
	// step is what changed of the software, nil where that is not known.
	step     *store.SoftwareStep
	observed time.Time
	// quiet is set where nothing happens to the assets: they are made anew.
	quiet   bool
	changes []Change
	// people are the changes of people; owners is set where their assets may have
	// to say something else of their owner.
	people []PersonChange
	owners bool
	// because is why assets change where nobody states anything new.
	because string
	// redact takes somebody out of what the history tells, where that is why assets
	// change.
	redact   *redact.Redactor
	outlooks []outlook
	// moved are the machines that became part of another asset, with what is
	// attached to them; follows says what is attached to machines from now on, and
	// gone are records that were withdrawn beside the one that is filed.
	moved   []part
	follows []following
	gone    []store.Ref
}

func newFiling(c *Catalog, tx *store.Tx, ref store.Ref) *filing {
	return &filing{catalog: c, tx: tx, ref: ref, cause: ref}
}

// part is one member of an asset, loaded.
type part struct {
	ref    store.Ref
	o      *pb.Observation
	head   *storagepb.HeadRecord
	member *storagepb.MemberRecord
	claim  identity.Claim
}

// first is when its source first stated the thing.
func (p part) first() time.Time { return p.head.GetFirstObserved().AsTime() }

// source returns the declaration of a source.
func (f *filing) source(id string) (*storagepb.SourceRecord, error) {
	if r, ok := f.catalog.sources.Load(id); ok {
		return r.(*storagepb.SourceRecord), nil
	}
	r, err := f.tx.Source(id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("%w: %q: declare it first with PUT /v1/sources/%s", ErrUndeclared, id, id)
	}
	if err == nil {
		f.catalog.sources.Store(id, r)
	}
	return r, err
}

// load reads a member.
func (f *filing) load(ref store.Ref) (part, error) {
	p := part{ref: ref}
	var err error
	if p.o, p.head, err = f.tx.Stated(ref); err != nil {
		return p, fmt.Errorf("member %s: %w", ref, err)
	}
	if p.member, err = f.tx.Member(ref); err != nil && !errors.Is(err, store.ErrNotFound) {
		return p, fmt.Errorf("member %s: %w", ref, err)
	}
	return p, f.read(&p)
}

// read works out what a member claims.
func (f *filing) read(p *part) (err error) {
	p.claim, err = f.claimOf(p.o, p.head)
	return err
}

func (f *filing) claimOf(o *pb.Observation, h *storagepb.HeadRecord) (identity.Claim, error) {
	s, err := f.source(o.GetSource())
	if err != nil {
		return identity.Claim{}, err
	}
	return claimUnder(o, h, s), nil
}

// claimUnder is what an observation of a source claims.
func claimUnder(o *pb.Observation, h *storagepb.HeadRecord, s *storagepb.SourceRecord) identity.Claim {
	return identity.NewClaim(o, identity.History{Unique: s.GetUnique(), First: h.GetFirstObserved().AsTime(), Last: h.GetLastObserved().AsTime()})
}

// refs returns the members of an asset, and its former ids.
func (f *filing) refs(assetID string) ([]store.Ref, []string, error) {
	a, err := f.tx.LookAtAsset(assetID)
	if err != nil {
		return nil, nil, fmt.Errorf("asset %s: %w", assetID, err)
	}
	var refs []store.Ref
	for _, s := range a.GetSources() {
		refs = append(refs, store.Ref{Source: s.GetSource(), ID: s.GetSourceId()})
	}
	return refs, a.GetRedirects(), nil
}

// void returns the fields of a record whose values are placeholders.
func void(c identity.Claim) []string {
	var paths []string
	for _, i := range c.Ignored {
		switch i.Key.Kind {
		case identity.Serial, identity.Part:
			paths = append(paths, "hardware.serial")
		case identity.UUID:
			paths = append(paths, "hardware.uuid")
		}
	}
	return paths
}

// merged returns what parts make together, and what may change that.
func (f *filing) merged(assetID string, redirects []string, parts []part) (*pb.Asset, outlook, error) {
	stmts := make([]merge.Statement, 0, len(parts))
	for _, p := range parts {
		source, err := f.source(p.ref.Source)
		if err != nil {
			return nil, outlook{}, err
		}
		rows := f.rows
		if p.ref != f.ref {
			if rows, err = f.countRows(p.ref); err != nil {
				return nil, outlook{}, err
			}
		}
		s := merge.Statement{Observation: p.o, Kind: source.GetKind(), FirstSeen: p.first(), SoftwareRows: rows, Void: void(p.claim)}
		if s.Heard, s.Listing, err = f.heard(p, source.GetKind()); err != nil {
			return nil, outlook{}, err
		}
		stmts = append(stmts, s)
	}
	a := f.catalog.table.Merge(assetID, redirects, stmts)
	if err := f.own(a); err != nil {
		return nil, outlook{}, err
	}
	expires := f.catalog.age(a, stmts)
	undate(a)
	if f.catalog.derive != nil {
		f.catalog.derive(a)
	}
	return a, f.catalog.outlook(a, stmts, expires), nil
}

// put merges parts into an asset and stores it.
func (f *filing) put(assetID string, redirects []string, parts []part) error {
	a, o, err := f.merged(assetID, redirects, parts)
	if err != nil {
		return err
	}
	before, changed, err := f.tx.PutAsset(a)
	if err != nil {
		return err
	}
	o.begins = changed && (before == nil || !sameOutlook(before, a))
	f.outlooks = append(f.outlooks, o)
	if !changed {
		return nil
	}
	if err := f.noteOwner(assetID, before, a); err != nil {
		return err
	}
	if before == nil {
		return f.happened(assetID, a, &storagepb.EventRecord{Kind: Created, From: origin(assetID, parts)})
	}
	e := &storagepb.EventRecord{Kind: Changed, Because: f.because}
	if e.Changes, err = history.Diff(f.redacted(before), f.redacted(a)); err != nil {
		return err
	}
	return f.happened(assetID, a, e)
}

// redacted returns an asset as its history may tell of it.
func (f *filing) redacted(a *pb.Asset) *pb.Asset {
	if f.redact == nil || a == nil {
		return a
	}
	a = proto.CloneOf(a)
	f.redact.Message(a)
	return a
}

// origin returns the asset that the records of a new one were part of before,
// empty where they are new.
func origin(assetID string, parts []part) string {
	for _, p := range parts {
		if was := p.member.GetAssetId(); was != "" && was != assetID {
			return was
		}
	}
	return ""
}

// end removes an asset that is no more: it became part of another, or nothing
// states it any longer.
func (f *filing) end(assetID string, e *storagepb.EventRecord) error {
	before, err := f.tx.Asset(assetID)
	if err != nil {
		return fmt.Errorf("asset %s: %w", assetID, err)
	}
	if e.Changes, err = history.Diff(f.redacted(before), nil); err != nil {
		return err
	}
	if err := errors.Join(f.tx.DeleteAsset(assetID), f.noteOwner(assetID, before, nil)); err != nil {
		return err
	}
	return f.happened(assetID, nil, e)
}

// happened notes an event of an asset.
func (f *filing) happened(assetID string, a *pb.Asset, e *storagepb.EventRecord) error {
	change := Change{AssetID: assetID, Kind: e.GetKind(), Asset: a}
	if f.quiet {
		return nil
	}
	e.At, e.Source, e.SourceId = timestamppb.New(f.catalog.now()), f.cause.Source, f.cause.ID
	change.Sequence = f.catalog.sequence.Add(1)
	f.changes = append(f.changes, change)
	if err := f.tx.AppendEvent(assetID, change.Sequence, e); err != nil {
		return err
	}
	return f.tx.AppendChange(change.Sequence, &storagepb.ChangeRecord{At: e.GetAt(), AssetId: assetID, Kind: e.GetKind()})
}

// logSoftware notes that software rows changed.
func (f *filing) logSoftware() error {
	if !f.softwareChanged {
		return nil
	}
	change := Change{Sequence: f.catalog.sequence.Add(1), AssetID: f.asset, Kind: Software, Ref: f.ref, Step: f.step}
	f.changes = append(f.changes, change)
	return f.tx.AppendChange(change.Sequence, &storagepb.ChangeRecord{At: timestamppb.New(f.catalog.now()), AssetId: f.asset, Kind: Software,
		Source: f.ref.Source, SourceId: f.ref.ID})
}
