package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/rollcall-itam/rollcall/collector/api"
	"github.com/rollcall-itam/rollcall/collector/diagnose"
	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/ingest"
	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/badgerkv"
	"github.com/rollcall-itam/rollcall/collector/metrics"
	"github.com/rollcall-itam/rollcall/collector/view"
	"github.com/rollcall-itam/rollcall/pkg/buildinfo"
	"github.com/rollcall-itam/rollcall/pkg/tlsconf"
)

// grace is how long calls under way have to end once the collector stops.
const grace = 10 * time.Second

// listeners are where the collector is reached.
type listeners struct{ http, grpc net.Listener }

func listen(s settings) (l listeners, err error) {
	if l.http, err = listenOn("--http-addr", s.HTTPAddr); err != nil {
		return l, err
	}
	if l.grpc, err = listenOn("--grpc-addr", s.GRPCAddr); err != nil {
		return l, errors.Join(err, l.http.Close())
	}
	return l, nil
}

func listenOn(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s %s: %w; stop what uses it, or choose another address", flag, address, err)
	}
	return l, nil
}

// serve runs the collector until ctx ends and everything under way has. ready,
// if not nil, hears where it listens once it is ready.
func serve(ctx context.Context, s settings, log *slog.Logger, ready func(listeners)) error {
	cert, err := httpCertificate(s)
	if err != nil {
		return err
	}
	if err := prepareDataDir(s.DataDir); err != nil {
		return err
	}
	l, err := listen(s)
	if err != nil {
		return err
	}
	v := view.New()
	m := metrics.New(v)
	log, kept := diagnose.Keep(log, s.level)
	defer kept.Close()
	gate := api.NewGate("starting: the store is being opened")
	web := newHTTPServer(m.Count(gate), cert, log)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serveHTTP(web, l.http) })
	g.Go(func() error {
		defer web.Close()
		defer l.grpc.Close()
		return serveCore(gctx, s, log, parts{listeners: l, view: v, metrics: m, gate: gate, web: web, ready: ready, kept: kept})
	})
	return g.Wait()
}

// parts are what exists before the store is open.
type parts struct {
	listeners
	view    *view.View
	metrics *metrics.Metrics
	gate    *api.Gate
	web     *http.Server
	ready   func(listeners)
	// kept is what became of the log's lines.
	kept *diagnose.Log
	// stopping ends the calls that last.
	stopping func()
}

// serveCore opens the collector's core, opens the gate to it, and takes all
// down again in the opposite order.
func serveCore(ctx context.Context, s settings, log *slog.Logger, p parts) (err error) {
	c, err := openCore(ctx, s, log, p.view, p.gate.Say)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		log.Info("collector stops before it was ready")
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.db.Close()) }()
	shelf, err := openShelf(s, log)
	if err != nil {
		return err
	}
	agents, err := ingest.New(ctx, ingest.Options{Store: c.store, Catalog: c.catalog, Enroller: c.enroller, Logger: log, Now: time.Now,
		Metrics: p.metrics.Registry, CheckIn: s.CheckInInterval, Updates: shelf, Drifted: c.engine.Look})
	if err != nil {
		return err
	}
	defer agents.Close()
	if c.feeds, err = newFeeds(ctx, s.Feeds, c, log, p.metrics.Registry); err != nil {
		return err
	}
	if err := c.openAdvisories(s, log); err != nil {
		return err
	}
	people, err := openAPI(ctx, s, c, log, p)
	if err != nil {
		return err
	}
	c.count(p.metrics)
	handler, err := api.NewHandler(people, p.metrics.Handler(), s.MetricsPublic)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, handler.Close()) }()
	server, err := newGRPCServer(c, s, agents, people)
	if err != nil {
		return err
	}
	control, err := openControl(c, s, log, p)
	if err != nil {
		log.Warn("backup and check need the collector to be stopped", "error", err)
	}
	defer func() { err = errors.Join(err, control.close()) }()
	p.gate.Open(handler)
	log.Info("collector is ready", "version", buildinfo.Version(), "http_addr", p.http.Addr().String(), "grpc_addr", p.grpc.Addr().String(),
		"store", s.Store, "assets", c.view.Len(), "ca_file", filepath.Join(s.DataDir, "ca.pem"), "ca_pin", c.server.Pin().String(),
		"token_file", filepath.Join(s.DataDir, "admin-token"))
	if p.ready != nil {
		p.ready(p.listeners)
	}
	p.stopping = people.Drain
	return run(ctx, c, server, log, p)
}

