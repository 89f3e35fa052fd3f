package signin

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Bounds of asking a provider.
const (
	askTimeout = 10 * time.Second
	maxAnswer  = 1 << 20
	// retryFirst and retryLast are between attempts to reach a provider that does
	// not answer, and retryAsked is how soon a person who waits may cause another.
	retryFirst = time.Second
	retryLast  = 5 * time.Minute
	retryAsked = 2 * time.Second
	// renewEvery is how often a provider's description is read anew.
	renewEvery = 12 * time.Hour
	// leeway is how far the provider's clock may be from ours.
	leeway = 2 * time.Minute
)

// provider is the OpenID Connect provider of the settings. What it says of itself
// is read when it can be reached, and kept.
type provider struct {
	settings Settings
	client   *http.Client
	now      func() time.Time
	log      *slog.Logger

	// asking is held by who reads the provider's description.
	asking chan struct{}
	mu     sync.Mutex
	known  *description
	failed error
	tried  time.Time
}

// description is what a provider says of itself.
type description struct {
	provider *oidc.Provider
	verifier *oidc.IDTokenVerifier
	oauth    oauth2.Config
	// named tells whether the provider says in each answer who it is.
	named bool
}

func newProvider(s Settings, log *slog.Logger, now func() time.Time) (*provider, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		pem, err := readCA(s.CAFile)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file %s holds no PEM certificate", s.CAFile)
		}
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 2,
		IdleConnTimeout: time.Minute, TLSHandshakeTimeout: askTimeout, MaxResponseHeaderBytes: 64 << 10}
	client := &http.Client{Timeout: askTimeout, Transport: bounded{transport},
		// A secret must not follow to where a redirect leads.
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			return fmt.Errorf("it sends on to %s, which is not followed", r.URL.Host)
		}}
	return &provider{settings: s, client: client, now: now, log: log, asking: make(chan struct{}, 1)}, nil
}

