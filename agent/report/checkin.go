package report

import (
	"bytes"
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Answer is what came of an exchange.
type Answer struct {
	// NextCheckIn is when the collector wants to hear again; 0 where it does
	// not say.
	NextCheckIn time.Duration
	// CheckInInterval and InventoryInterval are the collector's settings; 0
	// where it has none.
	CheckInInterval, InventoryInterval time.Duration
	// UpdateVersion is the version of the agent that the collector offers; empty
	// where there is none.
	UpdateVersion string
	// AssetID is the asset that a report became part of; empty where nothing
	// was reported or the collector does not say.
	AssetID string
	// Sections are the names of those that were reported.
	Sections []string
	// Bytes is the size of their payloads.
	Bytes int
	// Delta tells that software was sent as a difference.
	Delta bool
}

// checkIn tells the digests and reports what is wanted. The state of a section
// is reported when it changed, wanted or not.
func (a *Agent) checkIn(ctx context.Context, c Client, inv *Inventory) (Answer, error) {
	req := &pb.CheckInRequest{
		Sections: inv.Digests(), Generation: a.status.Generation, SentAt: timestamppb.New(a.Now().Truncate(time.Second)),
		AgentVersion: a.Version, BootId: a.Machine.BootID,
	}
	if a.Updates {
		req.UpdatePlatform = a.Platform
	}
	resp, err := c.CheckIn(ctx, req)
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{NextCheckIn: resp.GetNextCheckIn().AsDuration(), UpdateVersion: resp.GetUpdateVersion(),
		CheckInInterval:   resp.GetSettings().GetCheckInInterval().AsDuration(),
		InventoryInterval: resp.GetSettings().GetInventoryInterval().AsDuration()}
	if resp.GetGeneration() != a.status.Generation || resp.GetGeneration() == 0 {
		err = a.reportAll(ctx, c, inv, &answer)
		return answer, err
	}
	names := slices.DeleteFunc(slices.Clone(resp.GetWanted()), func(n string) bool { return !section.Known(n) })
	for _, s := range inv.sections {
		if h, was := s.header, a.status.Stated[s.header.GetName()]; was.State != h.GetState() || was.Reason != h.GetReason() {
			names = append(names, h.GetName())
		}
	}
	if len(names) == 0 && bytes.Equal(a.status.Problems, inv.problemsSum) {
		return answer, nil
	}
	e := inv.Envelope(names)
	if slices.Contains(names, section.Software) {
		e = a.withDelta(inv, e, &answer)
	}
	sent, err := a.send(ctx, c, inv, e.For(a.status.Generation, a.Version, a.Machine.BootID), &answer)
	if err != nil || sent {
		return answer, err
	}
	err = a.reportAll(ctx, c, inv, &answer)
	return answer, err
}

// reportAll starts a new baseline with every section.
func (a *Agent) reportAll(ctx context.Context, c Client, inv *Inventory, answer *Answer) error {
	answer.Delta = false
	sent, err := a.send(ctx, c, inv, inv.Full().For(0, a.Version, a.Machine.BootID), answer)
	if err == nil && !sent {
		err = ErrStillMismatched
	}
	return err
}

// withDelta replaces the software section of an envelope by its difference
// from what the collector holds, where that is known and smaller.
func (a *Agent) withDelta(inv *Inventory, e *Envelope, answer *Answer) *Envelope {
	held := a.status.Stated[section.Software].Digest
	if len(held) == 0 || !bytes.Equal(held, a.acknowledged.header.GetDigest()) {
		return e
	}
	d, err := a.Packer.delta(a.acknowledged, inv.section(section.Software))
	if err != nil {
		return e
	}
	answer.Delta = true
	return e.replacing(inv, d)
}

// send hands in an envelope and remembers what was acknowledged. It returns
// false where the collector asks for all sections instead.
func (a *Agent) send(ctx context.Context, c Client, inv *Inventory, e *Envelope, answer *Answer) (bool, error) {
	e.Header.SentAt = timestamppb.New(a.Now())
	resp, err := c.Report(ctx, e)
	if err != nil || resp.GetSendAll() {
		return false, err
	}
	if d := resp.GetNextCheckIn().AsDuration(); d > 0 {
		answer.NextCheckIn = d
	}
	answer.AssetID, answer.Bytes = resp.GetAssetId(), e.Size()
	if e.Header.GetBaseGeneration() == 0 || a.status.Stated == nil {
		a.status.Stated = map[string]stated{}
	}
	for _, h := range e.Header.GetSections() {
		now := stated{State: h.GetState(), Reason: h.GetReason(), Digest: h.GetDigest()}
		if len(now.Digest) == 0 {
			now.Digest = a.status.Stated[h.GetName()].Digest
		} else if h.GetName() == section.Software {
			a.acknowledged = inv.section(section.Software)
		}
		a.status.Stated[h.GetName()] = now
		answer.Sections = append(answer.Sections, h.GetName())
	}
	a.status.Generation, a.status.Problems, a.status.LastReport = resp.GetGeneration(), inv.problemsSum, a.Now().UTC()
	a.keepReported(inv, e.Header, resp.GetAssetId())
	return true, nil
}
