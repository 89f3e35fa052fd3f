package report

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

const (
	keyType         = "PRIVATE KEY"
	certificateType = "CERTIFICATE"
)

// newRequest makes a device key and the certificate request that it signs.
func newRequest(hostname string) (keyPEM string, csr []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", nil, fmt.Errorf("make a device key: %w", err)
	}
	csr, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		// The collector chooses the certificate's name; this one is for people.
		Subject: pkix.Name{CommonName: commonName(hostname)},
	}, key)
	if err != nil {
		return "", nil, fmt.Errorf("make a certificate request: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", nil, fmt.Errorf("encode the device key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: keyType, Bytes: der})), csr, nil
}

// commonName makes a hostname fit for a certificate request, which takes 64
// bytes (RFC 5280, ub-common-name) of valid UTF-8.
func commonName(hostname string) string {
	name := clip(hostname)
	// The cut may fall within a character.
	return strings.ToValidUTF8(name[:min(len(name), 64)], "")
}

func parseKey(text string) (*ecdsa.PrivateKey, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != keyType || len(rest) != 0 {
		return nil, errors.New("the device key is not one PEM private key")
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse the device key: %w", err)
	}
	key, ok := k.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("the device key is not an ECDSA P-256 key")
	}
	return key, nil
}

// parseCertificates reads DER certificates, at least one.
func parseCertificates(ders [][]byte) ([]*x509.Certificate, error) {
	if len(ders) == 0 {
		return nil, errors.New("no certificate")
	}
	out := make([]*x509.Certificate, 0, len(ders))
	for _, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("parse a certificate: %w", err)
		}
		out = append(out, c)
	}
	return out, nil
}

// ParseCAFile reads the certificates of a PEM file, at least one.
func ParseCAFile(text []byte) ([]*x509.Certificate, error) {
	var ders [][]byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == certificateType {
			ders = append(ders, block.Bytes)
		}
	}
	certs, err := parseCertificates(ders)
	if err != nil {
		return nil, fmt.Errorf("CA file: want PEM certificates, as in the collector's ca.pem: %w", err)
	}
	return certs, nil
}
