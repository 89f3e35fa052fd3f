package enroll

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/pkg/tlsconf"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Purposes of an authority.
const (
	// PurposeDevice signs the certificates of agents.
	PurposeDevice = "device"
	// PurposeServer signs the collector's own; agents pin it.
	PurposeServer = "server"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	serverLife    = 90 * 24 * time.Hour
	// backdate forgives clocks that are behind ours.
	backdate = time.Hour
)

// Authority is a certificate authority whose key lies in the data folder.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// OpenAuthority loads the authority for a purpose from dir, or makes it at the
// first start, and records its public part in the store. It may be interrupted
// at any point and repeated. A store that knows an authority whose key is
// missing or another is refused: agents would be locked out for good.
func OpenAuthority(ctx context.Context, st *store.Store, dir, purpose string, now time.Time) (*Authority, error) {
	path := filepath.Join(dir, purpose+".pem")
	known, err := knownAuthority(ctx, st, purpose)
	if err != nil {
		return nil, fmt.Errorf("look up the %s authority: %w", purpose, err)
	}
	a, err := loadAuthority(path)
	if errors.Is(err, fs.ErrNotExist) {
		if known != nil {
			return nil, fmt.Errorf("the key of the %s authority is missing: restore %s from a backup of the data folder", purpose, path)
		}
		if a, err = newAuthority(purpose, now); err == nil {
			err = a.save(path)
		}
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s authority: %w", purpose, err)
	case now.After(a.cert.NotAfter):
		return nil, fmt.Errorf("the %s authority %s ended on %s: no agent can use it; start with a new data folder and enrol them anew", purpose, path, a.cert.NotAfter.Format(time.DateOnly))
	case known == nil:
		if err := a.record(ctx, st, purpose, now); err != nil {
			return nil, fmt.Errorf("record the %s authority: %w", purpose, err)
		}
	case !bytes.Equal(known.GetCertificate(), a.cert.Raw):
		return nil, fmt.Errorf("%s is not the %s authority that this store was made with: restore the one from its backup", path, purpose)
	}
	return a, nil
}

func (a *Authority) record(ctx context.Context, st *store.Store, purpose string, now time.Time) error {
	return st.Update(ctx, func(tx *store.Tx) error {
		return tx.PutAuthority(&storagepb.AuthorityRecord{Id: purpose + "-1", Purpose: purpose, State: "active", Certificate: a.cert.Raw, CreatedAt: timestamppb.New(now)})
	})
}

func knownAuthority(ctx context.Context, st *store.Store, purpose string) (known *storagepb.AuthorityRecord, err error) {
	err = st.View(ctx, func(tx *store.Tx) error {
		return tx.ScanAuthorities(func(r *storagepb.AuthorityRecord) error {
			if r.GetPurpose() == purpose && r.GetState() == "active" {
				known = r
			}
			return nil
		})
	})
	return known, err
}

func newAuthority(purpose string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Rollcall " + purpose + " CA"},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &Authority{cert: cert, key: key}, err
}

// newSerial returns a random serial number of 127 bits.
func newSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}

// save writes key and certificate into one file, whole or not at all.
func (a *Authority) save(path string) error {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the folder of the authorities: %w", err)
	}
	content := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), a.PEM()...)
	return WriteFile(path, content, 0o600)
}

// WriteFile writes a file whole or not at all, and durably.
func WriteFile(path string, content []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(f.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err == nil {
		err = errors.Join(dir.Sync(), dir.Close())
	}
	if err != nil {
		return fmt.Errorf("write %s durably: %w", path, err)
	}
	return nil
}

func loadAuthority(path string) (*Authority, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	a := new(Authority)
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "PRIVATE KEY":
			key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			a.key, _ = key.(*ecdsa.PrivateKey)
		case "CERTIFICATE":
			if a.cert, err = x509.ParseCertificate(block.Bytes); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	if a.key == nil || a.cert == nil || !a.key.PublicKey.Equal(a.cert.PublicKey) {
		return nil, fmt.Errorf("%s does not hold a certificate and its key: restore it from a backup of the data folder", path)
	}
	return a, nil
}

// PEM returns the authority's certificate, as agents want it in a CA file.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// Pin names the authority.
func (a *Authority) Pin() tlsconf.Pin { return tlsconf.PinOf(a.cert) }

// Pool returns a pool that trusts only this authority.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// issueClient returns the certificate of an agent, DER.
func (a *Authority) issueClient(key *ecdsa.PublicKey, agentID string, now time.Time, life time.Duration) ([]byte, error) {
	return a.issue(key, now, life, &x509.Certificate{Subject: pkix.Name{CommonName: agentID},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

func (a *Authority) issue(key *ecdsa.PublicKey, now time.Time, life time.Duration, template *x509.Certificate) ([]byte, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template.SerialNumber, template.KeyUsage = serial, x509.KeyUsageDigitalSignature
	template.NotBefore, template.NotAfter = now.Add(-backdate), now.Add(life)
	if a.cert.NotAfter.Before(template.NotAfter) {
		template.NotAfter = a.cert.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s: %w", template.Subject.CommonName, err)
	}
	return der, nil
}

// ServerCertificate is the collector's own certificate, made anew at each start
// and again when two thirds of its life have passed.
type ServerCertificate struct {
	authority *Authority
	names     []string
	now       func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	renewAt time.Time
}

// ServerNames returns the host names and addresses by which this machine's
// collector is called: itself, by its host name, and what was configured.
func ServerNames(configured ...string) ([]string, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("look up the host name: %w", err)
	}
	var names []string
	for _, n := range append([]string{"localhost", "127.0.0.1", "::1", host}, configured...) {
		if n != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names, nil
}

// NewServerCertificate returns the certificate of a server that is called by
// the given host names and addresses; see ServerNames.
func NewServerCertificate(a *Authority, names []string, now func() time.Time) *ServerCertificate {
	return &ServerCertificate{authority: a, names: names, now: now}
}

// Get returns the certificate to show, with its authority.
func (s *ServerCertificate) Get() (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.current != nil && now.Before(s.renewAt) {
		return s.current, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the server's key: %w", err)
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "rollcall-collector"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, n := range s.names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := s.authority.issue(&key.PublicKey, now, serverLife, template)
	if err != nil {
		return nil, err
	}
	s.current = &tls.Certificate{Certificate: [][]byte{der, s.authority.cert.Raw}, PrivateKey: key}
	s.renewAt = now.Add(serverLife * 2 / 3)
	return s.current, nil
}
