package report

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Reported is what a collector holds of a device: what its agent reported last
// of each section, as it was sent.
type Reported struct {
	AgentID string `json:"agent_id"`
	// AssetID is the asset that the device is part of, empty where the collector
	// did not say.
	AssetID string `json:"asset_id,omitempty"`
	// Collector is its host and port.
	Collector string `json:"collector"`
	// At is when the last report was acknowledged.
	At       time.Time         `json:"at"`
	Sections []ReportedSection `json:"sections"`
	Problems []ReportedProblem `json:"problems,omitempty"`
}

// ReportedSection is one section.
type ReportedSection struct {
	Name   string `json:"name"`
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// At is when it was reported.
	At time.Time `json:"at"`
	// Payload is what was sent of it last, compressed; a section that failed
	// leaves the collector with what it had.
	Payload []byte `json:"payload,omitempty"`
}

// ReportedProblem is a fact that could not be learnt wholly.
type ReportedProblem struct {
	Section string `json:"section"`
	Fact    string `json:"fact"`
	Error   string `json:"error"`
}

// keepReported writes what a report that was acknowledged told. That it cannot
// be written harms nothing but that people cannot look at it.
func (a *Agent) keepReported(inv *Inventory, h *pb.ReportHeader, asset string) {
	if a.Folder.dir == "" {
		return
	}
	var r Reported
	if err := a.Folder.readLong(reportedFile, &r, maxReportedBytes); err != nil || r.AgentID != a.ID() || h.GetBaseGeneration() == 0 {
		r = Reported{AgentID: a.ID(), AssetID: r.AssetID}
	}
	if asset != "" {
		r.AssetID = asset
	}
	r.Collector, r.At, r.Problems = a.Dialer.Addr, a.Now().UTC(), nil
	for _, p := range h.GetProblems() {
		r.Problems = append(r.Problems, ReportedProblem{Section: p.GetSection(), Fact: p.GetFact(), Error: p.GetError()})
	}
	for _, s := range h.GetSections() {
		now := ReportedSection{Name: s.GetName(), State: s.GetState(), Reason: s.GetReason(), At: r.At, Payload: inv.section(s.GetName()).payload}
		at := slices.IndexFunc(r.Sections, func(old ReportedSection) bool { return old.Name == now.Name })
		switch {
		case at < 0:
			r.Sections = append(r.Sections, now)
			continue
		case now.Payload == nil:
			now.Payload = r.Sections[at].Payload
		}
		r.Sections[at] = now
	}
	if err := a.Folder.write(reportedFile, &r); err != nil {
		a.Log.Warn("what was reported cannot be kept", "error", err)
	}
}

// ReadReported reads what was reported from a state folder, without changing
// it. The error wraps fs.ErrNotExist where nothing was reported yet.
func ReadReported(dir string) (Reported, error) {
	var r Reported
	f := Folder{dir: filepath.Clean(dir)}
	if err := f.readLong(reportedFile, &r, maxReportedBytes); err != nil {
		return Reported{}, fmt.Errorf("read what was reported: %w", err)
	}
	return r, nil
}

// Observation unpacks what was reported.
func (r Reported) Observation() (*pb.Observation, error) {
	p, err := NewPacker(1)
	if err != nil {
		return nil, err
	}
	d := new(pb.Device)
	o := &pb.Observation{Source: "agent", SourceId: r.AgentID, ObservedAt: timestamppb.New(r.At), Subject: &pb.Observation_Device{Device: d}}
	for _, s := range r.Sections {
		o.Sections = append(o.Sections, &pb.SectionStatus{Name: s.Name, State: s.State, Reason: s.Reason})
		if len(s.Payload) == 0 {
			continue
		}
		encoded, err := p.dec.DecodeAll(s.Payload, nil)
		if err != nil {
			return nil, fmt.Errorf("unpack section %s: %w", s.Name, err)
		}
		one := new(pb.Device)
		if err := proto.Unmarshal(encoded, one); err != nil {
			return nil, fmt.Errorf("decode section %s: %w", s.Name, err)
		}
		if !section.Known(s.Name) {
			return nil, fmt.Errorf("section %.40q is unknown: %w", s.Name, errors.ErrUnsupported)
		}
		section.Replace(d, one, s.Name)
	}
	for _, pr := range r.Problems {
		o.Problems = append(o.Problems, &pb.Problem{Section: pr.Section, Fact: pr.Fact, Error: pr.Error})
	}
	return o, nil
}
