package main

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
	"github.com/rollcall-itam/rollcall/collector/signin"
)

// signInSettings fills what the configuration says of the provider that lets people
// in. Where it does not say how browsers reach the collector, notifications may.
func signInSettings(said *signin.Settings, link string) *signin.Settings {
	if said == nil {
		return nil
	}
	s := *said
	if s.URL == "" {
		s.URL = link
	}
	s = s.Filled()
	return &s
}

// newSignIn makes ready how people sign in; nil where they cannot. The provider
// is not asked yet.
func newSignIn(s settings, c *core, log *slog.Logger) (*signin.Flow, error) {
	if s.OIDC == nil {
		return nil, nil
	}
	o := *s.OIDC
	var err error
	if o.ClientSecret, err = fetch.Dereference(o.ClientSecret, os.Getenv); err != nil {
		return nil, fmt.Errorf("oidc: client_secret: %w", err)
	}
	flow, err := signin.New(o, log, time.Now)
	if err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	c.tokens.UseBasis(flow.Basis())
	return flow, nil
}
