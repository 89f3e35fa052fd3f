package api

import (
	_ "embed" // for the files that are served
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/rollcall-itam/rollcall/collector/mcp"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// maxBody bounds the body of a request, in bytes.
const maxBody = 1 << 20

//go:embed openapi.swagger.json
var swagger []byte

//go:embed index.html
var index []byte

// Handler answers over HTTP: REST under /v1/, its description at
// /openapi.json, and metrics to whom may read them.
type Handler struct {
	http.Handler
	gateway *gateway
}

// NewHandler returns the handler of the service. metrics answers at /metrics;
// public lets everybody read it, otherwise a token is needed.
func NewHandler(s *Service, metrics http.Handler, public bool) (*Handler, error) {
	g, err := s.newGateway()
	if err != nil {
		return nil, err
	}
	if !public {
		metrics = s.guarded(metricsGrant, metrics)
	}
	description, err := openAPI3(swagger)
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	docs, err := renderDocs(description)
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	calls, err := s.onlyOnce(g)
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	assistants, err := mcp.New(g.conn, s.Logger)
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", calls)
	mux.Handle("POST "+pushPath, s.guarded(pushGrant, http.HandlerFunc(s.push)))
	mux.Handle("GET "+changesPath, s.guarded(grants[adminpb.AdminService_WatchChanges_FullMethodName], http.HandlerFunc(s.serveChanges)))
	mux.Handle("GET "+exportPath, s.guarded(grants[adminpb.AdminService_ExportAssets_FullMethodName], http.HandlerFunc(s.serveExport)))
	mux.HandleFunc(hooksPath, s.hook)
	mux.Handle(assistantsPath, s.asCaller(assistants))
	s.routeSignIn(mux)
	mux.Handle("GET /metrics", metrics)
	mux.Handle("GET /openapi.json", static("application/json", description))
	mux.Handle("GET /docs", static("text/html; charset=utf-8", docs))
	mux.Handle("GET /{$}", static("text/html; charset=utf-8", index))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		code := http.StatusNotFound
		if r.URL.Path == "/" || r.URL.Path == "/metrics" || r.URL.Path == "/openapi.json" || r.URL.Path == "/docs" {
			code = http.StatusMethodNotAllowed
		}
		writeRoutingError(w, r, code)
	})
	return &Handler{Handler: mux, gateway: g}, nil
}

// Close ends what the handler runs; no request may be under way.
func (h *Handler) Close() error { return h.gateway.close() }

func (s *Service) guarded(g grant, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, err := s.enter(r.Context(), r.Header.Get("Authorization"), host(r.RemoteAddr), g)
		if err != nil {
			writeError(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// assistantsPath is where assistants ask, and assistantGrant says who may; what
// each of their calls needs is in grants, as for everybody.
const assistantsPath = "/mcp"

var assistantGrant = grant{reach: nothing, least: viewer, also: serviceDesk}

// asCaller has the calls that next makes over the gateway made by who asks next.
func (s *Service) asCaller(next http.Handler) http.Handler {
	return s.guarded(assistantGrant, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		md := metadata.Pairs("authorization", r.Header.Get("Authorization"), addressKey, host(r.RemoteAddr))
		next.ServeHTTP(w, r.WithContext(metadata.NewOutgoingContext(r.Context(), md)))
	}))
}

func static(kind string, content []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(content) // whoever asked may be gone
	})
}

// Gate stands before the handler: it tells how the collector is while it
// starts and stops, and holds what is true of every request and answer.
type Gate struct {
	state atomic.Pointer[gateState]
}

type gateState struct {
	// next is nil while nothing is answered; reason says why.
	next   http.Handler
	reason string
}

// NewGate returns a gate that is closed for a reason.
func NewGate(reason string) *Gate {
	g := new(Gate)
	g.state.Store(&gateState{reason: reason})
	return g
}

// Say gives another reason why a gate that was not opened yet is closed.
func (g *Gate) Say(reason string) { g.state.Store(&gateState{reason: reason}) }

// Open lets requests through to next.
func (g *Gate) Open(next http.Handler) { g.state.Store(&gateState{next: next}) }

// Drain answers requests still, but says at /readyz that no more should come.
func (g *Gate) Drain(reason string) {
	g.state.Store(&gateState{next: g.state.Load().next, reason: reason})
}

// ServeHTTP implements http.Handler.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	now := g.state.Load()
	switch {
	case r.URL.Path == "/healthz":
		writeLine(w, http.StatusOK, "ok")
	case r.URL.Path == "/readyz" && now.reason != "":
		writeLine(w, http.StatusServiceUnavailable, now.reason)
	case r.URL.Path == "/readyz":
		writeLine(w, http.StatusOK, "ok")
	case now.next == nil:
		writeError(w, later(codes.Unavailable, "the collector does not answer yet: "+now.reason, retryLater))
	case r.Method == http.MethodPost && r.URL.Path == pushPath:
		now.next.ServeHTTP(w, r) // its lines have a bound instead
	case r.ContentLength > maxBody:
		writeStatus(w, http.StatusRequestEntityTooLarge, status.Convert(errTooLong))
	default:
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		now.next.ServeHTTP(w, r)
	}
}

func writeLine(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	fmt.Fprintln(w, strings.TrimSpace(text))
}
