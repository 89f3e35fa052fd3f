// Package replay answers requests with exchanges that were recorded before.
package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
)

// maxBytes bounds a file of exchanges.
const maxBytes = 32 << 20

// Exchange is one request and its answer.
type Exchange struct {
	Request struct {
		Method string `json:"method"`
		URL    string `json:"url"`
	} `json:"request"`
	Response struct {
		Status  int               `json:"status"`
		Headers map[string]string `json:"headers"`
		// Body is the answer's JSON, or its text as a JSON string.
		Body json.RawMessage `json:"body"`
	} `json:"response"`
}

// Player is a transport that answers from a recording. Several answers to one
// request are given in turn, the last of them again.
type Player struct {
	mu        sync.Mutex
	exchanges []Exchange
	used      []bool
}

// Read reads a file of exchanges: an object with the list recorded_exchanges.
func Read(r io.Reader) (*Player, error) {
	var file struct {
		Exchanges []Exchange `json:"recorded_exchanges"`
	}
	if err := json.NewDecoder(io.LimitReader(r, maxBytes)).Decode(&file); err != nil {
		return nil, fmt.Errorf("read the recorded exchanges: %w", err)
	}
	if len(file.Exchanges) == 0 {
		return nil, errors.New("the file holds no recorded_exchanges")
	}
	return &Player{exchanges: file.Exchanges, used: make([]bool, len(file.Exchanges))}, nil
}

// RoundTrip implements http.RoundTripper.
func (p *Player) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		if err := r.Body.Close(); err != nil {
			return nil, err
		}
	}
	e, err := p.find(r)
	if err != nil {
		return nil, err
	}
	h := make(http.Header)
	for k, v := range e.Response.Headers {
		h.Set(k, v)
	}
	body := []byte(e.Response.Body)
	var text string
	if json.Unmarshal(body, &text) == nil {
		body = []byte(text)
	}
	if e.Response.Status == http.StatusNoContent {
		body = nil
	}
	return &http.Response{StatusCode: e.Response.Status, Status: http.StatusText(e.Response.Status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r}, nil
}

// ErrNotRecorded is wrapped by errors about a request that was not recorded.
var ErrNotRecorded = errors.New("the request was not recorded")

// find takes the first answer to a request that was not given yet.
func (p *Player) find(r *http.Request) (Exchange, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := -1
	for i, e := range p.exchanges {
		if e.Request.Method != r.Method || !sameAddress(e.Request.URL, r.URL) {
			continue
		}
		if last = i; !p.used[i] {
			p.used[i] = true
			return e, nil
		}
	}
	if last >= 0 {
		return p.exchanges[last], nil
	}
	return Exchange{}, fmt.Errorf("%w: %s %s", ErrNotRecorded, r.Method, r.URL)
}

// sameAddress compares addresses, with their parameters in any order.
func sameAddress(recorded string, asked *url.URL) bool {
	u, err := url.Parse(recorded)
	if err != nil || u.Host != asked.Host || u.EscapedPath() != asked.EscapedPath() {
		return false
	}
	a, b := u.Query(), asked.Query()
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if !slices.Equal(a[k], b[k]) {
			return false
		}
	}
	return true
}

// Unused returns the requests that were recorded and not made.
func (p *Player) Unused() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for i, e := range p.exchanges {
		if !p.used[i] {
			all = append(all, e.Request.Method+" "+e.Request.URL)
		}
	}
	return all
}
