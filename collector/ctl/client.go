package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// maxAnswer bounds one answer of the API; pages keep answers far below.
const maxAnswer = 64 << 20

var errNotFound = errors.New("not found")

// client asks one collector.
type client struct {
	base, token string
	http        *http.Client
}

// apiError is an answer of the API other than success.
type apiError struct {
	status  int
	message string
}

// Error tells what the collector said, and what to do where it is about access.
func (e *apiError) Error() string {
	switch e.status {
	case http.StatusUnauthorized:
		return e.message + " (set ROLLCALL_TOKEN or --token-file to an API token, or run `rollcall login`)"
	case http.StatusForbidden:
		return e.message + " (the token's role does not allow this)"
	}
	return e.message
}

// connect finds out which collector to ask and with which token: flags before
// environment before what login saved.
func (a *app) connect(s settings, command string) error {
	if command == "version" || strings.HasPrefix(command, "login") {
		return nil
	}
	saved, err := loadLogin(a.env)
	if err != nil {
		return err
	}
	base := s.URL
	if base == "" {
		base = saved.URL
	}
	if base == "" {
		return errors.New("no collector is set: give --url http://host:8470, set ROLLCALL_URL, or run `rollcall login`")
	}
	token := a.env("ROLLCALL_TOKEN")
	switch {
	case s.TokenFile != "":
		if token, err = readToken(s.TokenFile); err != nil {
			return err
		}
	case token == "" && strings.TrimRight(saved.URL, "/") == strings.TrimRight(base, "/"):
		token = saved.Token
	}
	a.client, err = newClient(base, token)
	return err
}

func newClient(base, token string) (*client, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("%q is not the address of a collector: want http://host:8470 or https://...", base)
	}
	return &client{base: strings.TrimRight(base, "/"), token: strings.TrimSpace(token), http: &http.Client{Timeout: time.Minute}}, nil
}

func readToken(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// get asks for a path; query values that are empty are left out.
func (c *client) get(ctx context.Context, path string, query map[string]string, into proto.Message) error {
	q := url.Values{}
	for k, v := range query {
		if v != "" {
			q.Set(k, v)
		}
	}
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return c.call(ctx, http.MethodGet, path, nil, into)
}

// call makes one call; body and into may be nil.
func (c *client) call(ctx context.Context, method, path string, body, into proto.Message) error {
	var payload []byte
	if body != nil {
		var err error
		if payload, err = protojson.Marshal(body); err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(payload))
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("the collector at %s does not answer (set --url or ROLLCALL_URL to another): %w", c.base, err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("read the collector's answer: %w", err)
	}
	if len(answer) > maxAnswer {
		return fmt.Errorf("the answer to %s is longer than %d MiB", path, maxAnswer>>20)
	}
	if resp.StatusCode != http.StatusOK {
		return newAPIError(resp, answer)
	}
	if into == nil {
		return nil
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s is not a Rollcall collector, or a much newer one: %w", c.base, err)
	}
	return nil
}

func newAPIError(resp *http.Response, answer []byte) error {
	var status struct{ Message string }
	if err := json.Unmarshal(answer, &status); err != nil || status.Message == "" {
		status.Message = fmt.Sprintf("the collector answers %s", resp.Status)
	}
	return &apiError{status: resp.StatusCode, message: status.Message}
}
