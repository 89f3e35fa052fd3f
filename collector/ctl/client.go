package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/rollcall-itam/rollcall/pkg/buildinfo"
)

const (
	// callTimeout is more than the collector takes before it gives up a call.
	callTimeout = time.Minute
	// maxAnswer bounds an answer in bytes; a page has 3 MiB as a protobuf, and
	// one record over it.
	maxAnswer = 128 << 20
)

// client asks one collector over REST.
type client struct {
	to   saved
	http *http.Client
}

// open returns a client of the collector that the command line names.
func (s *session) open() (*client, error) {
	to, err := s.connection.resolve(s.world)
	if err != nil {
		return nil, err
	}
	return newClient(to)
}

func newClient(to saved) (*client, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if to.CAFile != "" {
		pem, err := readFile(to.CAFile, nil)
		if err != nil {
			return nil, fmt.Errorf("read the certificates of --ca-file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fail(exitUsage, "the file %s of --ca-file holds no PEM certificate", to.CAFile)
		}
	}
	return &client{to: to, http: &http.Client{
		Timeout:   callTimeout,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf, ForceAttemptHTTP2: true},
		// A redirect is told, not followed: the token is for this URL.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func (c *client) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.call(ctx, http.MethodGet, path, nil)
}

// call sends one request, with a body unless it is nil, and returns the JSON
// of the answer.
func (c *client) call(ctx context.Context, method, path string, body any) ([]byte, error) {
	var content io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("write the request as JSON: %w", err)
		}
		content = bytes.NewReader(b)
	}
	req, err := c.request(ctx, method, path, content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if len(answer) > maxAnswer {
		return nil, fmt.Errorf("%s answers with more than %d MiB, which no collector does: check the URL", c.to.URL, maxAnswer>>20)
	}
	return answer, c.check(resp, answer)
}

// request returns a request with the token of the caller.
func (c *client) request(ctx context.Context, method, path string, content io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.to.URL+path, content)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	if c.to.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.to.Token)
	}
	req.Header.Set("User-Agent", "rollcall/"+buildinfo.Version())
	return req, nil
}

// check turns an answer that is an error, or none of a collector, into an
// error that says what to do.
func (c *client) check(resp *http.Response, answer []byte) error {
	if resp.StatusCode == http.StatusOK {
		if json.Valid(answer) {
			return nil
		}
		return fmt.Errorf("%s does not answer as a collector does: check --url, ROLLCALL_URL or what login saved", c.to.URL)
	}
	if to := resp.Header.Get("Location"); to != "" && resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return fmt.Errorf("%s sends elsewhere, to %.200q: set --url or ROLLCALL_URL to the collector itself", c.to.URL, to)
	}
	var status struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(answer, &status) == nil && status.Message != "" {
		hint := ""
		if resp.StatusCode == http.StatusUnauthorized {
			hint = " (the token comes from --token-file, ROLLCALL_TOKEN or what login saved, for " + c.to.URL + ")"
		}
		return fail(exitOf(resp.StatusCode), "%s%s", status.Message, hint)
	}
	code := exitOf(resp.StatusCode)
	if code != exitUnauthorised && code != exitUnreachable {
		code = exitError
	}
	return fail(code, "%s answers %q and nothing that a collector would say: check --url, ROLLCALL_URL or what login saved, and any proxy between", c.to.URL, resp.Status)
}

func (c *client) unreachable(ctx context.Context, err error) error {
	var unknown x509.UnknownAuthorityError
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err // without the whole request URL before it
	}
	switch {
	case ctx.Err() != nil:
		return fail(exitInterrupted, "interrupted")
	case errors.As(err, &unknown):
		return fmt.Errorf("%s has a certificate of an authority that is not trusted here: pass its certificate with --ca-file (or ROLLCALL_CA_FILE): %w", c.to.URL, err)
	}
	return fail(exitUnreachable, "the collector is not reachable at %s: see that it runs, or name another with --url, ROLLCALL_URL or rollcall login: %v", c.to.URL, err)
}

// page is a part of a list.
type page struct {
	items []json.RawMessage
	// total is how many items the list has; 0 where the collector does not say.
	total int
}

// pages asks for a list until its end; key names the list in the answer.
func (c *client) pages(ctx context.Context, path, key string, query url.Values) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		q := url.Values{}
		for k, v := range query {
			q[k] = v
		}
		for {
			p, next, err := c.page(ctx, path, key, q)
			if !yield(p, err) || err != nil || next == "" {
				return
			}
			if next == q.Get("page_token") {
				yield(page{}, fmt.Errorf("the collector gives out the same page of %s again and again: this is a fault in it", path))
				return
			}
			q.Set("page_token", next)
		}
	}
}

// upTo ends a list after a number of items; 0 is no limit.
func upTo(pages iter.Seq2[page, error], limit int) iter.Seq2[page, error] {
	if limit <= 0 {
		return pages
	}
	return func(yield func(page, error) bool) {
		left := limit
		for p, err := range pages {
			p.items = p.items[:min(left, len(p.items))]
			left -= len(p.items)
			if !yield(p, err) || left == 0 {
				return
			}
		}
	}
}

func (c *client) page(ctx context.Context, path, key string, query url.Values) (page, string, error) {
	answer, err := c.get(ctx, path, query)
	if err != nil {
		return page{}, "", err
	}
	var fields map[string]json.RawMessage
	var p page
	var next string
	err = json.Unmarshal(answer, &fields)
	for name, into := range map[string]any{key: &p.items, "total_size": &p.total, "next_page_token": &next} {
		if raw, ok := fields[name]; ok && err == nil {
			err = json.Unmarshal(raw, into)
		}
	}
	if err != nil {
		return page{}, "", fmt.Errorf("read the collector's answer to %s: %w", path, err)
	}
	return p, next, nil
}

// pageSize returns a query for pages of a size.
func pageSize(n int) url.Values { return url.Values{"page_size": {strconv.Itoa(n)}} }
