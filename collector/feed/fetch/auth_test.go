package fetch

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
)

func TestTokensAreRenewedOnce(t *testing.T) {
	const auth = `
auth:
  renew_codes: [403]
  oauth2: {token_url: "${base}/token", client_id: c, client_secret: "${token}", ok: [201], params: {scope: read}}
`
	tokens, valid := 0, 0
	s := newSystem(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			tokens++
			r.ParseForm()
			if want := (url.Values{"grant_type": {"client_credentials"}, "client_id": {"c"}, "client_secret": {"s3cr3t-token"}, "scope": {"read"}}); cmp.Diff(want, r.PostForm) != "" {
				t.Error(cmp.Diff(want, r.PostForm))
			}
			w.WriteHeader(201)
			fmt.Fprintf(w, `{"access_token": "t%d", "expires_in": "1799"}`, tokens)
			return
		}
		if r.Header.Get("Authorization") != fmt.Sprintf("Bearer t%d", tokens) || valid == 0 && tokens == 1 {
			w.WriteHeader(403)
			return
		}
		valid++
		io.WriteString(w, `{"data": [{"id": 1}]}`)
	})
	f := s.fetcher(t, auth+stream, nil)
	if _, err := read(t.Context(), f, Bookmark{}); err != nil || tokens != 2 {
		t.Errorf("%v with %d tokens", err, tokens)
	}
	s.clock.Wait(t.Context(), time.Hour)
	if _, err := read(t.Context(), f, Bookmark{}); err != nil || tokens != 3 {
		t.Errorf("%v with %d tokens; a token that ended is not sent", err, tokens)
	}
	denied := newSystem(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		io.WriteString(w, `{"error": "invalid_client", "error_description": "bad secret s3cr3t-token"}`)
	})
	_, err := read(t.Context(), denied.fetcher(t, auth+stream, nil), Bookmark{})
	if KindOf(err) != Denied || !strings.Contains(err.Error(), `sign in: POST`) || strings.Contains(err.Error(), "s3cr3t") || len(denied.asked) != 1 {
		t.Errorf("%v after %d tries", err, len(denied.asked))
	}
}

func TestAssertion(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s := newSystem(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/token" {
			io.WriteString(w, `{"data": []}`)
			return
		}
		r.ParseForm()
		parts := strings.Split(r.PostForm.Get("client_assertion"), ".")
		if len(parts) != 3 || r.PostForm.Get("client_assertion_type") != assertionType || r.PostForm.Get("grant_type") != "client_credentials" {
			t.Errorf("form %v", r.PostForm)
			return
		}
		sig, _ := base64.RawURLEncoding.DecodeString(parts[2])
		digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		if len(sig) != 64 || !ecdsa.Verify(&key.PublicKey, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
			t.Error("the signature does not hold")
		}
		var claims map[string]any
		b, _ := base64.RawURLEncoding.DecodeString(parts[1])
		json.Unmarshal(b, &claims)
		if claims["iss"] != "me" || claims["aud"] != "them" || claims["exp"].(float64)-claims["iat"].(float64) != 60 || len(claims["jti"].(string)) != 32 {
			t.Errorf("claims %v", claims)
		}
		io.WriteString(w, `{"access_token": "t"}`)
	})
	const auth = `
auth:
  jwt: {token_url: "${base}/token", alg: ES256, key: "${key}", key_id: k1, grant: client_assertion, lifetime: 60s, claims: {iss: me, aud: them}}
`
	f := s.fetcher(t, auth+stream, map[string]string{"key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	if _, err := read(t.Context(), f, Bookmark{}); err != nil {
		t.Error(err)
	}
}

func TestPrivateAddressesAreRefused(t *testing.T) {
	s := newSystem(t, func(http.ResponseWriter, *http.Request) { t.Error("a private address was asked") })
	f := s.fetcher(t, stream, nil)
	client, err := NewClient(ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f.o.Client = client
	_, err = read(t.Context(), f, Bookmark{})
	if !errors.Is(err, ErrPrivate) || !strings.Contains(err.Error(), "allow_private") {
		t.Error(err)
	}
}

func TestRedirectsStayWithinOneHost(t *testing.T) {
	other := newSystem(t, func(http.ResponseWriter, *http.Request) { t.Error("credentials went to another host") })
	s := newSystem(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/devices", http.StatusFound)
	})
	if _, err := read(t.Context(), s.fetcher(t, stream, nil), Bookmark{}); !errors.Is(err, errRedirect) {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	m, err := manifest.Parse(strings.NewReader(`
schema: 1
name: acme
title: Acme
kind: mdm
base: https://${tenant}.example.com
settings:
  tenant: {type: host, help: The name before .example.com, example: acme}
  url: {type: url, default: "https://x.example.com"}
  token: {secret: true}
  region: {one_of: [us, eu], default: us}
` + stream))
	if err != nil {
		t.Fatal(err)
	}
	env := func(name string) string { return map[string]string{"TOKEN": "from-env"}[name] }
	s, err := NewSettings(m, map[string]string{"tenant": "acme", "token": "env:TOKEN"}, env)
	if err != nil || s["token"] != "from-env" || s["region"] != "us" {
		t.Errorf("%v %v", s, err)
	}
	for name, c := range map[string]struct {
		given map[string]string
		want  string
	}{
		"missing":     {map[string]string{"token": "x"}, `setting "tenant": is missing: The name before .example.com (example: acme)`},
		"unknown":     {map[string]string{"token": "x", "tenant": "a", "tokem": "y"}, `setting "tokem" is not one of acme: region, tenant, token, url`},
		"host":        {map[string]string{"token": "x", "tenant": "evil.com/"}, "want a host name"},
		"plain http":  {map[string]string{"token": "x", "tenant": "a", "url": "http://example.com"}, "credentials do not travel in the clear"},
		"choice":      {map[string]string{"token": "x", "tenant": "a", "region": "mars"}, "want one of us, eu"},
		"environment": {map[string]string{"token": "env:NONE", "tenant": "a"}, "NONE of the environment is not set"},
		"file":        {map[string]string{"token": "file:/nowhere/at/all", "tenant": "a"}, "no such file"},
		"line break":  {map[string]string{"token": "x\r\nEvil: 1", "tenant": "a"}, "line break"},
	} {
		if _, err := NewSettings(m, c.given, env); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want one that says %q", name, err, c.want)
		}
	}
}
