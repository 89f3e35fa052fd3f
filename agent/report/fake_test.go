package report

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rollcall-itam/rollcall/pkg/tlsconf"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// authority signs the certificates of the tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key}
	der, err := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().AddDate(10, 0, 0)}, &key.PublicKey)
	if err == nil {
		a.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) sign(template *x509.Certificate, key *ecdsa.PublicKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	parent := a.cert
	if parent == nil {
		parent = template
	}
	return x509.CreateCertificate(rand.Reader, template, parent, key, a.key)
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// enrolled is one agent as the fake knows it.
type enrolled struct {
	keys       []string // hashes, the current last
	hardware   []byte
	generation int64
	digests    map[string][]byte
	device     *pb.Device
	states     map[string]string
	problems   []*pb.Problem
	revoked    bool
}

// collector is a fake that speaks the real protocol over real TLS and refuses
// whatever breaks it.
type collector struct {
	pb.UnimplementedAgentServiceServer
	t      testing.TB
	addr   string
	ca     *authority // of the collector's own certificate
	agents *authority // of the agents'
	dec    *zstd.Decoder
	life   time.Duration
	now    func() time.Time

	mu       sync.Mutex
	tokens   map[string]string // secret to the hash of the key that used it
	byID     map[string]*enrolled
	reports  []*pb.ReportHeader
	messages []int // bytes of data of every message of the last report
	checkIns int
	resumed  []bool
	open     map[net.Conn]bool
	closed   *sync.Cond
	// before and after each call, the fake fails as a test wants.
	before, after func(method string) error
	sendAll       int
	// old is set for a collector that knows no ReportSmall.
	old    bool
	answer *pb.CheckInResponse
}

func newCollector(t testing.TB, options ...grpc.ServerOption) *collector {
	t.Helper()
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(16<<20))
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{t: t, ca: newAuthority(t, "collector CA"), agents: newAuthority(t, "agents CA"), dec: dec, life: 30 * 24 * time.Hour, now: time.Now,
		tokens: map[string]string{"rce_one": "", "rce_two": "", "rce_three": ""}, byID: map[string]*enrolled{}, open: map[net.Conn]bool{},
		answer: &pb.CheckInResponse{NextCheckIn: durationpb.New(5 * time.Minute)}}
	c.closed = sync.NewCond(&c.mu)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := c.ca.sign(&x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"collector.test"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, NotAfter: time.Now().AddDate(1, 0, 0)}, &key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	cert := &tls.Certificate{Certificate: [][]byte{der, c.ca.cert.Raw}, PrivateKey: key}
	conf := tlsconf.Server(func() (*tls.Certificate, error) { return cert, nil }, c.agents.pool)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.addr = l.Addr().String()
	s := grpc.NewServer(append(options, grpc.Creds(credentials.NewTLS(conf)), grpc.MaxRecvMsgSize(1<<20))...)
	pb.RegisterAgentServiceServer(s, c)
	done := make(chan error, 1)
	go func() { done <- s.Serve(&counted{Listener: l, c: c}) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		dec.Close()
	})
	return c
}

// counted tells the fake of every connection that opens and closes.
type counted struct {
	net.Listener
	c *collector
}

func (l *counted) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	l.c.open[conn] = true
	return &countedConn{Conn: conn, c: l.c, key: conn}, nil
}

type countedConn struct {
	net.Conn
	c   *collector
	key net.Conn
}

func (c *countedConn) Close() error {
	c.c.mu.Lock()
	delete(c.c.open, c.key)
	c.c.closed.Broadcast()
	c.c.mu.Unlock()
	return c.Conn.Close()
}

// waitClosed waits until no connection is open.
func (c *collector) waitClosed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.open) > 0 {
		c.closed.Wait()
	}
}
