package store

import (
	"time"

	"google.golang.org/protobuf/proto"

	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// PutFinding stores that an asset fails a rule, or no longer does.
func (t *Tx) PutFinding(f *storagepb.FindingRecord) error {
	return t.put(join(prefixFinding, f.GetAssetId(), f.GetRule()), f)
}

// ScanFindings calls fn with each finding of the assets whose id is greater than
// after, in the order of their ids.
func (t *Tx) ScanFindings(after string, fn func(*storagepb.FindingRecord) error) error {
	var start []byte
	if after != "" {
		start = append(join(prefixFinding, after), 1)
	}
	return scan(t, prefixFinding, start, func(_ []byte, f *storagepb.FindingRecord) error { return fn(f) })
}

// ScanFindingsOf calls fn with each finding of one asset.
func (t *Tx) ScanFindingsOf(assetID string, fn func(*storagepb.FindingRecord) error) error {
	return scan(t, string(within(prefixFinding, assetID)), nil, func(_ []byte, f *storagepb.FindingRecord) error { return fn(f) })
}

// PruneFindings deletes findings that were resolved before a time, looking at no
// more than limit from those of the asset start on. It returns the asset to go
// on with, empty once all were looked at.
func (t *Tx) PruneFindings(start string, before time.Time, limit int) (next string, err error) {
	var old []*storagepb.FindingRecord
	looked := 0
	err = t.ScanFindings(start, func(f *storagepb.FindingRecord) error {
		if looked++; looked > limit && f.GetAssetId() != next {
			return Stop
		}
		next = f.GetAssetId()
		if f.GetResolvedAt() != nil && f.GetResolvedAt().AsTime().Before(before) {
			old = append(old, proto.CloneOf(f))
		}
		return nil
	})
	if looked <= limit {
		next = ""
	}
	for _, f := range old {
		if err == nil {
			err = t.remove(join(prefixFinding, f.GetAssetId(), f.GetRule()))
		}
	}
	return next, err
}
