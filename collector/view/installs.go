package view

import (
	"context"

	"github.com/RoaringBitmap/roaring/v2"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Installs is which assets of each system have which titles, at one moment.
type Installs struct {
	snapshot *Snapshot
	// systems has the rows of each system.
	systems map[string]*roaring.Bitmap
}

// Installs sorts the assets of the part by what system they have, which is told by
// systemOf from the id, family, name and version of their operating systems; empty
// leaves them out.
func (p Part) Installs(ctx context.Context, systemOf func(*pb.Os) string) (*Installs, error) {
	s, err := p.fresh(ctx)
	if err != nil {
		return nil, err
	}
	fields := [4]*field{s.field("os.id"), s.field("os.family"), s.field("os.name"), s.field("os.version")}
	known := make(map[[4]uint32]*roaring.Bitmap)
	out := &Installs{snapshot: s, systems: make(map[string]*roaring.Bitmap)}
	s.all().each(func(row uint32) bool {
		var codes [4]uint32
		for i, f := range fields {
			codes[i] = f.code(row)
		}
		rows, ok := known[codes]
		if !ok {
			system := systemOf(&pb.Os{Id: fields[0].text(codes[0]), Family: fields[1].text(codes[1]), Name: fields[2].text(codes[2]), Version: fields[3].text(codes[3])})
			if system != "" {
				if rows = out.systems[system]; rows == nil {
					rows = roaring.New()
					out.systems[system] = rows
				}
			}
			known[codes] = rows
		}
		if rows != nil {
			rows.Add(row)
		}
		return true
	})
	return out, ctx.Err()
}

// Unchanged tells whether the fleet, all of it, is as it was then.
func (v *View) Unchanged(in *Installs) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return in != nil && len(v.stale) == 0 && v.last != nil && v.last == in.snapshot
}

// Systems returns how many assets each system has.
func (in *Installs) Systems() map[string]int {
	out := make(map[string]int, len(in.systems))
	for system, rows := range in.systems {
		out[system] = int(rows.GetCardinality())
	}
	return out
}

// Each calls fn with every title that assets of a system have, and these. fn must
// modify neither.
func (in *Installs) Each(ctx context.Context, wants func(system, kind string) bool, fn func(system string, title *pb.Software, rows *roaring.Bitmap) error) error {
	for number, title := range in.snapshot.titles {
		if number%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p := in.snapshot.postings.get(uint32(number))
		if p == nil || p.rows.IsEmpty() {
			continue
		}
		for system, rows := range in.systems {
			if !wants(system, title.GetKind()) {
				continue
			}
			both := roaring.And(p.rows, rows)
			if both.IsEmpty() {
				continue
			}
			if err := fn(system, title, both); err != nil {
				return err
			}
		}
	}
	return nil
}

// IDs returns the ids of the assets of some rows.
func (in *Installs) IDs(rows *roaring.Bitmap) []string {
	out := make([]string, 0, rows.GetCardinality())
	for it := rows.Iterator(); it.HasNext(); {
		out = append(out, in.snapshot.ids.get(it.Next()))
	}
	return out
}
