package badgerkv_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/badgerkv"
)

// delta is what the store writes for one delta report: an observation, an
// asset and a few small keys. Half of each value is compressible.
func delta(rng *rand.Rand, device int) [][2][]byte {
	value := func(n int) []byte {
		b := make([]byte, n/2, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return append(b, bytes.Repeat([]byte("inventory "), n/20)...)
	}
	key := func(kind string) []byte { return fmt.Appendf(nil, "%s/%08d", kind, device) }
	return [][2][]byte{
		{key("observation"), value(2000)}, {key("asset"), value(1000)},
		{key("index"), value(40)}, {key("log"), value(40)}, {key("cursor"), value(40)},
	}
}

const benchDevices = 100_000

// BenchmarkCommit compares a synced Badger transaction for each update with
// group commits, side by side.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 128} {
		b.Run(fmt.Sprintf("single/%d", writers), func(b *testing.B) {
			db, err := badger.Open(badger.DefaultOptions(b.TempDir()).WithLogger(nil).WithSyncWrites(true).WithDetectConflicts(false))
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			benchWriters(b, writers, func(rng *rand.Rand, device int) error {
				return db.Update(func(tx *badger.Txn) error {
					for _, p := range delta(rng, device) {
						if _, err := tx.Get(p[0]); err != nil && err != badger.ErrKeyNotFound {
							return err
						}
						if err := tx.Set(p[0], p[1]); err != nil {
							return err
						}
					}
					return nil
				})
			})
		})
	}
	for _, writers := range []int{1, 16, 128, 512} {
		b.Run(fmt.Sprintf("group/%d", writers), func(b *testing.B) {
			db := open(b, b.TempDir())
			defer db.Close()
			benchWriters(b, writers, func(rng *rand.Rand, device int) error {
				pairs := delta(rng, device)
				return db.Update(b.Context(), func(tx kv.Tx) error {
					for _, p := range pairs {
						if _, err := tx.Get(p[0]); err != nil && err != kv.ErrNotFound {
							return err
						}
						if err := tx.Set(p[0], p[1]); err != nil {
							return err
						}
					}
					return nil
				})
			})
		})
	}
}

func benchWriters(b *testing.B, writers int, update func(*rand.Rand, int) error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for w := range writers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			for next.Add(1) <= int64(b.N) {
				if err := update(rng, rng.IntN(benchDevices)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
	if kib, ok := residentKiB(); ok {
		b.ReportMetric(float64(kib)/1024, "RSS-MiB")
	}
}

// residentKiB returns the process's anonymous resident memory where /proc tells it.
func residentKiB() (int, bool) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	_, rest, found := bytes.Cut(status, []byte("RssAnon:"))
	if fields := bytes.Fields(rest); found && len(fields) > 0 {
		n, err := strconv.Atoi(string(fields[0]))
		return n, err == nil
	}
	return 0, false
}

// BenchmarkOpen opens a store of 100,000 keys of 2 KB, verification included.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	db := open(b, dir)
	rng := rand.New(rand.NewPCG(1, 1))
	const batch = 500
	for first := 0; first < benchDevices; first += batch {
		err := db.Update(b.Context(), func(tx kv.Tx) error {
			for device := first; device < first+batch; device++ {
				p := delta(rng, device)[0]
				if err := tx.Set(p[0], p[1]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if err := badgerkv.Verify(dir); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open and close", func(b *testing.B) {
		for b.Loop() {
			if err := open(b, dir).Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
