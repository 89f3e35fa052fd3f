package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/rollcall-itam/rollcall/collector/kv/badgerkv"
	"github.com/rollcall-itam/rollcall/pkg/tlsconf"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// TestMain lets the test program verify a store as the collector does, which
// starts its own executable for it.
func TestMain(m *testing.M) {
	if handled, code := badgerkv.VerifyMain(os.Args[1:]); handled {
		os.Exit(code)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// running is a collector inside the test's process.
type running struct {
	listeners
	dir, token string
	stop       func() error
}

func testSettings(dir string) settings {
	return settings{DataDir: dir, HTTPAddr: "127.0.0.1:0", GRPCAddr: "127.0.0.1:0", Store: "badger:" + filepath.Join(dir, "store"),
		MinFree: 1 << 20, CheckInInterval: time.Minute, LogLevel: "info", LogFormat: "text"}
}

func start(t *testing.T, s settings, log io.Writer) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, done := make(chan listeners, 1), make(chan error, 1)
	go func() {
		done <- serve(ctx, s, slog.New(slog.NewTextHandler(log, nil)), func(l listeners) { ready <- l })
	}()
	r := &running{dir: s.DataDir}
	stopped := false
	r.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		http.DefaultClient.CloseIdleConnections()
		cancel()
		return <-done
	}
	t.Cleanup(func() { _ = r.stop() })
	select {
	case r.listeners = <-ready:
	case err := <-done:
		stopped = true
		cancel()
		t.Fatalf("the collector did not start: %v", err)
	}
	b, err := os.ReadFile(filepath.Join(r.dir, "admin-token"))
	if err != nil {
		t.Fatal(err)
	}
	r.token = strings.TrimSpace(string(b))
	return r
}

func get(t *testing.T, client *http.Client, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// A collector starts on an empty folder, answers, stops without leaving
// anything running, and starts again with the same keys and tokens.
func TestServeTwice(t *testing.T) {
	var log bytes.Buffer
	r := start(t, testSettings(t.TempDir()), &log)
	ca, err := os.ReadFile(filepath.Join(r.dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(r.dir, "admin-token"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("admin-token: %v %v", info.Mode(), err)
	}
	url := "http://" + r.http.Addr().String()
	for path, want := range map[string]int{"/readyz": 200, "/healthz": 200, "/v1/server": 200, "/v1/assets": 200, "/metrics": 200, "/": 200} {
		if code, body := get(t, http.DefaultClient, url+path, r.token); code != want {
			t.Errorf("GET %s answers %d: %s", path, code, body)
		}
	}
	_, body := get(t, http.DefaultClient, url+"/metrics", r.token)
	for _, name := range []string{"rollcall_build_info", "rollcall_http_requests_total", "rollcall_ingest_payload_bytes_total", "process_open_fds"} {
		if !strings.Contains(body, name) {
			t.Errorf("/metrics lacks %s", name)
		}
	}
	if err := r.stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	if strings.Contains(log.String(), r.token) || !strings.Contains(log.String(), "ca_pin=sha256:") {
		t.Errorf("the log tells too much or too little:\n%s", log.String())
	}
	again := start(t, testSettings(r.dir), io.Discard)
	same, err := os.ReadFile(filepath.Join(r.dir, "ca.pem"))
	if err != nil || !bytes.Equal(ca, same) {
		t.Errorf("another authority after a restart: %v", err)
	}
	if code, body := get(t, http.DefaultClient, "http://"+again.http.Addr().String()+"/v1/assets", r.token); code != http.StatusOK {
		t.Errorf("the token of before answers %d: %s", code, body)
	}
	if err := again.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// The API is on the agents' listener too, behind the same tokens.
func TestAdminServiceOverGRPC(t *testing.T) {
	s := testSettings(t.TempDir())
	s.Store, s.preset = "memory", "a-preset-secret-of-mine"
	r := start(t, s, io.Discard)
	pemCA, err := os.ReadFile(filepath.Join(r.dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pemCA)
	conn, err := grpc.NewClient(r.grpc.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(tlsconf.Client(tlsconf.ClientOptions{Roots: pool, ServerName: "localhost"}))))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := adminpb.NewAdminServiceClient(conn)
	if _, err := client.GetServerInfo(t.Context(), &adminpb.GetServerInfoRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("without a token: %v", err)
	}
	info, err := client.GetServerInfo(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+s.preset), &adminpb.GetServerInfoRequest{})
	if err != nil || info.GetStore() != "memory" || info.GetVersion() == "" {
		t.Errorf("server info: %v, %v", info, err)
	}
}

func TestServeWithTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key, pool := selfSigned(t, dir)
	s := testSettings(t.TempDir())
	s.Store, s.HTTPTLSCert, s.HTTPTLSKey, s.MetricsPublic = "memory", cert, key, true
	r := start(t, s, io.Discard)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer transport.CloseIdleConnections()
	for _, path := range []string{"/readyz", "/metrics"} {
		if code, body := get(t, &http.Client{Transport: transport}, "https://"+r.http.Addr().String()+path, ""); code != http.StatusOK {
			t.Errorf("GET %s answers %d: %s", path, code, body)
		}
	}
}

func selfSigned(t *testing.T, dir string) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, pool = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), x509.NewCertPool()
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool.AppendCertsFromPEM(certPEM)
	for name, content := range map[string][]byte{certFile: certPEM, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile, pool
}

// What keeps a collector from starting is told with what to do, and nothing is
// left running.
func TestServeSaysWhyItCannotStart(t *testing.T) {
	held := start(t, testSettings(t.TempDir()), io.Discard)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(*settings)
		want   []string
	}{
		"locked":         {func(s *settings) { s.DataDir, s.Store = held.dir, "badger:"+filepath.Join(held.dir, "store") }, []string{"another", held.dir, "--data-dir"}},
		"http in use":    {func(s *settings) { s.HTTPAddr = held.http.Addr().String() }, []string{"--http-addr", held.http.Addr().String()}},
		"grpc in use":    {func(s *settings) { s.GRPCAddr = held.grpc.Addr().String() }, []string{"--grpc-addr", held.grpc.Addr().String()}},
		"folder a file":  {func(s *settings) { s.DataDir = file }, []string{file, "--data-dir"}},
		"weak preset":    {func(s *settings) { s.Store, s.preset = "memory", "short" }, []string{"preset"}},
		"no certificate": {func(s *settings) { s.HTTPTLSCert, s.HTTPTLSKey = file, file }, []string{"--http-tls-cert", file}},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSettings(t.TempDir())
			tc.change(&s)
			err := serve(t.Context(), s, slog.New(slog.DiscardHandler), func(listeners) { t.Error("it started") })
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q", err, want)
				}
			}
		})
	}
}

// Whoever stops a collector that is still starting gets a clean stop.
func TestStopWhileStarting(t *testing.T) {
	for _, engine := range []string{"memory", ""} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s := testSettings(t.TempDir())
		if engine != "" {
			s.Store = engine
		}
		if err := serve(ctx, s, slog.New(slog.DiscardHandler), nil); err != nil {
			t.Errorf("store %s: %v", s.Store, err)
		}
	}
}

func TestRebuild(t *testing.T) {
	r := start(t, testSettings(t.TempDir()), io.Discard)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	stats, err := rebuild(t.Context(), testSettings(r.dir), slog.New(slog.DiscardHandler))
	if err != nil || stats.Assets != 0 {
		t.Errorf("rebuild: %+v, %v", stats, err)
	}
	if _, err := rebuild(t.Context(), testSettings(t.TempDir()), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("rebuild of nothing: %v", err)
	}
}
