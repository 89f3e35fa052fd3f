package enroll

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func request(t testing.TB, token string, key crypto.Signer) *pb.EnrollRequest {
	return &pb.EnrollRequest{Token: token, Csr: csrOf(t, key), HardwareHash: []byte("hardware"), Hostname: "host-1", AgentVersion: "1.0", Platform: "linux/amd64"}
}

func TestAnAgentIsGivenACertificate(t *testing.T) {
	o := newOffice(t)
	token, key := o.token(1, time.Hour), newKey(t)
	r, err := o.Enroll(ctx, "10.0.0.9", request(t, token.Token, key))
	if err != nil {
		t.Fatal(err)
	}
	cert := leaf(t, r.CertificateChain)
	_, err = cert.Verify(x509.VerifyOptions{Roots: o.device.Pool(), CurrentTime: epoch, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		t.Error(err)
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: o.device.Pool(), CurrentTime: epoch}); err == nil {
		t.Error("an agent's certificate can be that of a server")
	}
	if cert.Subject.CommonName != r.AgentId || !cert.NotAfter.Equal(epoch.Add(DefaultLife)) || cert.IsCA || !key.PublicKey.Equal(cert.PublicKey) {
		t.Errorf("certificate of %s until %v", cert.Subject, cert.NotAfter)
	}
	if len(r.CaBundle) != 1 || !bytes.Equal(r.CaBundle[0], o.server.cert.Raw) || r.RenewalSequence != 1 {
		t.Errorf("bundle of %d, sequence %d", len(r.CaBundle), r.RenewalSequence)
	}
	who, err := o.Authenticate(ctx, cert)
	if err != nil || who.AgentID != r.AgentId || who.SourceID != r.AgentId || who.Labels["site"] != "A" {
		t.Errorf("%+v %v", who, err)
	}
	contains(t, o.audited(), "agent.enroll")
}

func TestRequestsThatAreNotInOrder(t *testing.T) {
	o := newOffice(t)
	token := o.token(1, time.Hour).Token
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	forged := csrOf(t, newKey(t))
	forged[len(forged)-1] ^= 1
	for name, change := range map[string]func(*pb.EnrollRequest){
		"no request":          func(r *pb.EnrollRequest) { r.Csr = nil },
		"garbage":             func(r *pb.EnrollRequest) { r.Csr = []byte("garbage") },
		"a wrong signature":   func(r *pb.EnrollRequest) { r.Csr = forged },
		"RSA":                 func(r *pb.EnrollRequest) { r.Csr = csrOf(t, rsaKey) },
		"P-384":               func(r *pb.EnrollRequest) { r.Csr = csrOf(t, p384) },
		"a large request":     func(r *pb.EnrollRequest) { r.Csr = make([]byte, maxCSR+1) },
		"a large hash":        func(r *pb.EnrollRequest) { r.HardwareHash = make([]byte, maxHash+1) },
		"a long host name":    func(r *pb.EnrollRequest) { r.Hostname = strings.Repeat("x", maxText+1) },
		"NUL in a name":       func(r *pb.EnrollRequest) { r.Hostname = "a\x00b" },
		"a platform of lines": func(r *pb.EnrollRequest) { r.Platform = "a\nb" },
		"invalid UTF-8":       func(r *pb.EnrollRequest) { r.AgentVersion = "a\xff" },
	} {
		r := request(t, token, newKey(t))
		change(r)
		if _, err := o.Enroll(ctx, "peer", r); !errors.Is(err, ErrBadRequest) {
			t.Errorf("%s: error %v, want ErrBadRequest", name, err)
		}
	}
	if _, err := o.Enroll(ctx, "peer", request(t, token, newKey(t))); err != nil {
		t.Errorf("the token was spent on requests that were refused: %v", err)
	}
}

