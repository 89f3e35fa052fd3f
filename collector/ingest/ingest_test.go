package ingest_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/ingest"
	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/updates"
	"github.com/rollcall-itam/rollcall/pkg/section"
	"github.com/rollcall-itam/rollcall/pkg/tlsconf"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// full is an engine that can be told that its disk is full.
type full struct {
	kv.DB
	mu sync.Mutex
	on bool
}

func (f *full) set(on bool) { f.mu.Lock(); f.on = on; f.mu.Unlock() }

func (f *full) Update(ctx context.Context, fn func(kv.Tx) error) error {
	f.mu.Lock()
	on := f.on
	f.mu.Unlock()
	if on {
		return kv.ErrFull
	}
	return f.DB.Update(ctx, fn)
}

// collector is a real server on loopback over an engine in memory.
type collector struct {
	t        testing.TB
	engine   *full
	store    *store.Store
	tokens   *enroll.Tokens
	enroller *enroll.Enroller
	devices  *enroll.Authority
	server   *enroll.Authority
	addr     string
	registry *prometheus.Registry
	// updates is the folder of updates, signed with updateKey.
	updates string

	mu  sync.Mutex
	now time.Time
}

// The clock begins at the real time, by which TLS judges certificates.
var start = time.Now().UTC().Truncate(time.Second)

func (c *collector) clock() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *collector) wait(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
}

func serve(t testing.TB) *collector {
	t.Helper()
	ctx := context.Background()
	c := &collector{t: t, engine: &full{DB: memkv.New()}, now: start, registry: prometheus.NewRegistry()}
	var err error
	must := func(e error) {
		t.Helper()
		if e != nil {
			t.Fatal(e)
		}
	}
	c.store, err = store.Open(ctx, c.engine)
	must(err)
	c.tokens = enroll.NewTokens(c.store, c.clock)
	dir := t.TempDir()
	c.devices, err = enroll.OpenAuthority(ctx, c.store, dir, enroll.PurposeDevice, time.Now())
	must(err)
	c.server, err = enroll.OpenAuthority(ctx, c.store, dir, enroll.PurposeServer, time.Now())
	must(err)
	c.enroller = enroll.New(c.store, c.tokens, c.devices, c.server, 10*365*24*time.Hour)
	log := slog.New(slog.DiscardHandler)
	c.updates = t.TempDir()
	shelf, err := updates.New(updates.Options{Dir: c.updates, Keys: updateKeys(t), Now: c.clock, Logger: log})
	must(err)
	service, err := ingest.New(ctx, ingest.Options{Store: c.store, Catalog: catalog.New(c.store, c.clock, log), Enroller: c.enroller,
		Logger: log, Now: c.clock, Metrics: c.registry, Updates: shelf})
	must(err)
	conf := tlsconf.Server(enroll.NewServerCertificate(c.server, []string{"localhost", "127.0.0.1"}, time.Now).Get, c.devices.Pool)
	g := service.NewServer(conf)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	c.addr = l.Addr().String()
	done := make(chan error, 1)
	go func() { done <- g.Serve(l) }()
	t.Cleanup(func() {
		g.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		service.Close()
		_ = c.engine.Close()
	})
	return c
}

func (c *collector) token(uses int32) string {
	c.t.Helper()
	r, err := c.tokens.Create(context.Background(), "test", &adminpb.CreateTokenRequest{Kind: "enroll", MaxUses: uses, Labels: map[string]string{"site": "A"}})
	if err != nil {
		c.t.Fatal(err)
	}
	return r.Token
}

// device is a plain agent: it does what the protocol says, and nothing else.
type device struct {
	sent int
	t    testing.TB
	c    *collector
	key  *ecdsa.PrivateKey
	cert *tls.Certificate
	id   string
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func csr(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (c *collector) device() *device { return &device{t: c.t, c: c, key: newKey(c.t)} }

// dial connects anew, with the certificate that the device has now.
func (d *device) dial() pb.AgentServiceClient {
	d.t.Helper()
	conf := tlsconf.Client(tlsconf.ClientOptions{Pin: d.c.server.Pin(), ServerName: "127.0.0.1",
		Certificate: func() (*tls.Certificate, error) { return d.cert, nil }})
	conn, err := grpc.NewClient(d.c.addr, grpc.WithTransportCredentials(credentials.NewTLS(conf)))
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = conn.Close() })
	return pb.NewAgentServiceClient(conn)
}

func (d *device) enroll(token string) error {
	d.t.Helper()
	r, err := d.dial().Enroll(context.Background(), &pb.EnrollRequest{Token: token, Csr: csr(d.t, d.key), Hostname: "host", HardwareHash: []byte("machine one")})
	if err != nil {
		return err
	}
	d.id, d.cert = r.AgentId, &tls.Certificate{Certificate: r.CertificateChain, PrivateKey: d.key}
	return nil
}

