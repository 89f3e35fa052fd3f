package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Bounds of page_size.
const (
	defaultSoftwarePage = 1000
	maxSoftwarePage     = 10_000
)

// ListAssetSoftware answers with an asset's software by name, version and
// architecture.
func (s *Service) ListAssetSoftware(ctx context.Context, r *adminpb.ListAssetSoftwareRequest) (*adminpb.ListAssetSoftwareResponse, error) {
	limit, err := pageSize(r.GetPageSize(), defaultSoftwarePage, maxSoftwarePage)
	if err != nil {
		return nil, err
	}
	list := fmt.Sprintf("software of %s as of %v", r.GetId(), r.GetAsOf().AsTime().UnixNano())
	after, err := pageAfter(list, r.GetPageToken())
	if err != nil {
		return nil, err
	}
	var rows []softwareRow
	err = s.Store.View(ctx, func(tx *store.Tx) (err error) {
		rows, err = s.readSoftware(ctx, tx, r)
		return err
	})
	if err != nil {
		return nil, s.answer("read the software", err)
	}
	if err := order(rows); err != nil {
		return nil, s.answer("sort the software", err)
	}
	out := &adminpb.ListAssetSoftwareResponse{TotalSize: int32(len(rows))}
	first, found := slices.BinarySearchFunc(rows, after, func(r softwareRow, key string) int { return cmp.Compare(r.key, key) })
	if found {
		first++
	}
	bytes := 0
	for i, row := range rows[first:] {
		if i == limit || bytes > maxPageBytes {
			out.NextPageToken = nextPage(list, rows[first+i-1].key)
			break
		}
		bytes += proto.Size(row.row)
		out.Software = append(out.Software, row.row)
	}
	return out, nil
}

// softwareRow is a row with what it is sorted by.
type softwareRow struct {
	key string
	row *pb.Software
}

// readSoftware returns the rows of the source whose word on software counts.
func (s *Service) readSoftware(ctx context.Context, tx *store.Tx, r *adminpb.ListAssetSoftwareRequest) ([]softwareRow, error) {
	var a *pb.Asset
	var err error
	read := tx.Software
	if at := r.GetAsOf(); at != nil {
		a, err = s.fleet(ctx).asOf(tx, r.GetId(), at)
		read = func(ref store.Ref, fn func(*pb.Software) error) error { return tx.SoftwareAt(ref, at.AsTime(), fn) }
	} else {
		a, err = s.fleet(ctx).resolve(tx, r.GetId())
	}
	if err != nil {
		return nil, err
	}
	from := a.GetProvenance()["software"]
	if from == nil {
		return nil, nil
	}
	rows := make([]softwareRow, 0, a.GetSoftwareCount())
	err = read(store.Ref{Source: from.GetSource(), ID: from.GetSourceId()}, func(s *pb.Software) error {
		rows = append(rows, softwareRow{row: s})
		return ctx.Err()
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return rows, err
}

// maxSortText bounds what of name, version and architecture goes into a key,
// and so into a page token; rows that agree in it are ordered by their hash.
const maxSortText = 512

// order sorts rows and gives each a key of its own, that follows from the row
// and, among equal ones, its number.
func order(rows []softwareRow) error {
	for i, r := range rows {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(r.row)
		if err != nil {
			return fmt.Errorf("encode %q: %w", r.row.GetName(), err)
		}
		text := r.row.GetName() + "\x00" + r.row.GetVersion() + "\x00" + r.row.GetArchitecture() + "\x00"
		sum := sha256.Sum256(b)
		rows[i].key = text[:min(len(text), maxSortText)] + string(sum[:8])
	}
	slices.SortFunc(rows, func(a, b softwareRow) int { return cmp.Compare(a.key, b.key) })
	number, before := uint32(0), ""
	for i, r := range rows {
		number++
		if r.key != before {
			number, before = 0, r.key
		}
		rows[i].key += string(binary.BigEndian.AppendUint32(nil, number))
	}
	return nil
}
