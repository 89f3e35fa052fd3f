package report

import (
	"crypto/x509"
	"strings"
	"testing"
)

// A name that the machine may have, however odd, must not keep it from
// enrolling.
func TestRequestForAnyHostname(t *testing.T) {
	for name, want := range map[string]struct{ hostname, cn string }{
		"empty":                   {"", ""},
		"plain":                   {"laptop-17", "laptop-17"},
		"of 64 bytes":             {strings.Repeat("a", 64), strings.Repeat("a", 64)},
		"longer than a name":      {strings.Repeat("a", 600), strings.Repeat("a", 64)},
		"cut inside a character":  {strings.Repeat("a", 63) + "é.example", strings.Repeat("a", 63)},
		"in another encoding":     {"b\xfcro-17", "b?ro-17"},
		"with control characters": {"a\x00b\nc", "a b c"},
	} {
		t.Run(name, func(t *testing.T) {
			key, der, err := newRequest(want.hostname)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parseKey(key); err != nil {
				t.Error(err)
			}
			csr, err := x509.ParseCertificateRequest(der)
			if err != nil {
				t.Fatal(err)
			}
			if err := csr.CheckSignature(); err != nil {
				t.Error(err)
			}
			if cn := csr.Subject.CommonName; cn != want.cn {
				t.Errorf("hostname %q became %q, want %q", want.hostname, cn, want.cn)
			}
		})
	}
}