func (d *device) renew(key *ecdsa.PrivateKey, hardware string) (*pb.RenewResponse, error) {
	return d.dial().Renew(context.Background(), &pb.RenewRequest{Csr: csr(d.t, key), HardwareHash: []byte(hardware)})
}

func (c *collector) enrolled() *device {
	c.t.Helper()
	d := c.device()
	if err := d.enroll(c.token(1)); err != nil {
		c.t.Fatal(err)
	}
	return d
}

var encoder, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))

// part is one section as it is sent.
type part struct {
	head    *pb.SectionHeader
	payload []byte
}

func section1(t testing.TB, name string, d *pb.Device) part {
	t.Helper()
	enc, err := section.Encode(d, name)
	if err != nil {
		t.Fatal(err)
	}
	return encoded(t, name, enc)
}

func encoded(t testing.TB, name string, enc []byte) part {
	t.Helper()
	digest, err := section.Digest(name, enc)
	if err != nil {
		digest = make([]byte, sha256.Size)
	}
	p := encoder.EncodeAll(enc, nil)
	return part{payload: p, head: &pb.SectionHeader{Name: name, State: section.Complete, Digest: digest, PayloadBytes: int64(len(p)), DecodedBytes: int64(len(enc))}}
}

func delta(t testing.TB, base []byte, removed, added []*pb.Software) part {
	t.Helper()
	enc, err := proto.MarshalOptions{Deterministic: true}.Marshal(&pb.SoftwareDelta{Removed: removed, Added: added})
	if err != nil {
		t.Fatal(err)
	}
	sum := section.Sum(base)
	for _, r := range removed {
		b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(r)
		sum.Sub(sha256.Sum256(b))
	}
	for _, r := range added {
		b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(r)
		sum.Add(sha256.Sum256(b))
	}
	p := encoder.EncodeAll(enc, nil)
	return part{payload: p, head: &pb.SectionHeader{Name: section.Software, State: section.Complete, Digest: sum[:], BaseDigest: base, Delta: true,
		PayloadBytes: int64(len(p)), DecodedBytes: int64(len(enc))}}
}

func (d *device) report(generation int64, parts ...part) (*pb.ReportResponse, error) {
	d.t.Helper()
	h := &pb.ReportHeader{BaseGeneration: generation, ObservedAt: timestamppb.New(d.c.clock())}
	var payload []byte
	for _, p := range parts {
		h.Sections = append(h.Sections, p.head)
		payload = append(payload, p.payload...)
	}
	return d.send(h, payload)
}

func (d *device) send(h *pb.ReportHeader, payload []byte) (*pb.ReportResponse, error) {
	d.t.Helper()
	// Small reports take the two ways in turn.
	if d.sent++; d.sent%2 == 0 && len(payload) <= 48<<10 {
		return d.dial().ReportSmall(context.Background(), &pb.ReportRequest{Header: h, Data: payload})
	}
	stream, err := d.dial().Report(context.Background())
	if err != nil {
		d.t.Fatal(err)
	}
	chunk := payload[:min(100_000, len(payload))]
	_ = stream.Send(&pb.ReportRequest{Header: h, Data: chunk})
	for payload = payload[len(chunk):]; len(payload) > 0; payload = payload[len(chunk):] {
		chunk = payload[:min(100_000, len(payload))]
		_ = stream.Send(&pb.ReportRequest{Data: chunk})
	}
	return stream.CloseAndRecv()
}

// held is what the collector has of the device.
func (d *device) held(sourceID string) (o *pb.Observation, rows []string) {
	d.t.Helper()
	ref := store.Ref{Source: ingest.Source, ID: sourceID}
	err := d.c.store.View(context.Background(), func(tx *store.Tx) (err error) {
		if o, err = tx.Observation(ref); err != nil {
			return err
		}
		err = tx.Software(ref, func(s *pb.Software) error { rows = append(rows, s.Name+" "+s.Version); return nil })
		if err == store.ErrNotFound {
			err = nil
		}
		return err
	})
	if err != nil {
		d.t.Fatalf("observation of %s: %v", sourceID, err)
	}
	return o, rows
}

func (c *collector) metric(name string, labels string) float64 {
	c.t.Helper()
	families, err := c.registry.Gather()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var have []string
			for _, l := range m.GetLabel() {
				have = append(have, l.GetValue())
			}
			if strings.Join(have, ",") == labels {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func rows(n int, version string) []*pb.Software {
	out := make([]*pb.Software, n)
	for i := range out {
		out[i] = &pb.Software{Kind: "deb", Name: fmt.Sprint("p", i), Version: version}
	}
	return out
}

func wantError(t testing.TB, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want one with %q", err, text)
	}
}

func sameBytes(a, b []byte) bool { return bytes.Equal(a, b) }
