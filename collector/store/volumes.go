package store

import pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"

// Volume returns how much of an asset's system volume was free on each day.
func (t *Tx) Volume(assetID string) (*pb.VolumeRecord, error) {
	return read[pb.VolumeRecord](t, join(prefixVolume, assetID))
}

// PutVolume stores it.
func (t *Tx) PutVolume(r *pb.VolumeRecord) error { return t.put(join(prefixVolume, r.GetAssetId()), r) }

// DeleteVolume forgets it.
func (t *Tx) DeleteVolume(assetID string) error { return t.remove(join(prefixVolume, assetID)) }
