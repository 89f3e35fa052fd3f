package enroll

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/pkg/tlsconf"
)

func TestAnAuthorityIsMadeOnce(t *testing.T) {
	o, dir := newOffice(t), filepath.Join(t.TempDir(), "ca")
	first, err := OpenAuthority(ctx, o.store, dir, PurposeDevice, epoch)
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenAuthority(ctx, o.store, dir, PurposeDevice, epoch.Add(time.Hour))
	if err != nil || again.Pin() != first.Pin() {
		t.Errorf("the second start: pin %v, want %v; %v", again.Pin(), first.Pin(), err)
	}
	server, err := OpenAuthority(ctx, o.store, dir, PurposeServer, epoch)
	if err != nil || server.Pin() == first.Pin() {
		t.Errorf("the authority of the server is not one of its own; %v", err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "device.pem"): 0o600, filepath.Join(dir, "server.pem"): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v, want mode %v", path, info, err, want)
		}
	}
	if _, err := OpenAuthority(ctx, o.store, dir, PurposeDevice, epoch.Add(authorityLife+time.Second)); err == nil || !strings.Contains(err.Error(), "ended on") {
		t.Errorf("an authority that ended: %v", err)
	}
}

// A crash after the file was written and before the store knew of it.
func TestAnAuthorityThatTheStoreDoesNotKnowIsTakenOver(t *testing.T) {
	dir := t.TempDir()
	first, err := OpenAuthority(ctx, newOffice(t).store, dir, PurposeDevice, epoch)
	if err != nil {
		t.Fatal(err)
	}
	// The crash before that leaves part of a file beside.
	if err := os.WriteFile(filepath.Join(dir, "device.pem.123"), []byte("-----BEGIN"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := newOffice(t)
	for range 2 {
		if again, err := OpenAuthority(ctx, other.store, dir, PurposeDevice, epoch); err != nil || again.Pin() != first.Pin() {
			t.Errorf("pin %v, want %v; %v", again.Pin(), first.Pin(), err)
		}
	}
}

func TestAnAuthorityThatDoesNotFitIsRefused(t *testing.T) {
	whole := func(path string) []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	other := filepath.Join(t.TempDir(), "device.pem")
	if err := authority(t, PurposeDevice).save(other); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		damage func(path string, b []byte) error
		want   string
	}{
		"missing":          {func(path string, _ []byte) error { return os.Remove(path) }, "is missing: restore"},
		"of another store": {func(path string, _ []byte) error { return os.WriteFile(path, whole(other), 0o600) }, "is not the device authority"},
		"empty":            {func(path string, _ []byte) error { return os.WriteFile(path, nil, 0o600) }, "does not hold a certificate and its key"},
		"cut short":        {func(path string, b []byte) error { return os.WriteFile(path, b[:len(b)-40], 0o600) }, "does not hold"},
		"key of another": {func(path string, b []byte) error {
			key, _, _ := strings.Cut(string(whole(other)), "-----BEGIN CERT")
			_, cert, _ := strings.Cut(string(b), "-----BEGIN CERT")
			return os.WriteFile(path, []byte(key+"-----BEGIN CERT"+cert), 0o600)
		}, "does not hold"},
		"bytes changed": {func(path string, b []byte) error {
			return os.WriteFile(path, []byte(strings.Replace(string(b), "\nM", "\nA", 1)), 0o600)
		}, "device.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			o, dir := newOffice(t), t.TempDir()
			if _, err := OpenAuthority(ctx, o.store, dir, PurposeDevice, epoch); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "device.pem")
			if err := tc.damage(path, whole(path)); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenAuthority(ctx, o.store, dir, PurposeDevice, epoch); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestTheServerCertificate(t *testing.T) {
	ca, now := authority(t, PurposeServer), epoch
	names, err := ServerNames("collector.example", "", "10.0.0.7", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServerCertificate(ca, names, func() time.Time { return now })
	first, err := s.Get()
	if err != nil {
		t.Fatal(err)
	}
	cert := leaf(t, first.Certificate)
	for _, name := range append(names, "::1") {
		_, err := cert.Verify(x509.VerifyOptions{Roots: ca.Pool(), DNSName: name, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		if err != nil {
			t.Errorf("as %s: %v", name, err)
		}
	}
	if err := cert.VerifyHostname("elsewhere.example"); err == nil {
		t.Error("the certificate is for any name")
	}
	root, err := x509.ParseCertificate(first.Certificate[1])
	if err != nil || tlsconf.PinOf(root) != ca.Pin() {
		t.Errorf("the chain ends with %v, not with the authority that agents pin; %v", root.Subject, err)
	}
	now = epoch.Add(serverLife*2/3 - time.Second)
	if again, err := s.Get(); err != nil || again != first {
		t.Errorf("it is renewed too early; %v", err)
	}
	now = epoch.Add(serverLife * 2 / 3)
	next, err := s.Get()
	if err != nil || next == first || next.PrivateKey == first.PrivateKey {
		t.Errorf("it is not renewed; %v", err)
	}
	if leaf(t, next.Certificate).NotAfter != now.Add(serverLife) {
		t.Error("the next certificate does not have its full life")
	}
	now = epoch.Add(authorityLife - time.Hour)
	if last, err := s.Get(); err != nil || leaf(t, last.Certificate).NotAfter.After(ca.cert.NotAfter) {
		t.Errorf("a certificate outlives its authority; %v", err)
	}
}
