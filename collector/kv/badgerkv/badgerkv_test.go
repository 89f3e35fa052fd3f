package badgerkv_test

import (
	"log/slog"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/badgerkv"
	"github.com/rollcall-itam/rollcall/collector/kv/kvtest"
)

func TestMain(m *testing.M) {
	if handled, code := badgerkv.VerifyMain(os.Args[1:]); handled {
		os.Exit(code)
	}
	if handled, code := crashChild(os.Args[1:]); handled {
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}

func TestConformance(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kv.DB { return open(t, t.TempDir()) })
}

func options(dir string) badgerkv.Options {
	return badgerkv.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler), MinFree: 64 << 20}
}

// open opens a store that the end of the test closes if the test does not.
func open(t testing.TB, dir string) *badgerkv.DB {
	t.Helper()
	db, err := badgerkv.Open(t.Context(), options(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
