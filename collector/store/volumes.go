package store

import (
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Volume returns how much of an asset's system volume was free on each day.
func (t *Tx) Volume(assetID string) (*storagepb.VolumeRecord, error) {
	return read[storagepb.VolumeRecord](t, join(prefixVolume, assetID))
}

// PutVolume stores it.
func (t *Tx) PutVolume(r *storagepb.VolumeRecord) error {
	return t.put(join(prefixVolume, r.GetAssetId()), r)
}

// DeleteVolume forgets it.
func (t *Tx) DeleteVolume(assetID string) error { return t.remove(join(prefixVolume, assetID)) }
