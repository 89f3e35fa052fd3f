package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// ExplainAsset says why the records of an asset are one thing.
func (s *Service) ExplainAsset(ctx context.Context, r *adminpb.ExplainAssetRequest) (*adminpb.AssetExplanation, error) {
	e, err := s.fleet(ctx).explain(ctx, r.GetId())
	if err != nil {
		return nil, s.answer("explain the asset", err)
	}
	return explained(e), nil
}

func explained(e *catalog.Explanation) *adminpb.AssetExplanation {
	out := &adminpb.AssetExplanation{AssetId: e.Asset.GetId(), Name: e.Asset.GetName(), Conflicts: e.Asset.GetConflicts()}
	written := spelling(e.Asset)
	for _, src := range e.Asset.GetSources() {
		rec := &adminpb.ExplainedRecord{Source: src.GetSource(), Kind: src.GetKind(), SourceId: src.GetSourceId(), FirstSeen: src.GetFirstSeen(), LastSeen: src.GetLastSeen()}
		for _, i := range e.Ignored[store.Ref{Source: src.GetSource(), ID: src.GetSourceId()}] {
			rec.Ignored = append(rec.Ignored, &adminpb.IgnoredIdentifier{Identifier: written(i.Key), Reason: i.Reason})
		}
		out.Records = append(out.Records, rec)
	}
	for _, t := range e.Ties {
		tie := &adminpb.ExplainedTie{Records: names(t.Records), Because: strings.ReplaceAll(t.Because(), t.Key.String(), written(t.Key))}
		if t.Key != (identity.Key{}) {
			tie.Identifier = written(t.Key)
		}
		if t.With != (identity.Key{}) {
			tie.With = written(t.With)
		}
		out.Ties = append(out.Ties, tie)
	}
	for _, r := range e.Refusals {
		refusal := &adminpb.ExplainedRefusal{Records: names(r.Records), Reason: r.Reason, Collision: r.Collision, Quarantined: r.Quarantined}
		if r.Key != (identity.Key{}) {
			refusal.Identifier = written(r.Key)
		}
		out.Refusals = append(out.Refusals, refusal)
	}
	for _, st := range e.Statements {
		if !st.GetAnchor() {
			out.Statements = append(out.Statements, operatorStatement(st))
		}
	}
	for _, d := range e.Suggestions {
		out.PossibleDuplicates = append(out.PossibleDuplicates, &adminpb.PossibleDuplicate{AssetId: d.AssetID, Score: int32(d.Score), Reasons: d.Reasons})
	}
	out.Summary = sentences(out)
	return out
}

// spelling returns how to write identifiers: those of the asset as its record has
// them, since they are compared in a form that nobody wrote.
func spelling(a *pb.Asset) func(identity.Key) string {
	uuid := a.GetHardware().GetUuid()
	keys := identity.NewClaim(&pb.Observation{Subject: &pb.Observation_Device{Device: &pb.Device{Hardware: &pb.Hardware{Uuid: uuid}}}}, identity.History{}).Keys
	return func(k identity.Key) string {
		if k == (identity.Key{}) {
			return ""
		}
		if k.Kind == identity.UUID && slices.Contains(keys, k) {
			return k.Kind + " " + strings.ToLower(uuid)
		}
		return k.String()
	}
}

func names(refs []identity.Ref) []string {
	out := make([]string, len(refs))
	for i, r := range refs {
		out[i] = r.String()
	}
	return out
}

// sentences tells the whole to people.
func sentences(e *adminpb.AssetExplanation) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	switch n := len(e.GetRecords()); n {
	case 1:
		r := e.GetRecords()[0]
		say("%s is known from one record only: %s/%s.", e.GetName(), r.GetSource(), r.GetSourceId())
	default:
		say("%s is put together from %d records.", e.GetName(), n)
	}
	for _, t := range e.GetTies() {
		say("%s are one thing: %s.", listed(t.GetRecords()), t.GetBecause())
	}
	for _, r := range e.GetRefusals() {
		if r.GetIdentifier() == "" {
			say("%s: %s.", listed(r.GetRecords()), r.GetReason())
			continue
		}
		say("%s have %s in common, which does not make them one thing: %s.", listed(r.GetRecords()), r.GetIdentifier(), r.GetReason())
	}
	for _, r := range e.GetRecords() {
		for _, i := range r.GetIgnored() {
			say("%s/%s also says %s, which is ignored: %s.", r.GetSource(), r.GetSourceId(), i.GetIdentifier(), i.GetReason())
		}
	}
	for _, c := range e.GetConflicts() {
		if len(c.GetValues()) < 2 {
			continue
		}
		best, next := c.GetValues()[0], c.GetValues()[1]
		if sameButSpelling(best, next) {
			continue
		}
		say("%s is %s, as %s says; %s says %s.", c.GetField(), plainValue(best), best.GetSource(), next.GetSource(), plainValue(next))
	}
	for _, d := range e.GetPossibleDuplicates() {
		say("It may be the same thing as asset %s (%d of 100): %s. If it is, say so with same_as; if not, with not_same_as.", d.GetAssetId(), d.GetScore(), strings.Join(d.GetReasons(), ", "))
	}
	return out
}

// sameButSpelling tells whether two texts differ only in case and blanks, or in
// what one has before or after the other, as "Apple" and "Apple Inc." do.
func sameButSpelling(a, b *pb.ConflictValue) bool {
	x, y := bare(a.GetValue().GetStringValue()), bare(b.GetValue().GetStringValue())
	if len(x) < len(y) {
		x, y = y, x
	}
	return y != "" && (strings.HasPrefix(x, y) || strings.HasSuffix(x, y))
}

func bare(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), "")) }

func plainValue(v *pb.ConflictValue) string {
	if s := v.GetValue().GetStringValue(); s != "" {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprint(v.GetValue().AsInterface())
}

// maxListed is how many records a sentence names.
const maxListed = 6

func listed(records []string) string {
	if len(records) > maxListed {
		return strings.Join(records[:maxListed], ", ") + fmt.Sprintf(" and %d more", len(records)-maxListed)
	}
	if len(records) < 2 {
		return strings.Join(records, "")
	}
	last := len(records) - 1
	return strings.Join(slices.Clone(records[:last]), ", ") + " and " + records[last]
}
