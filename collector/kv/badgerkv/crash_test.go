package badgerkv_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/badgerkv"
)

const crashCommand = "write-until-killed"

// crashChild is the child of TestKill: it writes from several goroutines and
// prints each key once its update is acknowledged.
func crashChild(args []string) (handled bool, exitCode int) {
	if len(args) != 3 || args[0] != crashCommand {
		return false, 0
	}
	db, err := badgerkv.Open(context.Background(), options(args[1]))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return true, 1
	}
	var out sync.Mutex
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("%s-%d-%d", args[2], w, i)
				err := db.Update(context.Background(), func(tx kv.Tx) error {
					return tx.Set([]byte(key), []byte(strings.Repeat(key, 50)))
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				out.Lock()
				fmt.Println(key)
				out.Unlock()
			}
		})
	}
	wg.Wait()
	return true, 1
}

// TestKill kills a writing process at random and expects every acknowledged key.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acked := map[string]bool{}
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		killAfter(t, dir, fmt.Sprint(round), 50+rand.IntN(800), acked)
		db := open(t, dir)
		missing := 0
		err := db.View(t.Context(), func(tx kv.Tx) error {
			for key := range acked {
				if v, err := tx.Get([]byte(key)); err != nil || string(v) != strings.Repeat(key, 50) {
					missing++
				}
			}
			return nil
		})
		if err != nil || missing > 0 {
			t.Fatalf("round %d: %d of %d acknowledged keys are missing (error %v)", round, missing, len(acked), err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d acknowledged keys survived %d kills", len(acked), rounds)
}

// killAfter kills the child once it has acknowledged some keys; those that are
// still in the pipe were acknowledged too.
func killAfter(t *testing.T, dir, name string, acks int, acked map[string]bool) {
	t.Helper()
	child := exec.Command(os.Args[0], crashCommand, dir, name)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	seen := 0
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // a torn last line was not acknowledged
		}
		acked[strings.TrimSpace(line)] = true
		if seen++; seen == acks {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait()
	if seen < acks {
		t.Fatalf("the child ended by itself after %d keys", seen)
	}
}
