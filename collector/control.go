package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcall-itam/rollcall/collector/backup"
	"github.com/rollcall-itam/rollcall/collector/diagnose"
	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/pkg/buildinfo"
)

// The control socket lies in the data folder, in a folder of its own that only
// the collector's user may enter: who reaches it could read the keys beside it
// as well, so it asks for no token, and nothing of it is open to the network.
const (
	controlFolder = "control"
	controlSocket = "socket"
	// trailerError carries what went wrong after an answer had begun.
	trailerError = "Rollcall-Error"
	// maxHave bounds the list of chunks that a caller holds, in bytes.
	maxHave = 256 << 20
	// stall is how long a reader may take nothing before it is given up: a
	// snapshot that is held keeps the store from tidying up.
	stall = time.Minute
)

func controlPath(dataDir string) string { return filepath.Join(dataDir, controlFolder, controlSocket) }

// control answers commands that run beside the collector.
type control struct {
	core     *core
	settings settings
	log      *slog.Logger
	server   *http.Server
	listener net.Listener
	done     chan struct{}
	// one heavy job runs at a time.
	busy sync.Mutex
	// began is when the collector did.
	began   time.Time
	gather  prometheus.Gatherer
	kept    *diagnose.Log
	masker  *diagnose.Masker
	profile diagnose.Profiler
}

// openControl listens on the control socket. The store is open, so a socket
// that is there already belongs to a collector that died.
func openControl(c *core, s settings, log *slog.Logger, p parts) (*control, error) {
	path := controlPath(s.DataDir)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the control socket: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove an old control socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on the control socket: %w", err)
	}
	k := &control{core: c, settings: s, log: log, listener: l, done: make(chan struct{}), began: time.Now(), gather: p.metrics.Registry, kept: p.kept,
		masker: newMasker()}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /backup", k.heavy("backup", k.backup))
	mux.HandleFunc("POST /check", k.heavy("check", k.check))
	mux.HandleFunc("POST /compact", k.heavy("compact", k.compact))
	k.diagnose(mux)
	mux.HandleFunc("POST /advisories", func(http.ResponseWriter, *http.Request) { k.core.refresh.Look() })
	k.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	go func() {
		defer close(k.done)
		_ = k.server.Serve(l) // it ends with close
	}()
	return k, nil
}

// close cuts off what is under way.
func (k *control) close() error {
	if k == nil {
		return nil
	}
	err := k.server.Close()
	<-k.done
	k.busy.Lock() // until the job has let go of the store
	defer k.busy.Unlock()
	return err
}

// heavy runs one job at a time. What went wrong is told in a trailer, since the
// answer may have begun.
func (k *control) heavy(name string, job func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !k.busy.TryLock() {
			http.Error(w, "the collector is busy with another backup, check or compaction: try again when that has ended", http.StatusConflict)
			return
		}
		defer k.busy.Unlock()
		w.Header().Set("Trailer", trailerError)
		began := time.Now()
		if err := job(w, r); err != nil {
			w.Header().Set(trailerError, strings.ReplaceAll(err.Error(), "\n", " "))
			k.log.Warn("command through the control socket failed", "command", name, "error", err)
			return
		}
		k.log.Info("command through the control socket done", "command", name, "took", time.Since(began).Round(time.Millisecond).String())
	}
}

func (k *control) backup(w http.ResponseWriter, r *http.Request) error {
	have, err := readHave(r.Body)
	if err != nil {
		return err
	}
	db, ok := k.core.db.(kv.Marked)
	if !ok {
		return errors.New("a store in memory is not backed up: it forgets everything at the end anyway")
	}
	return writeBackup(r.Context(), &patient{w: w, control: http.NewResponseController(w)}, k.settings.DataDir, db, have)
}

// patient gives each write its time.
type patient struct {
	w       io.Writer
	control *http.ResponseController
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	return p.w.Write(b)
}

// writeBackup writes the state of a store, with the files beside it, to w.
func writeBackup(ctx context.Context, w io.Writer, dataDir string, db kv.Marked, have map[backup.ID]bool) error {
	files, err := keyFiles(dataDir)
	if err != nil {
		return err
	}
	_, err = backup.Write(ctx, w, backup.Source{DB: db, Files: files, Program: buildinfo.Version(), At: time.Now(), Have: have})
	return err
}

// keyFiles returns the files beside the store that belong to it: those of the
// authorities, without which no agent could come back, and the first token,
// which an administrator may have removed.
func keyFiles(dataDir string) ([]backup.File, error) {
	names := []string{"ca.pem", "admin-token"}
	entries, err := os.ReadDir(filepath.Join(dataDir, "ca"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the authorities' keys: %w", err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".pem") {
			names = append(names, "ca/"+e.Name())
		}
	}
	var files []backup.File
	for _, name := range names {
		path := filepath.Join(dataDir, filepath.FromSlash(name))
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read what belongs to the store: %w", err)
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("read what belongs to the store: %w", err)
		}
		files = append(files, backup.File{Name: name, Mode: info.Mode().Perm(), Content: content})
	}
	return files, nil
}

func readHave(r io.Reader) (map[backup.ID]bool, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxHave+1))
	if err != nil {
		return nil, fmt.Errorf("read the list of chunks: %w", err)
	}
	if len(b) > maxHave || len(b)%sha256.Size != 0 {
		return nil, fmt.Errorf("the list of chunks has %d bytes", len(b))
	}
	have := make(map[backup.ID]bool, len(b)/sha256.Size)
	for ; len(b) > 0; b = b[sha256.Size:] {
		have[backup.ID(b[:sha256.Size])] = true
	}
	return have, nil
}

// errNotRunning is returned where no collector works on the data folder.
var errNotRunning = errors.New("the collector does not run")

// askControl calls the collector that works on a data folder. The answer's end
// tells whether it is whole: see answered.
func askControl(ctx context.Context, dataDir, command string, body io.Reader) (*http.Response, error) {
	path := controlPath(dataDir)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://collector/"+command, body)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, errNotRunning
	}
	if err != nil {
		return nil, fmt.Errorf("ask the collector that runs on %s: %w", dataDir, err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // the status says enough
		return nil, fmt.Errorf("the collector that runs on %s answers: %s", dataDir, strings.TrimSpace(string(text)))
	}
	return resp, nil
}

// answered returns what went wrong in the collector, once the body was read.
func answered(resp *http.Response) error {
	if text := resp.Trailer.Get(trailerError); text != "" {
		return fmt.Errorf("the collector says: %s", text)
	}
	return nil
}
