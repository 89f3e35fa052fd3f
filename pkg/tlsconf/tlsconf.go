// Package tlsconf makes the TLS configurations with which agents and collector
// meet: TLS 1.3 only, each side proving itself by a certificate of an authority
// that the other was told to trust.
package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// ErrUntrusted is wrapped by errors about a peer that is not signed by a
// trusted authority.
var ErrUntrusted = errors.New("the collector's certificate is not trusted")

// Server returns the configuration of a listener that shows the certificate
// that certificate returns at the time, and verifies the client certificates
// that it is given against clientCAs; who may call without one is decided for
// each call. The certificate's chain should include its authority, which agents
// may know by its Pin only.
func Server(certificate func() (*tls.Certificate, error), clientCAs func() *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2"},
		ClientAuth: tls.VerifyClientCertIfGiven,
		ClientCAs:  clientCAs(),
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return certificate()
		},
	}
}

// ClientOptions say whom a client trusts and who it is.
type ClientOptions struct {
	// Roots are the trusted authorities; where nil, the authority is known by
	// Pin.
	Roots *x509.CertPool
	Pin   Pin
	// ServerName is the host name that the collector's certificate must have.
	ServerName string
	// Certificate returns the client's certificate, or nil where it has none
	// yet. It may itself be nil.
	Certificate func() (*tls.Certificate, error)
	// Sessions keeps session tickets, so that a client that reconnects saves
	// the certificates of a handshake; nil keeps none.
	Sessions tls.ClientSessionCache
}

// Client returns the configuration of a client. Whatever the options leave
// out, nobody is trusted at first sight.
func Client(o ClientOptions) *tls.Config {
	c := &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2"},
		ServerName: o.ServerName,
		// The standard verification would hide which authority was presented,
		// and cannot find a root by its pin: verify does the same checks.
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection below verifies chain, host name and times.
		VerifyConnection:   func(s tls.ConnectionState) error { return verify(o, s) },
		ClientSessionCache: o.Sessions,
	}
	if o.Certificate != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, err := o.Certificate()
			if cert == nil && err == nil {
				cert = new(tls.Certificate)
			}
			return cert, err
		}
	}
	return c
}

// verify checks that the peer's certificate is that of a trusted authority for
// the host that was called.
func verify(o ClientOptions, s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return fmt.Errorf("%w: it presented none", ErrUntrusted)
	}
	leaf, rest := s.PeerCertificates[0], s.PeerCertificates[1:]
	roots, expected := o.Roots, "an authority of the CA file"
	if roots == nil {
		roots, expected = x509.NewCertPool(), o.Pin.String()
		for _, c := range rest {
			if c.IsCA && !o.Pin.IsZero() && PinOf(c) == o.Pin {
				roots.AddCert(c)
			}
		}
	}
	intermediates := x509.NewCertPool()
	for _, c := range rest {
		intermediates.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, DNSName: o.ServerName,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err == nil {
		return nil
	}
	var host x509.HostnameError
	if errors.As(err, &host) {
		return fmt.Errorf("%w: it is not for the name %s but for %v: start the collector with --tls-name %s, or call it by a name it has",
			ErrUntrusted, o.ServerName, names(leaf), o.ServerName)
	}
	presented := "no authority"
	if n := len(rest); n > 0 {
		presented = fmt.Sprintf("%s (%s)", rest[n-1].Subject.CommonName, PinOf(rest[n-1]))
	}
	return fmt.Errorf("%w: expected %s, presented was %s: check that the CA file or pin is this collector's (its data folder holds ca.pem): %w",
		ErrUntrusted, expected, presented, err)
}

func names(c *x509.Certificate) []string {
	all := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	return all
}