// bounded reads no more of an answer than a provider has to say.
type bounded struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// run reads what the provider says of itself, again and again until it answers,
// and anew from time to time, until ctx ends.
func (p *provider) run(ctx context.Context) error {
	pace := backoff.NewExponentialBackOff()
	pace.InitialInterval, pace.MaxInterval = retryFirst, retryLast
	failing := false
	for {
		wait := renewEvery
		_, err := p.describe(ctx, true)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			wait = pace.NextBackOff()
			if !failing {
				p.log.Warn("sign-in provider is not reachable: nobody can sign in until it is; tokens and sessions are not affected", "issuer", p.settings.Issuer, "error", err)
			}
			failing = true
		default:
			if failing {
				p.log.Info("sign-in provider is reachable", "issuer", p.settings.Issuer)
			}
			failing = false
			pace.Reset()
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// describe returns what the provider says of itself. Where nothing is known yet
// it asks, or waits for who asks just now, unless that has just failed; fresh asks
// in any case. What was known
// stays known when the provider cannot be reached.
func (p *provider) describe(ctx context.Context, fresh bool) (*description, error) {
	if known, settled, err := p.held(); settled && !fresh && (err == nil || len(p.asking) == 0) {
		return known, err
	}
	select {
	case p.asking <- struct{}{}:
		defer func() { <-p.asking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if known, settled, err := p.held(); settled && !fresh {
		return known, err
	}
	d, err := p.discover(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err() // which says nothing of the provider
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tried, p.failed = p.now(), err
	if err == nil {
		p.known = d
	}
	return d, err
}

// held returns what is known, or why nothing is; settled is false where it is
// time to ask.
func (p *provider) held() (d *description, settled bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known != nil {
		return p.known, true, nil
	}
	return nil, p.failed != nil && p.now().Sub(p.tried) < retryAsked, p.failed
}

// up tells whether the provider answered when it was asked last.
func (p *provider) up() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known != nil && p.failed == nil
}

// discover asks the provider to describe itself.
func (p *provider) discover(ctx context.Context) (*description, error) {
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.settings.Issuer)
	if err != nil {
		return nil, fmt.Errorf("read %s/.well-known/openid-configuration: %w", p.settings.Issuer, shorten(err))
	}
	var says struct {
		JWKS    string   `json:"jwks_uri"`
		Methods []string `json:"token_endpoint_auth_methods_supported"`
		PKCE    []string `json:"code_challenge_methods_supported"`
		Named   bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if err := found.Claims(&says); err != nil {
		return nil, fmt.Errorf("read %s/.well-known/openid-configuration: %w", p.settings.Issuer, err)
	}
	endpoint := found.Endpoint()
	for name, address := range map[string]string{"authorization_endpoint": endpoint.AuthURL, "token_endpoint": endpoint.TokenURL, "jwks_uri": says.JWKS,
		"userinfo_endpoint": cmp.Or(found.UserInfoEndpoint(), endpoint.TokenURL), "device_authorization_endpoint": cmp.Or(endpoint.DeviceAuthURL, endpoint.TokenURL)} {
		if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && onLoopback(u)) {
			return nil, fmt.Errorf("the provider's %s is %.200q, and not https", name, address)
		}
	}
	if endpoint.AuthStyle, err = p.authStyle(says.Methods, says.PKCE); err != nil {
		return nil, err
	}
	d := &description{provider: found, named: says.Named}
	// Expiry is checked here, with a leeway.
	d.verifier = found.VerifierContext(oidc.ClientContext(context.Background(), p.client), &oidc.Config{ClientID: p.settings.ClientID, SkipExpiryCheck: true})
	d.oauth = oauth2.Config{ClientID: p.settings.ClientID, ClientSecret: p.settings.ClientSecret, Endpoint: endpoint, RedirectURL: p.settings.URL + CallbackPath, Scopes: p.settings.Scopes}
	return d, nil
}

// authStyle tells how the collector shows the provider who it is.
func (p *provider) authStyle(methods, pkce []string) (oauth2.AuthStyle, error) {
	switch {
	case p.settings.ClientSecret == "" && pkce != nil && !slices.Contains(pkce, "S256"):
		return 0, errors.New("the provider does not know PKCE with S256, without which a client needs a secret: set client_secret")
	case p.settings.ClientSecret == "":
		return oauth2.AuthStyleInParams, nil
	case methods == nil || slices.Contains(methods, "client_secret_basic"):
		return oauth2.AuthStyleInHeader, nil
	case slices.Contains(methods, "client_secret_post"):
		return oauth2.AuthStyleInParams, nil
	}
	return 0, fmt.Errorf("the provider takes no client secret, only %v: register a public client, without a secret", methods)
}

// shorten leaves out what a provider answered: an error page says nothing to who
// reads a log.
func shorten(err error) error {
	line, _, _ := bytes.Cut([]byte(err.Error()), []byte("\n"))
	if len(line) > 300 {
		line = append(line[:300:300], "..."...)
	}
	return errors.New(shownLine(line))
}

func shownLine(b []byte) string { return string(bytes.ToValidUTF8(bytes.TrimSpace(b), nil)) }

// exchange has the provider say who a code is about. The error is a Refusal.
func (p *provider) exchange(ctx context.Context, d *description, code, verifier, nonce string) (claims, error) {
	ctx = oidc.ClientContext(ctx, p.client)
	token, err := d.oauth.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, refusedExchange(err)
	}
	return p.identify(ctx, d, token, nonce)
}

func refusedExchange(err error) *Refusal {
	var said *oauth2.RetrieveError
	if !errors.As(err, &said) {
		r := refuse(Unreachable, "the provider cannot be reached: try again in a minute")
		r.Cause = shorten(err)
		return r
	}
	r := refuse(Broken, "the provider did not take the sign-in (%s): try again", shown(said.ErrorCode))
	if said.ErrorCode == "invalid_client" || said.ErrorCode == "unauthorized_client" {
		r.Text = "the provider does not know this collector: an administrator has to correct client_id or client_secret"
	}
	r.Cause = fmt.Errorf("the token endpoint answers %d: %s %s", said.Response.StatusCode, shown(said.ErrorCode), shown(said.ErrorDescription))
	return r
}

// identify returns the claims of a token of the provider once they are proven. An
// empty nonce is not asked for.
func (p *provider) identify(ctx context.Context, d *description, token *oauth2.Token, nonce string) (claims, error) {
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return nil, refuse(Broken, "the provider does not say who signed in: an administrator has to add openid to scopes")
	}
	id, err := d.verifier.Verify(ctx, raw)
	if err != nil {
		r := refuse(Broken, "what the provider says of you is not proven: try again; the collector's log says why")
		r.Cause = shorten(err)
		return nil, r
	}
	now := p.now()
	switch ahead, past := id.IssuedAt.Sub(now), now.Sub(id.Expiry); {
	case nonce != "" && id.Nonce != nonce:
		return nil, refuse(Forged, "this answer of the provider belongs to another sign-in: run `rollcall login` again")
	case ahead > leeway:
		return nil, refuse(Broken, "the clocks of the collector and of the provider are %s apart: an administrator has to set them right", ahead.Round(time.Second))
	case past > leeway:
		return nil, refuse(Expired, "what the provider says of you ended %s ago: if that is not so, the collector's clock is wrong", past.Round(time.Second))
	}
	c := claims{}
	if err := decodeClaims(id, &c); err != nil {
		r := refuse(Broken, "what the provider says of you cannot be read: the collector's log says why")
		r.Cause = err
		return nil, r
	}
	if azp := text(c["azp"]); len(id.Audience) > 1 && azp != p.settings.ClientID || azp != "" && azp != p.settings.ClientID {
		return nil, refuse(Forged, "this answer of the provider is for another application: run `rollcall login` again")
	}
	if p.settings.needs(c) && d.provider.UserInfoEndpoint() != "" {
		if err := p.ask(ctx, d, token, c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// ask adds to the claims what only the provider's userinfo endpoint says.
func (p *provider) ask(ctx context.Context, d *description, token *oauth2.Token, c claims) error {
	info, err := d.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	more := claims{}
	if err == nil {
		err = decodeClaims(info, &more)
	}
	switch {
	case err != nil:
		r := refuse(Unreachable, "the provider does not say enough of you: try again in a minute; the collector's log says why")
		r.Cause = shorten(err)
		return r
	case more["sub"] != c["sub"]:
		return refuse(Forged, "the provider speaks of two people: run `rollcall login` again")
	}
	// Whether an address is verified is true of the address beside it only.
	if _, ok := c[verifiedClaim]; !ok && more[emailClaim] != nil {
		delete(c, emailClaim)
	}
	for name, v := range more {
		if _, ok := c[name]; !ok {
			c[name] = v
		}
	}
	return nil
}

// decodeClaims reads claims with numbers as they are written.
func decodeClaims(from interface{ Claims(any) error }, into *claims) error {
	var raw json.RawMessage
	if err := from.Claims(&raw); err != nil {
		return fmt.Errorf("read the claims: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read the claims: %w", err)
	}
	return nil
}
