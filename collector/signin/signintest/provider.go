// Package signintest runs an OpenID Connect provider on loopback that signs in
// whoever it is told to.
package signintest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// The application that the provider knows.
const (
	ClientID = "rollcall"
	Secret   = "between-the-two-of-us"
	password = "password"
)

// Person is who is at the browser.
type Person struct {
	ID, Email, Name string
	Verified        bool
	Groups          []string
	// More are further claims.
	More map[string]any
}

// Provider is a provider of zitadel/oidc whose login page asks nothing.
type Provider struct {
	// URL is its issuer.
	URL string

	t      testing.TB
	server *httptest.Server

	mu      sync.Mutex
	handler http.Handler
	store   *store
	key     *key
	person  Person
	gone    bool
	// onAuth may change what a browser asks for.
	onAuth func(url.Values)
	calls  map[string]int
	// called hears of calls.
	called chan struct{}
}

// New starts a provider, for an application that people are sent back to at
// redirect. An application without a secret is a public client.
func New(t testing.TB, secret string, redirect ...string) *Provider {
	t.Helper()
	p := &Provider{t: t, calls: map[string]int{}, called: make(chan struct{}, 1)}
	p.server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.server.Close)
	p.URL = p.server.URL
	c := storage.WebClient(ClientID, secret, redirect...)
	if secret == "" {
		c = storage.NativeClient(ClientID, redirect...)
	}
	p.store = &store{Storage: storage.NewStorageWithClients(users{p}, map[string]*storage.Client{ClientID: c}), provider: p}
	p.RotateKey()
	conf := &op.Config{CryptoKey: sha256.Sum256([]byte("test")), CryptoKeyId: "1", CodeMethodS256: true, AuthMethodPost: true,
		DeviceAuthorization: op.DeviceAuthorizationConfig{Lifetime: 5 * time.Minute, PollInterval: time.Second, UserFormPath: "/device", UserCode: op.UserCodeBase20}}
	made, err := op.NewProvider(conf, p.store, op.StaticIssuer(p.URL), op.WithAllowInsecure(), op.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	back := op.AuthCallbackURL(made)
	mux := http.NewServeMux()
	mux.Handle("/", made)
	mux.HandleFunc("/login/username", func(w http.ResponseWriter, r *http.Request) {
		id := r.FormValue("authRequestID")
		if err := p.store.CheckUsernamePassword(p.who().Email, password, id); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		http.Redirect(w, r, back(op.ContextWithIssuer(r.Context(), p.URL), id), http.StatusFound)
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handler = mux
	return p
}

func (p *Provider) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	down, handler := p.gone, p.handler
	p.calls[r.URL.Path]++
	select {
	case p.called <- struct{}{}:
	default:
	}
	if r.URL.Path == "/authorize" && p.onAuth != nil {
		q := r.URL.Query()
		p.onAuth(q)
		r.URL.RawQuery = q.Encode()
	}
	p.mu.Unlock()
	if down {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close() // which is all that the other side sees
		}
		return
	}
	handler.ServeHTTP(w, r)
}

// SignsIn says who is at the browser from now on.
func (p *Provider) SignsIn(who Person) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.person = who
}

func (p *Provider) who() Person {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.person
}

// Down has the provider break every connection, or no longer.
func (p *Provider) Down(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = down
}

// OnAuth has fn change what browsers ask for.
func (p *Provider) OnAuth(fn func(url.Values)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onAuth = fn
}

// Calls tells how often a path was asked for.
func (p *Provider) Calls(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[path]
}

// Await waits until the provider is asked something.
func (p *Provider) Await(t testing.TB) {
	t.Helper()
	select {
	case <-p.called:
	case <-time.After(10 * time.Second):
		t.Fatal("the provider is not asked")
	}
}

// RotateKey makes a new key; those of before are no longer known.
func (p *Provider) RotateKey() {
	p.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.key = &key{id: fmt.Sprintf("%x", k.X.Bytes()[:4]), private: k}
}

// Confirm is what the person at another device does with a code.
func (p *Provider) Confirm(code string) error {
	return p.store.CompleteDeviceAuthorization(context.Background(), strings.TrimSpace(code), p.who().ID)
}

// Deny refuses a code.
func (p *Provider) Deny(code string) error {
	return p.store.DenyDeviceAuthorization(context.Background(), strings.TrimSpace(code))
}

// Browser is a browser with cookies, which follows where it is sent.
func Browser(t testing.TB) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport, Timeout: 10 * time.Second}
}

// key signs what the provider says.
type key struct {
	id      string
	private *ecdsa.PrivateKey
}

func (k *key) ID() string                                  { return k.id }
func (k *key) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.ES256 }
func (k *key) Algorithm() jose.SignatureAlgorithm          { return jose.ES256 }
func (k *key) Use() string                                 { return "sig" }
func (k *key) Key() any                                    { return k.private }

// public is the part of a key that everybody may see.
type public struct{ *key }

func (k public) Key() any { return &k.private.PublicKey }

// users are those whom the provider knows: who is at the browser.
type users struct{ provider *Provider }

func (u users) GetUserByID(string) *storage.User {
	who := u.provider.who()
	first, last, _ := strings.Cut(who.Name, " ")
	return &storage.User{ID: who.ID, Username: who.Email, Password: password, FirstName: first, LastName: last, Email: who.Email, EmailVerified: who.Verified}
}
func (u users) GetUserByUsername(name string) *storage.User { return u.GetUserByID(name) }
func (u users) ExampleClientID() string                     { return "service" }

// store is the example's, with groups and keys that change.
type store struct {
	*storage.Storage
	provider *Provider
}

func (s *store) signing() *key {
	s.provider.mu.Lock()
	defer s.provider.mu.Unlock()
	return s.provider.key
}

func (s *store) SigningKey(context.Context) (op.SigningKey, error) { return s.signing(), nil }
func (s *store) KeySet(context.Context) ([]op.Key, error)          { return []op.Key{public{s.signing()}}, nil }
func (s *store) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.ES256}, nil
}

func (s *store) claims(info *oidc.UserInfo) {
	who := s.provider.who()
	if who.Groups != nil {
		info.AppendClaims("groups", who.Groups)
	}
	for name, v := range who.More {
		info.AppendClaims(name, v)
	}
}

func (s *store) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, r op.IDTokenRequest, scopes []string) error {
	s.claims(info)
	return s.Storage.SetUserinfoFromRequest(ctx, info, r, scopes)
}

func (s *store) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, tokenID, subject, origin string) error {
	s.claims(info)
	return s.Storage.SetUserinfoFromToken(ctx, info, tokenID, subject, origin)
}

// GetClientByClientID lets the application use codes for other devices too.
func (s *store) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := s.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return application{c}, nil
}

type application struct{ op.Client }

func (application) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeDeviceCode}
}

// DevMode takes addresses without TLS.
func (application) DevMode() bool { return true }
