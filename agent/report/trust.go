package report

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/rollcall-itam/rollcall/pkg/tlsconf"
)

// Trust is whom the configuration tells an agent to trust before it has
// enrolled: the authorities of a CA file or, without one, one known by its pin.
type Trust struct {
	Authorities []*x509.Certificate
	Pin         tlsconf.Pin
}

// check tells whether there is anybody to trust.
func (t Trust) check() error {
	if len(t.Authorities) == 0 && t.Pin.IsZero() {
		return errors.New("no collector to trust: give its CA with --ca-file or --ca-pin (the collector's data folder holds ca.pem)")
	}
	return nil
}

// sum changes when the configuration does.
func (t Trust) sum() []byte {
	h := sha256.New()
	for _, c := range t.Authorities {
		h.Write(c.RawSubjectPublicKeyInfo)
	}
	h.Write(t.Pin[:])
	return h.Sum(nil)
}

// covers tells whether the configuration names an authority of id's bundle.
func (t Trust) covers(id *identity) bool {
	if id.knows(t.Authorities) {
		return true
	}
	for _, r := range id.roots {
		if tlsconf.PinOf(r) == t.Pin {
			return true
		}
	}
	return false
}

// before returns the TLS configuration of an agent that has not enrolled.
func (t Trust) before(name string) *tls.Config {
	o := tlsconf.ClientOptions{ServerName: name, Pin: t.Pin}
	if len(t.Authorities) > 0 {
		o.Roots = pool(t.Authorities)
	}
	return tlsconf.Client(o)
}

// tls returns the TLS configuration of an enrolled agent. From its enrolment
// on, the collector's own bundle says whom it trusts.
func (id *identity) tls(name string, sessions tls.ClientSessionCache) *tls.Config {
	certificate := id.certificate
	return tlsconf.Client(tlsconf.ClientOptions{
		ServerName: name, Roots: pool(id.roots), Sessions: sessions,
		Certificate: func() (*tls.Certificate, error) { return certificate, nil },
	})
}

func pool(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}
