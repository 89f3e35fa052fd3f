package api

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// idempotencyKey is the header by which a call that is repeated is known.
const idempotencyKey = "Idempotency-Key"

// Bounds of what is remembered of calls.
const (
	maxIdempotencyKey = 256
	maxRemembered     = 10_000
	// maxRememberedAnswer bounds an answer, in bytes; a longer one is not kept.
	maxRememberedAnswer = 16 << 10
	rememberFor         = 24 * time.Hour
)

// repeats answers a call that was made before with what it was answered then. It
// forgets when the collector ends.
type repeats struct {
	service *Service
	next    http.Handler
	of      *lru.Cache[[sha256.Size]byte, *remembered]
}

// remembered is a call that was made.
type remembered struct {
	// request is a hash of what was asked.
	request [sha256.Size]byte
	at      time.Time
	// done is closed once the rest is there.
	done   chan struct{}
	code   int
	header http.Header
	body   []byte
	kept   bool
}

func (s *Service) onlyOnce(next http.Handler) (*repeats, error) {
	of, err := lru.New[[sha256.Size]byte, *remembered](maxRemembered)
	if err != nil {
		return nil, fmt.Errorf("make the memory of calls: %w", err)
	}
	x := &repeats{service: s, next: next, of: of}
	s.forgetAnswers = x.forget
	return x, nil
}

// forget drops the answers that are kept: they may hold what was erased. Of a call
// that is repeated it is still known that it was made.
func (x *repeats) forget() {
	for _, name := range x.of.Keys() {
		held, ok := x.of.Peek(name)
		if !ok {
			continue
		}
		select {
		case <-held.done:
		default:
			continue // it is under way, and will be answered with what is now
		}
		if !held.kept || held.body == nil {
			continue
		}
		bare := &remembered{request: held.request, at: held.at, done: held.done, code: held.code, kept: true, header: http.Header{"Content-Type": {"application/json"}}, body: []byte("{}")}
		x.of.Add(name, bare)
	}
}

// ServeHTTP implements http.Handler.
func (x *repeats) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get(idempotencyKey)
	if key == "" || r.Method == http.MethodGet || r.Method == http.MethodHead {
		x.next.ServeHTTP(w, r)
		return
	}
	if len(key) > maxIdempotencyKey {
		writeError(w, status.Errorf(codes.InvalidArgument, "%s has %d bytes: at most %d", idempotencyKey, len(key), maxIdempotencyKey))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		writeError(w, err)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	// A token that was revoked meanwhile must not get its old answers.
	if _, err := x.service.enter(r.Context(), r.Header.Get("Authorization"), host(r.RemoteAddr), anybody); err != nil {
		writeError(w, err)
		return
	}
	now := x.service.Now()
	fresh := &remembered{request: sha256.Sum256(fmt.Appendf(nil, "%s %s\n%s", r.Method, r.URL.RequestURI(), body)), at: now, done: make(chan struct{})}
	name := sha256.Sum256(fmt.Appendf(nil, "%q %q", r.Header.Get("Authorization"), key))
	held, found, _ := x.of.PeekOrAdd(name, fresh)
	if found && now.Sub(held.at) > rememberFor {
		x.of.Add(name, fresh)
		found = false
	}
	if found {
		x.again(w, r, held, fresh.request)
		return
	}
	x.once(w, r, name, fresh)
}

// anybody is whoever has a token.
var anybody = grant{reach: nothing, least: viewer, also: serviceDesk}

// once makes the call and remembers how it was answered. One that failed for a
// reason that may pass is forgotten, so that it can be made again.
func (x *repeats) once(w http.ResponseWriter, r *http.Request, name [sha256.Size]byte, fresh *remembered) {
	record := &recorder{ResponseWriter: w, code: http.StatusOK}
	defer func() {
		fresh.code, fresh.header, fresh.body = record.code, w.Header().Clone(), record.body
		fresh.kept = record.whole() && record.code < http.StatusInternalServerError && record.code != http.StatusTooManyRequests
		if !fresh.kept {
			x.of.Remove(name)
		}
		close(fresh.done)
	}()
	x.next.ServeHTTP(record, r)
}

// again answers as before.
func (x *repeats) again(w http.ResponseWriter, r *http.Request, held *remembered, request [sha256.Size]byte) {
	if held.request != request {
		writeStatus(w, http.StatusUnprocessableEntity, status.Newf(codes.InvalidArgument, "%s was used for another call: take a new one", idempotencyKey))
		return
	}
	select {
	case <-held.done:
	case <-r.Context().Done():
		return
	}
	if !held.kept {
		writeError(w, later(codes.Unavailable, "the call that this one repeats did not succeed: repeat it", time.Second))
		return
	}
	for k, v := range held.header {
		w.Header()[k] = v
	}
	w.Header().Set("Idempotent-Replayed", "true")
	w.WriteHeader(held.code)
	_, _ = w.Write(held.body) // whoever asked may be gone
}

// recorder passes an answer on and keeps it.
type recorder struct {
	http.ResponseWriter
	code  int
	body  []byte
	total int
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	if r.total += len(b); r.total <= maxRememberedAnswer {
		r.body = append(r.body, b...)
	}
	return r.ResponseWriter.Write(b)
}

func (r *recorder) whole() bool { return r.total <= maxRememberedAnswer }
