package tlsconf

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
)

const pinPrefix = "sha256:"

// Pin names a certificate authority by the SHA-256 of its public key
// (SubjectPublicKeyInfo), so that it stays the same when the certificate is
// renewed. The zero Pin names none.
type Pin [sha256.Size]byte

// PinOf returns the pin of an authority's certificate.
func PinOf(ca *x509.Certificate) Pin { return sha256.Sum256(ca.RawSubjectPublicKeyInfo) }

// ParsePin reads "sha256:" and 64 hexadecimal digits; colons between the digits
// are allowed.
func ParsePin(s string) (Pin, error) {
	digits, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(s)), pinPrefix)
	b, err := hex.DecodeString(strings.ReplaceAll(digits, ":", ""))
	if !ok || err != nil || len(b) != len(Pin{}) {
		return Pin{}, fmt.Errorf("CA pin %q: want sha256: and 64 hexadecimal digits, as the collector prints it", s)
	}
	return Pin(b), nil
}

// String returns the pin as ParsePin reads it.
func (p Pin) String() string { return pinPrefix + hex.EncodeToString(p[:]) }

// IsZero tells whether the pin names no authority.
func (p Pin) IsZero() bool { return p == Pin{} }
