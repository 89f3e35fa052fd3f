package ingest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"

	"google.golang.org/grpc/credentials"
)

// watched are the credentials of the listener, which count the handshakes that
// fail: whoever is refused there never reaches a call that could count it.
type watched struct {
	credentials.TransportCredentials
	service *Service
}

// Credentials returns the credentials of a listener with the given TLS
// configuration, which counts refused handshakes by reason.
func (s *Service) Credentials(conf *tls.Config) credentials.TransportCredentials {
	return &watched{TransportCredentials: credentials.NewTLS(conf), service: s}
}

// ServerHandshake is called for each new connection.
func (w *watched) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secure, info, err := w.TransportCredentials.ServerHandshake(conn)
	// Whoever connects and says nothing is a load balancer's health check.
	if err != nil && !errors.Is(err, io.EOF) {
		why := handshakeReason(err)
		w.service.metrics.rejected(why)
		w.service.log.Debug("handshake refused", "peer", conn.RemoteAddr().String(), "reason", why, "error", err)
	}
	return secure, info, err
}

// Clone returns credentials that count as well.
func (w *watched) Clone() credentials.TransportCredentials {
	return &watched{TransportCredentials: w.TransportCredentials.Clone(), service: w.service}
}

func handshakeReason(err error) string {
	var foreign x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &foreign):
		return "foreign_certificate"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "expired_certificate"
	}
	return "handshake"
}
