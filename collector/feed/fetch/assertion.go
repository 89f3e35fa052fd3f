package fetch

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
)

// assertionType is the client_assertion_type of RFC 7523, 2.2.
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// signer signs assertions by one key.
type signer struct {
	alg  string
	sign func(digest []byte) ([]byte, error)
}

// newSigner reads the private key that the settings hold.
func newSigner(f *Fetcher, a *manifest.JWTAuth) (*signer, error) {
	text, err := a.Key.Fill(f.value(nil), nil)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("the private key: %w", err)
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if a.Alg == "RS256" && key.N.BitLen() >= 2048 {
			return &signer{"RS256", func(d []byte) ([]byte, error) { return rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, d) }}, nil
		}
	case *ecdsa.PrivateKey:
		if a.Alg == "ES256" && key.Curve.Params().BitSize == 256 {
			return &signer{"ES256", func(d []byte) ([]byte, error) { return signES256(key, d) }}, nil
		}
	}
	return nil, fmt.Errorf("the private key does not fit %s: want an RSA key of 2048 bits or more for RS256, a P-256 key for ES256", a.Alg)
}

// signES256 writes a signature as JWS has it: r and s, 32 bytes each (RFC 7518,
// 3.4).
func signES256(key *ecdsa.PrivateKey, digest []byte) ([]byte, error) {
	r, s, err := ecdsa.Sign(rand.Reader, key, digest)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	b := make([]byte, 64)
	r.FillBytes(b[:32])
	s.FillBytes(b[32:])
	return b, nil
}

// parseKey reads a private key: PKCS #8, PKCS #1 or SEC 1 in PEM form.
func parseKey(text string) (any, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("want PEM form: -----BEGIN PRIVATE KEY-----")
	}
	switch block.Type {
	case "PRIVATE KEY":
		return x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	}
	return nil, fmt.Errorf("%q is no private key without a passphrase", block.Type)
}

// assertion exchanges a signed assertion for a token (RFC 7523).
func (f *Fetcher) assertion(ctx context.Context, a *manifest.JWTAuth, s *signer) (token, error) {
	jwt, err := f.signed(a, s)
	if err != nil {
		return token{}, err
	}
	form := url.Values{}
	if err := f.form(form, a.Params); err != nil {
		return token{}, err
	}
	if a.Grant == "jwt_bearer" {
		form.Set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
		form.Set("assertion", jwt)
	} else {
		form.Set("grant_type", "client_credentials")
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", jwt)
	}
	return f.tokenCall(ctx, a.TokenURL, form, http.Header{}, nil)
}

// signed makes a new assertion.
func (f *Fetcher) signed(a *manifest.JWTAuth, s *signer) (string, error) {
	header := map[string]any{"alg": s.alg, "typ": "JWT"}
	if a.KeyID != "" {
		kid, err := f.text(a.KeyID, nil)
		if err != nil {
			return "", err
		}
		header["kid"] = kid
	}
	life := time.Duration(a.Lifetime)
	if life == 0 {
		life = 5 * time.Minute
	}
	now := f.o.Now()
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return "", fmt.Errorf("make an assertion: %w", err)
	}
	claims := map[string]any{"iat": now.Unix(), "exp": now.Add(life).Unix(), "jti": hex.EncodeToString(id)}
	for name, t := range a.Claims {
		v, err := f.text(t, nil)
		if err != nil {
			return "", err
		}
		claims[name] = v
	}
	return s.jwt(header, claims)
}

// jwt writes and signs a token in compact form (RFC 7515, 7.1).
func (s *signer) jwt(header, claims map[string]any) (string, error) {
	var parts []string
	for _, m := range []map[string]any{header, claims} {
		b, err := json.Marshal(m)
		if err != nil {
			return "", fmt.Errorf("make an assertion: %w", err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(b))
	}
	signing := strings.Join(parts, ".")
	digest := sha256.Sum256([]byte(signing))
	signature, err := s.sign(digest[:])
	if err != nil {
		return "", err
	}
	return signing + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