// openAPI makes ready what people and programs ask, and those who are told.
func openAPI(ctx context.Context, s settings, c *core, log *slog.Logger, p parts) (*api.Service, error) {
	connections, err := openConnections(ctx, s, c, log)
	if err != nil {
		return nil, err
	}
	if c.notifier, err = newNotifier(ctx, s, c, log, p.metrics.Registry); err != nil {
		return nil, err
	}
	if c.signIn, err = newSignIn(s, c, log); err != nil {
		return nil, err
	}
	return api.New(api.Options{SignIn: c.signIn, Library: c.library, Exposure: c.exposure, Feeds: c.feeds, Connections: connections, Notifications: c.notifier, Changes: c.changes, Compliance: c.engine, Store: c.store,
		Catalog: c.catalog, View: c.view, Tokens: c.tokens, Enroller: c.enroller, Logger: log, Now: time.Now, Engine: s.Store, Rate: s.APIRate,
		CAPin: c.server.Pin().String(), Metrics: p.metrics.Registry})
}

// count has the metrics tell of what the core knows.
func (c *core) count(m *metrics.Metrics) {
	m.CountRules(c.engine)
	m.CountAdvisories(c.library, c.exposure)
	m.CountSupport(c.support.state)
	m.CountAgents(view.NewAgents(c.store, time.Now))
}

// run serves agents until ctx ends, then drains both listeners and stores
// what the catalog holds back.
func run(ctx context.Context, c *core, server *grpc.Server, log *slog.Logger, p parts) error {
	flush, stopFlush := context.WithCancel(context.WithoutCancel(ctx))
	defer stopFlush()
	var work errgroup.Group
	work.Go(func() error { return c.catalog.Run(flush) })
	work.Go(func() error { return c.catalog.Upkeep(ctx) })
	work.Go(func() error { return c.feeds.Run(ctx) })
	work.Go(func() error { return c.view.Run(ctx, log) })
	work.Go(func() error { return c.engine.Run(ctx) })
	work.Go(func() error { return c.support.Run(ctx, c.outlive) })
	work.Go(func() error { return c.notifier.Run(ctx) })
	work.Go(func() error { return c.refresh.Run(ctx) })
	work.Go(func() error { return c.exposure.Run(ctx, log) })
	if c.signIn != nil {
		work.Go(func() error { return c.signIn.Run(ctx) })
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(p.grpc) }()
	var err error
	select {
	case err = <-failed:
		err = fmt.Errorf("serve agents: %w", err)
	case <-storeFailed(c.db):
		err = errors.New("the store failed, as the log tells; the collector ends, and takes data again once its service manager has started it anew")
	case <-ctx.Done():
		log.Info("collector is stopping")
	}
	p.gate.Drain("stopping")
	p.stopping()
	drain(server, p.web, log)
	stopFlush()
	return errors.Join(err, work.Wait())
}

// storeFailed is closed once an engine takes nothing more until it is opened
// again; nil for one that never comes to that.
func storeFailed(db kv.DB) <-chan struct{} {
	if b, ok := db.(*badgerkv.DB); ok {
		return b.Failed()
	}
	return nil
}

// drain lets calls under way end, for a while.
func drain(server *grpc.Server, web *http.Server, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	done := make(chan struct{})
	go func() {
		server.GracefulStop()
		close(done)
	}()
	if err := web.Shutdown(ctx); err != nil {
		log.Warn("requests were cut off", "error", err)
		_ = web.Close() // closes what Shutdown could not wait for
	}
	select {
	case <-done:
	case <-ctx.Done():
		log.Warn("calls of agents were cut off", "after", grace.String())
		server.Stop()
		<-done
	}
}

// newGRPCServer returns the server that agents call, and people who prefer
// gRPC.
func newGRPCServer(c *core, s settings, agents *ingest.Service, people *api.Service) (*grpc.Server, error) {
	names, err := enroll.ServerNames(s.TLSName...)
	if err != nil {
		return nil, err
	}
	cert := enroll.NewServerCertificate(c.server, names, time.Now)
	if _, err := cert.Get(); err != nil {
		return nil, err
	}
	trusted := c.device.Pool()
	conf := tlsconf.Server(cert.Get, func() *x509.CertPool { return trusted })
	server := agents.NewServer(conf, grpc.ChainUnaryInterceptor(people.UnaryInterceptor), grpc.ChainStreamInterceptor(people.StreamInterceptor))
	people.Register(server)
	return server, nil
}

// httpCertificate loads the certificate of the HTTP listener; there is none
// where it serves without TLS.
func httpCertificate(s settings) (*tls.Certificate, error) {
	if s.HTTPTLSCert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(s.HTTPTLSCert, s.HTTPTLSKey)
	if err != nil {
		return nil, fmt.Errorf("load --http-tls-cert %s and --http-tls-key %s: %w", s.HTTPTLSCert, s.HTTPTLSKey, err)
	}
	return &cert, nil
}

func newHTTPServer(h http.Handler, cert *tls.Certificate, log *slog.Logger) *http.Server {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	if cert != nil {
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*cert}}
	}
	return server
}

func serveHTTP(server *http.Server, l net.Listener) error {
	var err error
	if server.TLSConfig != nil {
		err = server.ServeTLS(l, "", "")
	} else {
		err = server.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve http: %w", err)
}
