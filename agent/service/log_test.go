package service

import (
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheJournalGetsLevelsAndNoTimes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("systemd is on Linux only")
	}
	var out strings.Builder
	h, err := LogHandler(&out, func(name string) string { return map[string]string{"JOURNAL_STREAM": "8:1234"}[name] }, slog.LevelInfo)
	if err != nil || h == nil {
		t.Fatalf("%v, %v", h, err)
	}
	log := slog.New(h)
	log.Debug("hidden")
	log.Info("agent started", "version", "1.2.3")
	log.With("asset_id", "a1").WithGroup("last").Warn("put off", "time", "later")
	log.Error("not reported", "error", errors.New("line one\nline two"))
	want := `<6>msg="agent started" version=1.2.3
<4>msg="put off" asset_id=a1 last.time=later
<3>msg="not reported" error="line one\nline two"
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("the journal (-want +got):\n%s", diff)
	}
}

func TestWithoutAJournalThereIsNoLogOfTheSystem(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems have one always")
	}
	if h, err := LogHandler(&strings.Builder{}, func(string) string { return "" }, slog.LevelInfo); h != nil || err != nil {
		t.Errorf("%v, %v", h, err)
	}
}
