package memkv_test

import (
	"encoding/binary"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/kvtest"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
)

func TestConformance(t *testing.T) {
	kvtest.Run(t, func(*testing.T) kv.DB { return memkv.New() })
}

// BenchmarkSet sets ever more keys, each in its own update.
func BenchmarkSet(b *testing.B) {
	db := memkv.New()
	var key [8]byte
	for i := 0; b.Loop(); i++ {
		binary.BigEndian.PutUint64(key[:], uint64(i)*7919)
		if err := db.Update(b.Context(), func(tx kv.Tx) error { return tx.Set(key[:], key[:]) }); err != nil {
			b.Fatal(err)
		}
	}
}
