package tlsconf

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	return authority{}.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
}

func (a authority) sign(t *testing.T, template *x509.Certificate) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.NotBefore = big.NewInt(1), time.Now().Add(-time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert: cert, key: key}
}

func (a authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func (a authority) server(t *testing.T, name string, usage x509.ExtKeyUsage) *tls.Certificate {
	t.Helper()
	leaf := a.sign(t, &x509.Certificate{DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{usage}})
	return &tls.Certificate{Certificate: [][]byte{leaf.cert.Raw, a.cert.Raw}, PrivateKey: leaf.key}
}

// meet makes one handshake and returns what the client says of it.
func meet(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			s := tls.Server(conn, server)
			if err = s.Handshake(); err == nil {
				_, _ = s.Write([]byte("x"))
			}
			_ = conn.Close()
		}
		done <- err
	}()
	conn, err := tls.Dial("tcp", l.Addr().String(), client)
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
	<-done
	return err
}

func TestWhoIsTrusted(t *testing.T) {
	ca, other, devices := newAuthority(t, "ours"), newAuthority(t, "other"), newAuthority(t, "devices")
	serve := func(c *tls.Certificate) *tls.Config {
		return Server(func() (*tls.Certificate, error) { return c, nil }, devices.pool)
	}
	good := ca.server(t, "collector.example", x509.ExtKeyUsageServerAuth)
	device := devices.server(t, "agent", x509.ExtKeyUsageClientAuth)
	stranger := other.server(t, "agent", x509.ExtKeyUsageClientAuth)
	show := func(c *tls.Certificate) func() (*tls.Certificate, error) {
		return func() (*tls.Certificate, error) { return c, nil }
	}
	for name, tc := range map[string]struct {
		server *tls.Certificate
		client ClientOptions
		want   string
	}{
		"by CA file":                {good, ClientOptions{Roots: ca.pool(), ServerName: "collector.example"}, ""},
		"by pin":                    {good, ClientOptions{Pin: PinOf(ca.cert), ServerName: "collector.example"}, ""},
		"with a client certificate": {good, ClientOptions{Roots: ca.pool(), ServerName: "collector.example", Certificate: show(device)}, ""},
		"a client of another CA":    {good, ClientOptions{Roots: ca.pool(), ServerName: "collector.example", Certificate: show(stranger)}, "certificate"},
		"another CA":                {good, ClientOptions{Roots: other.pool(), ServerName: "collector.example"}, "presented was ours"},
		"another pin":               {good, ClientOptions{Pin: PinOf(other.cert), ServerName: "collector.example"}, PinOf(other.cert).String()},
		"neither file nor pin":      {good, ClientOptions{ServerName: "collector.example"}, "not trusted"},
		"another name":              {good, ClientOptions{Roots: ca.pool(), ServerName: "elsewhere.example"}, "--tls-name elsewhere.example"},
		"an agent posing as collector": {ca.server(t, "collector.example", x509.ExtKeyUsageClientAuth),
			ClientOptions{Roots: ca.pool(), ServerName: "collector.example"}, "incompatible key usage"},
	} {
		t.Run(name, func(t *testing.T) {
			err := meet(t, serve(tc.server), Client(tc.client))
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	ca := newAuthority(t, "ours")
	cert := ca.server(t, "collector.example", x509.ExtKeyUsageServerAuth)
	client := Client(ClientOptions{Roots: ca.pool(), ServerName: "collector.example"})
	client.MinVersion, client.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if err := meet(t, Server(func() (*tls.Certificate, error) { return cert, nil }, ca.pool), client); err == nil {
		t.Error("TLS 1.2 is accepted")
	}
}

func TestPins(t *testing.T) {
	p := PinOf(newAuthority(t, "x").cert)
	if got, err := ParsePin(" " + strings.ToUpper(p.String()[:7]) + p.String()[7:] + "\n"); err != nil || got != p {
		t.Errorf("%v %v, want %v", got, err, p)
	}
	for _, bad := range []string{"", "sha256:", "sha256:00", "md5:" + p.String()[7:], p.String() + "00", p.String()[7:]} {
		if _, err := ParsePin(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	if !errors.Is(verify(ClientOptions{}, tls.ConnectionState{}), ErrUntrusted) {
		t.Error("a peer without a certificate is trusted")
	}
}

func FuzzParsePin(f *testing.F) {
	f.Add("sha256:00")
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := ParsePin(s); err == nil {
			if again, err := ParsePin(p.String()); err != nil || again != p {
				t.Errorf("%q does not come back: %v", s, err)
			}
		}
	})
}
