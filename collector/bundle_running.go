package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/diagnose"
	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/pkg/buildinfo"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// newMasker returns a masker whose replacements nobody can undo.
func newMasker() *diagnose.Masker {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails, by its documentation
	return diagnose.NewMasker(key)
}

// diagnose adds what tells how the collector fares. Each is asked for by itself,
// so that one that hangs keeps nobody from the others.
func (k *control) diagnose(mux *http.ServeMux) {
	for name, write := range map[string]func(context.Context, io.Writer) error{
		"running": k.tellRunning, "configuration": k.tellConfiguration, "goroutines": k.tellGoroutines,
		"records": k.tellRecords, "fleet": k.tellFleet, "check": k.tellCheck,
	} {
		mux.HandleFunc("POST /support/"+name, k.answer("support "+name, func(w http.ResponseWriter, r *http.Request) error { return write(r.Context(), w) }))
	}
	// What cannot be counted keeps nothing else away.
	mux.Handle("POST /support/metrics", promhttp.HandlerFor(k.gather, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, DisableCompression: true}))
	mux.HandleFunc("POST /profile", k.answer("profile", k.takeProfile))
	mux.HandleFunc("POST /log", k.answer("log level", k.logLevel))
	mux.HandleFunc("POST /log/last", k.answer("log last", k.lastLines))
}

// answer is heavy without the turn: what went wrong is told in a trailer.
func (k *control) answer(name string, job func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", trailerError)
		if err := job(w, r); err != nil {
			w.Header().Set(trailerError, strings.ReplaceAll(err.Error(), "\n", " "))
			k.log.Warn("command through the control socket failed", "command", name, "error", err)
			return
		}
		k.log.Debug("command through the control socket done", "command", name)
	}
}

// runningState is how the process fares.
type runningState struct {
	Version         string    `json:"version"`
	Go              string    `json:"go"`
	Began           time.Time `json:"began"`
	Uptime          string    `json:"uptime"`
	Pid             int       `json:"pid"`
	LogLevel        string    `json:"log_level"`
	UsualLogLevel   string    `json:"usual_log_level"`
	Goroutines      int       `json:"goroutines"`
	Processors      int       `json:"processors"`
	HeapBytes       uint64    `json:"heap_bytes"`
	HeapObjects     uint64    `json:"heap_objects"`
	FromSystemBytes uint64    `json:"from_system_bytes"`
	// MemoryLimitBytes is that of the Go runtime.
	MemoryLimitBytes int64  `json:"memory_limit_bytes"`
	Collections      uint32 `json:"collections"`
	Assets           int    `json:"assets"`
}

func (k *control) tellRunning(_ context.Context, w io.Writer) error {
	now, usual := k.kept.Level()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return indented(w, runningState{Version: buildinfo.Version(), Go: runtime.Version(), Began: k.began, Uptime: time.Since(k.began).Round(time.Second).String(),
		Pid: os.Getpid(), LogLevel: now.String(), UsualLogLevel: usual.String(), Goroutines: runtime.NumGoroutine(), Processors: runtime.GOMAXPROCS(0),
		HeapBytes: m.HeapAlloc, HeapObjects: m.HeapObjects, FromSystemBytes: m.Sys, MemoryLimitBytes: debug.SetMemoryLimit(-1), Collections: m.NumGC, Assets: k.core.view.Len()})
}

func indented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func (k *control) tellConfiguration(_ context.Context, w io.Writer) error {
	b, err := k.settings.shown()
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

func (k *control) tellGoroutines(_ context.Context, w io.Writer) error {
	return diagnose.WriteGoroutines(w)
}

func (k *control) tellRecords(ctx context.Context, w io.Writer) error {
	return tellRecords(ctx, k.core.db, w)
}

// tellRecords counts what a store holds.
func tellRecords(ctx context.Context, db kv.DB, w io.Writer) error {
	s, err := store.Measure(ctx, db)
	return errors.Join(indented(w, s), err)
}

func (k *control) tellCheck(ctx context.Context, w io.Writer) error {
	if !k.busy.TryLock() {
		return errors.New("a backup, check or compaction is under way: the store was not checked")
	}
	defer k.busy.Unlock()
	summary := newCheckSummary()
	_, err := k.core.catalog.Verify(ctx, summary.report)
	return errors.Join(summary.write(w, k.masker), err)
}

// maxWhats bounds the different problems that a summary of a check names.
const maxWhats = 200

// checkSummary counts problems without naming the records that have them.
type checkSummary struct {
	lost, derived int
	whats         map[store.Problem]int
}

func newCheckSummary() *checkSummary { return &checkSummary{whats: make(map[store.Problem]int)} }

func (s *checkSummary) report(p store.Problem) {
	if p.Derived {
		s.derived++
	} else {
		s.lost++
	}
	p.Record = ""
	if _, ok := s.whats[p]; ok || len(s.whats) < maxWhats {
		s.whats[p]++
	}
}

func (s *checkSummary) write(w io.Writer, m *diagnose.Masker) error {
	var lines []string
	for p, n := range s.whats {
		lines = append(lines, fmt.Sprintf("%8d %s: %s\n", n, p.Kind, m.Foreign(p.What)))
	}
	slices.Sort(lines)
	_, err := fmt.Fprintf(w, "%d records are damaged, %d can be made anew\n%s", s.lost, s.derived, strings.Join(lines, ""))
	return err
}

// tellFleet writes the parts that tell of devices' and people's records, masked
// by what the store knows of them.
func (k *control) tellFleet(ctx context.Context, w io.Writer) error {
	var lines, feeds, messages bytes.Buffer
	_, logErr := k.kept.WriteTo(&lines)
	subscriptions, err := k.core.notifier.List(ctx)
	if err = errors.Join(logErr, err, indented(&feeds, k.feedHealths(k.core.feeds.Statuses())), indented(&messages, k.subscriptionHealths(subscriptions))); err != nil {
		return err
	}
	texts := fleetTexts{logText: k.masker.Log(lines.String()), feedsText: feeds.String(), messagesText: messages.String()}
	texts.mask(ctx, k.core.store, k.masker)
	return json.NewEncoder(w).Encode(texts)
}

// feedHealth is how a feed fares, without the names of its records.
type feedHealth struct {
	feed.Status
	// Problems counts the problems of the pass by field and what they say.
	Problems map[string]int
}

func (k *control) feedHealths(all []feed.Status) []feedHealth {
	states := make([]feedHealth, len(all))
	for i, s := range all {
		h := feedHealth{Status: s, Problems: make(map[string]int)}
		for _, p := range s.Pass.Problems {
			h.Problems[k.masker.Foreign(p.Field+": "+p.Text)]++
		}
		for j, note := range s.Pass.Notes {
			h.Pass.Notes[j] = k.masker.Foreign(note)
		}
		h.Error, h.Pass.Problems = k.masker.Foreign(s.Error), nil
		states[i] = h
	}
	return states
}

// subscriptionHealth is how one subscription fares.
type subscriptionHealth struct {
	ID, Kind string
	Paused   bool
	Status   *adminpb.SubscriptionStatus
}

func (k *control) subscriptionHealths(all []*adminpb.Subscription) []subscriptionHealth {
	states := make([]subscriptionHealth, len(all))
	for i, s := range all {
		status := proto.CloneOf(s.GetStatus())
		status.Error, status.Problem = k.masker.Foreign(status.GetError()), k.masker.Foreign(status.GetProblem())
		states[i] = subscriptionHealth{ID: s.GetId(), Kind: s.GetReceiver().GetKind(), Paused: s.GetPaused(), Status: status}
	}
	return states
}
