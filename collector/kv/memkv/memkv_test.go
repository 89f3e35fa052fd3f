package memkv

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

func BenchmarkSet(b *testing.B) {
	db := New()
	var k [8]byte
	i := 0
	for b.Loop() {
		i++
		binary.BigEndian.PutUint64(k[:], uint64(i*7919))
		if err := db.Update(context.Background(), func(tx kv.Tx) error { return tx.Set(k[:], k[:]) }); err != nil {
			b.Fatal(err)
		}
	}
}

func TestOrder(t *testing.T) {
	db := New()
	err := db.Update(t.Context(), func(tx kv.Tx) error {
		for i := range 1000 {
			if err := tx.Set(fmt.Appendf(nil, "%03d", i*7%1000), nil); err != nil {
				return err
			}
		}
		n := 0
		return tx.Scan(nil, nil, func(k, v []byte) error {
			if string(k) != fmt.Sprintf("%03d", n) {
				t.Errorf("key %d is %q", n, k)
			}
			n++
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}
