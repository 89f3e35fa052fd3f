// Package fetch asks a vendor's system for records, page by page, as a
// manifest says.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/record"
)

// Options are what a fetcher works with.
type Options struct {
	Manifest *manifest.Manifest
	// Settings are the values of the manifest's settings, as Settings made them.
	Settings Settings
	Client   *http.Client
	Logger   *slog.Logger
	Now      func() time.Time
	// Wait waits, or ends early with the error of ctx.
	Wait func(ctx context.Context, d time.Duration) error
	// Answered, if not nil, hears of every answer; code is 0 for none.
	Answered func(code int)
}

// Fetcher reads from one system with one set of credentials. It may be used by
// many goroutines at once.
type Fetcher struct {
	o       Options
	limit   *rate.Limiter
	auth    authorizer
	secrets *strings.Replacer

	mu sync.Mutex
	// pausedUntil is when a system that had no allowance left has some again.
	pausedUntil time.Time
}

// New returns a fetcher. It asks for nothing yet.
func New(o Options) (*Fetcher, error) {
	if o.Client.CheckRedirect == nil {
		// Credentials in headers of the vendor's own would follow a redirect anywhere.
		client := *o.Client
		client.CheckRedirect = sameHost
		o.Client = &client
	}
	f := &Fetcher{o: o, limit: rate.NewLimiter(rate.Limit(o.Manifest.Limit.PerSecond), o.Manifest.Limit.Burst), secrets: o.Settings.masker(o.Manifest)}
	var err error
	if f.auth, err = newAuthorizer(f, o.Manifest.Auth); err != nil {
		return nil, err
	}
	return f, nil
}

// value returns what fills a hole of a template: a setting, the base, or what
// extra has.
func (f *Fetcher) value(extra map[string]string) func(string) (string, error) {
	return func(name string) (string, error) {
		if v, ok := extra[name]; ok {
			return v, nil
		}
		if name == manifest.NameBase {
			return f.address(f.o.Manifest.Base, extra)
		}
		if v, ok := f.o.Settings[name]; ok {
			return v, nil
		}
		return "", fmt.Errorf("there is no value for ${%s}", name)
	}
}

// text fills a template that needs no escaping: a header, a form field.
func (f *Fetcher) text(t manifest.Template, extra map[string]string) (string, error) {
	s, err := t.Fill(f.value(extra), nil)
	if err == nil && strings.ContainsAny(s, "\r\n\x00") {
		return "", errors.New("a setting holds a line break where none can stand")
	}
	return s, err
}

// address fills a template that is an address. What stands first may be a
// whole address; the rest is escaped, so that no value changes the path.
func (f *Fetcher) address(t manifest.Template, extra map[string]string) (string, error) {
	first, rest := t, manifest.Template("")
	if end := strings.IndexByte(string(t), '}'); strings.HasPrefix(string(t), "${") && end > 0 {
		first, rest = t[:end+1], t[end+1:]
	} else {
		first, rest = "", t
	}
	head, err := first.Fill(f.value(extra), nil)
	if err != nil {
		return "", err
	}
	tail, err := rest.Fill(f.value(extra), url.PathEscape)
	if err != nil {
		return "", err
	}
	for name, v := range extra {
		// An address that a user set names what a stream is read over.
		head = strings.ReplaceAll(head, "{"+name+"}", url.PathEscape(v))
	}
	return strings.TrimSuffix(head, "/") + tail, nil
}

// resolve makes a whole address of a path below base.
func (f *Fetcher) resolve(t manifest.Template, extra map[string]string) (*url.URL, error) {
	s, err := f.address(t, extra)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(s, "/") {
		base, err := f.address(f.o.Manifest.Base, extra)
		if err != nil {
			return nil, err
		}
		s = strings.TrimSuffix(base, "/") + s
	}
	return parseAddress(s)
}

// parseAddress takes addresses that credentials may be sent to: https, and
// plain http to this machine only.
func parseAddress(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", s, errors.Unwrap(err))
	}
	if u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return nil, fmt.Errorf("address %q: want https://host/...; credentials do not travel in the clear", s)
	}
	return u, nil
}

// query adds parameters to an address.
func (f *Fetcher) query(u *url.URL, params map[string]manifest.Values, extra map[string]string) error {
	q := u.Query()
	if err := f.fillValues(q, params, extra); err != nil {
		return err
	}
	u.RawQuery = q.Encode()
	return nil
}

func (f *Fetcher) fillValues(into url.Values, params map[string]manifest.Values, extra map[string]string) error {
	for name, values := range params {
		into.Del(name)
		for _, t := range values {
			s, err := f.text(t, extra)
			if err != nil {
				return err
			}
			into.Add(name, s)
		}
	}
	return nil
}

// path parses a path of a manifest that was checked.
func path(s string) (record.Path, error) {
	p, err := record.ParsePath(s)
	if err != nil {
		return p, fmt.Errorf("manifest: %w", err)
	}
	return p, nil
}
