package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/rollcall-itam/rollcall/collector/history"
	"github.com/rollcall-itam/rollcall/collector/merge"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Alteration is an asset that would not be what it is if it were made anew.
type Alteration struct {
	Asset  *pb.Asset
	Fields []AlteredField
	// Credit is set where values stay as they are and come from other sources.
	Credit bool
}

// AlteredField is one field of it; the sources are as source/source_id, empty
// for none.
type AlteredField struct {
	Field      string
	Old, New   *structpb.Value
	From, Into string
}

// Preview calls fn with each asset that its sources would make another one by
// the table that is set, in the order of their ids, and returns how many assets
// it looked at. It writes nothing.
func (c *Catalog) Preview(ctx context.Context, fn func(Alteration) error) (looked int, err error) {
	err = c.eachBatch(ctx, func(ids []string) error {
		looked += len(ids)
		return c.store.View(ctx, func(tx *store.Tx) error {
			for _, id := range ids {
				before, after, _, err := newFiling(c, tx, store.Ref{}).anew(id)
				if errors.Is(err, store.ErrNotFound) {
					continue
				}
				if err != nil {
					return err
				}
				alteration, err := alteration(before, after)
				if err != nil {
					return err
				}
				if len(alteration.Fields) == 0 && !alteration.Credit {
					continue
				}
				if err := fn(alteration); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	})
	if err != nil {
		return looked, fmt.Errorf("preview the assets: %w", err)
	}
	return looked, nil
}

func alteration(before, after *pb.Asset) (Alteration, error) {
	out := Alteration{Asset: before}
	changes, err := history.Diff(before, after)
	if err != nil || len(changes) == 0 {
		return out, err
	}
	merge.Expand(before)
	merge.Expand(after)
	// The rows of software are another source's, be they as many as before.
	if from, into := credited(before, "software"), credited(after, "software"); from != into {
		changes = slices.DeleteFunc(changes, func(f *storagepb.FieldChange) bool { return f.GetField() == "software_count" })
		out.Fields = append(out.Fields, AlteredField{Field: Software, From: from, Into: into,
			Old: structpb.NewNumberValue(float64(before.GetSoftwareCount())), New: structpb.NewNumberValue(float64(after.GetSoftwareCount()))})
	}
	for _, change := range changes {
		path := change.GetField()
		if history.Bookkeeping(path) {
			out.Credit = true
			continue
		}
		f := AlteredField{Field: path, From: credited(before, path), Into: credited(after, path)}
		if f.Old, err = history.Value(path, change.GetOld()); err != nil {
			return out, err
		}
		if f.New, err = history.Value(path, change.GetNew()); err != nil {
			return out, err
		}
		out.Fields = append(out.Fields, f)
	}
	return out, nil
}

func credited(a *pb.Asset, path string) string {
	p := a.GetProvenance()[path]
	if p == nil {
		return ""
	}
	return store.Ref{Source: p.GetSource(), ID: p.GetSourceId()}.String()
}

// Sources returns the names of the declared sources.
func (c *Catalog) Sources(ctx context.Context) ([]string, error) {
	var names []string
	err := c.store.View(ctx, func(tx *store.Tx) error {
		names = nil
		return tx.ScanSources(func(s *storagepb.SourceRecord) error {
			names = append(names, s.GetId())
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list the sources: %w", err)
	}
	return names, nil
}