func TestTokensThatEnrolNobody(t *testing.T) {
	o := newOffice(t)
	used, expired, revoked := o.token(1, time.Hour), o.token(1, time.Minute), o.token(1, time.Hour)
	api, err := o.tokens.Create(ctx, "test", &adminpb.CreateTokenRequest{Kind: KindAPI, Role: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Enroll(ctx, "peer", request(t, used.Token, newKey(t))); err != nil {
		t.Fatal(err)
	}
	if err := o.tokens.Revoke(ctx, "test", revoked.Id); err != nil {
		t.Fatal(err)
	}
	o.clock = epoch.Add(time.Minute)
	for name, tc := range map[string]struct {
		token string
		want  error
		noted int
	}{
		"none":    {"", ErrUnknownToken, 0},
		"unknown": {"rce_abcdefgh_0123456789", ErrUnknownToken, 0},
		"changed": {used.Token + "x", ErrUnknownToken, 0},
		"for API": {api.Token, ErrUnknownToken, 0},
		"used up": {used.Token, ErrUsedUp, 1},
		"expired": {expired.Token, ErrExpired, 1},
		"revoked": {revoked.Token, ErrRevokedToken, 1},
	} {
		before := o.count("agent.enroll.refused")
		_, err := o.Enroll(ctx, "peer", request(t, tc.token, newKey(t)))
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: error %v, want %v", name, err, tc.want)
		}
		if n := o.count("agent.enroll.refused") - before; n != tc.noted {
			t.Errorf("%s: %d entries in the audit log, want %d", name, n, tc.noted)
		}
		if strings.Contains(err.Error(), tc.token) && tc.token != "" {
			t.Errorf("%s: the error tells the token", name)
		}
	}
}

// The reply to an enrolment was lost, any number of times.
func TestTheSameKeyMayEnrolAgain(t *testing.T) {
	o := newOffice(t)
	token, key := o.token(1, time.Hour), newKey(t)
	first, err := o.Enroll(ctx, "peer", request(t, token.Token, key))
	if err != nil {
		t.Fatal(err)
	}
	for _, later := range []time.Duration{time.Minute, 2 * time.Hour} {
		o.clock = epoch.Add(later)
		again, err := o.Enroll(ctx, "peer", request(t, token.Token, key))
		if err != nil || again.AgentId != first.AgentId || !bytes.Equal(again.CertificateChain[0], first.CertificateChain[0]) {
			t.Fatalf("after %v: %v, want the same identity and certificate; %v", later, again.GetAgentId(), err)
		}
	}
	if n := o.count("agent.enroll"); n != 1 {
		t.Errorf("%d enrolments are noted", n)
	}
	tokens, err := o.tokens.List(ctx, "", 10)
	if err != nil || tokens[0].Uses != 1 {
		t.Errorf("uses %v, want 1; %v", tokens, err)
	}

	elsewhere := request(t, token.Token, key)
	elsewhere.HardwareHash = []byte("other hardware")
	_, err = o.Enroll(ctx, "peer", elsewhere)
	wantIs(t, err, ErrBadRequest)
	_, err = o.Enroll(ctx, "peer", request(t, o.token(5, time.Hour).Token, key))
	wantIs(t, err, ErrBadRequest)
	if err := o.tokens.Revoke(ctx, "test", token.Id); err != nil {
		t.Fatal(err)
	}
	_, err = o.Enroll(ctx, "peer", request(t, token.Token, key))
	wantIs(t, err, ErrRevokedToken)
	if err := o.Revoke(ctx, "test", first.AgentId, "stolen"); err != nil {
		t.Fatal(err)
	}
	_, err = o.Enroll(ctx, "peer", request(t, token.Token, key))
	wantIs(t, err, ErrRevokedAgent)
}

func TestOneUseIsOneDevice(t *testing.T) {
	o := newOffice(t)
	token := o.token(3, time.Hour).Token
	var wg sync.WaitGroup
	results := make(chan error, 30)
	for range cap(results) {
		r := request(t, token, newKey(t))
		wg.Go(func() {
			_, err := o.Enroll(ctx, "peer", r)
			results <- err
		})
	}
	wg.Wait()
	close(results)
	enrolled := 0
	for err := range results {
		if err == nil {
			enrolled++
		} else if !errors.Is(err, ErrUsedUp) {
			t.Error(err)
		}
	}
	if enrolled != 3 {
		t.Errorf("%d devices enrolled with a token for 3", enrolled)
	}
}

func TestRevocation(t *testing.T) {
	o := newOffice(t)
	r, err := o.Enroll(ctx, "peer", request(t, o.token(1, time.Hour).Token, newKey(t)))
	if err != nil {
		t.Fatal(err)
	}
	cert := leaf(t, r.CertificateChain)
	who, err := o.Authenticate(ctx, cert)
	if err != nil {
		t.Fatal(err)
	}
	wantIs(t, o.Revoke(ctx, "admin", r.AgentId, "two\nlines"), ErrBadRequest)
	wantIs(t, o.Revoke(ctx, "admin", "nobody", "x"), store.ErrNotFound)
	for range 2 {
		if err := o.Revoke(ctx, "admin", r.AgentId, "stolen"); err != nil {
			t.Fatal(err)
		}
	}
	_, err = o.Authenticate(ctx, cert)
	wantIs(t, err, ErrRevokedAgent)
	// A call that was let in before the revocation gets nothing after it.
	_, err = o.Renew(ctx, who, &pb.RenewRequest{Csr: csrOf(t, newKey(t))})
	wantIs(t, err, ErrRevokedAgent)
	if n := o.count("agent.revoke"); n != 1 {
		t.Errorf("revoking twice is noted %d times", n)
	}
	if got := o.record(r.AgentId).GetRevokedReason(); got != "stolen" {
		t.Errorf("reason %q", got)
	}
}

// A full disk stops enrolments and renewals, loses no use of a token, and keeps
// nobody who is enrolled from calling.
func TestAFullStore(t *testing.T) {
	o := newOffice(t)
	token, key := o.token(1, time.Hour).Token, newKey(t)
	o.engine.full.Store(true)
	_, err := o.Enroll(ctx, "peer", request(t, token, key))
	wantIs(t, err, kv.ErrFull)
	o.engine.full.Store(false)
	r, err := o.Enroll(ctx, "peer", request(t, token, key))
	if err != nil {
		t.Fatal(err)
	}
	old := leaf(t, r.CertificateChain)
	who, err := o.Authenticate(ctx, old)
	if err != nil {
		t.Fatal(err)
	}
	renew := &pb.RenewRequest{Csr: csrOf(t, newKey(t)), HardwareHash: []byte("hardware")}
	o.engine.full.Store(true)
	_, err = o.Renew(ctx, who, renew)
	wantIs(t, err, kv.ErrFull)
	o.engine.full.Store(false)
	next, err := o.Renew(ctx, who, renew)
	if err != nil {
		t.Fatal(err)
	}
	o.engine.full.Store(true)
	for _, cert := range []*x509.Certificate{leaf(t, next.CertificateChain), old} {
		if who, err := o.Authenticate(ctx, cert); err != nil || who.SourceID != r.AgentId {
			t.Errorf("%+v %v", who, err)
		}
	}
	o.engine.full.Store(false)
	if _, err := o.Authenticate(ctx, leaf(t, next.CertificateChain)); err != nil {
		t.Fatal(err)
	}
	if len(o.record(r.AgentId).GetPreviousKeyHash()) != 0 {
		t.Error("what could not be noted while the disk was full is not noted later")
	}
}

func TestRenewalNeedsANewKey(t *testing.T) {
	o := newOffice(t)
	key := newKey(t)
	r, err := o.Enroll(ctx, "peer", request(t, o.token(1, time.Hour).Token, key))
	if err != nil {
		t.Fatal(err)
	}
	who, err := o.Authenticate(ctx, leaf(t, r.CertificateChain))
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]*pb.RenewRequest{
		"the key in use": {Csr: csrOf(t, key)}, "no request": {}, "a large hash": {Csr: csrOf(t, newKey(t)), HardwareHash: make([]byte, maxHash+1)},
		"a bad version": {Csr: csrOf(t, newKey(t)), AgentVersion: "\x00"},
	} {
		if _, err := o.Renew(ctx, who, bad); !errors.Is(err, ErrBadRequest) {
			t.Errorf("%s: error %v, want ErrBadRequest", name, err)
		}
	}
	if got := o.record(r.AgentId); got.GetRenewalSequence() != 1 {
		t.Errorf("sequence %d after refused renewals", got.GetRenewalSequence())
	}
}

func TestACertificateOfNobody(t *testing.T) {
	o := newOffice(t)
	der, err := o.device.issueClient(&newKey(t).PublicKey, "someone", epoch, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	_, err = o.Authenticate(ctx, leaf(t, [][]byte{der, nil}))
	wantIs(t, err, ErrUnknownAgent)
}

func FuzzCSR(f *testing.F) {
	f.Add(csrOf(f, newKey(f)))
	f.Add([]byte{0x30, 0x82, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, der []byte) {
		key, err := checkCSR(der)
		if (err == nil) != (key != nil) || err != nil && !errors.Is(err, ErrBadRequest) {
			t.Errorf("key %v, error %v", key, err)
		}
	})
}
