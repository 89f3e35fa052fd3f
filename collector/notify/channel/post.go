package channel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
	"github.com/rollcall-itam/rollcall/pkg/buildinfo"
)

const (
	// sendTimeout bounds one attempt.
	sendTimeout = 30 * time.Second
	// maxAnswer bounds what of an answer is looked at, and maxTold what of it is
	// told in an error.
	maxAnswer = 4 << 10
	maxTold   = 200
	// maxAfter bounds how long a receiver may ask to be left alone.
	maxAfter = 6 * time.Hour
)

// poster posts JSON to one address.
type poster struct {
	client *http.Client
	url    string
	now    func() time.Time
}

// Reach says how a receiver is reached over HTTP, as feeds are.
type Reach = fetch.ClientOptions

// newPoster returns one after a look at the address, of which errors tell the host
// only: with chat systems, who has the address can post.
func newPoster(address string, o Reach, now func() time.Time) (*poster, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return nil, errors.New("the url is no address like https://host/path, without a name and password in it")
	case u.Scheme != "https" && (u.Scheme != "http" || !o.AllowPrivate):
		return nil, errors.New("the url must begin with https://, or, with allow_private, may begin with http://")
	case len(address) > 2048 || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return nil, errors.New("the url is too long or holds a space")
	}
	client, err := fetch.NewClient(o)
	if err != nil {
		return nil, err
	}
	client.Timeout = sendTimeout
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &poster{client: client, url: address, now: now}, nil
}

// Close drops the connections that are kept open.
func (p *poster) Close() { p.client.CloseIdleConnections() }

// post sends a body, and returns the answer where that is a success.
func (p *poster) post(ctx context.Context, body []byte, headers map[string]string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return "", errors.New("the request cannot be made: check the url")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "rollcall/"+buildinfo.Version())
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return "", withoutURL(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return string(answer), nil // that the rest did not come changes nothing
	}
	if err != nil {
		answer = nil
	}
	return "", p.refused(resp, string(answer))
}

// refused says what an answer other than a success means.
func (p *poster) refused(resp *http.Response, answer string) *Failure {
	f := &Failure{After: p.retryAfter(resp.Header.Get("Retry-After"))}
	switch code := resp.StatusCode; {
	case code >= 300 && code <= 399:
		f.Err = fmt.Errorf("the receiver redirects (%d), which is not followed: set the address that it names", code)
	case code == http.StatusGone:
		f.Gone = true
		f.Err = fmt.Errorf("the receiver wants no more messages (410)%s", told(answer))
	default:
		f.Refused = slices.Contains([]int{400, 413, 415, 422}, code)
		f.Err = fmt.Errorf("the receiver answers %d%s", code, told(answer))
	}
	return f
}

func told(answer string) string {
	answer = plain(answer)
	if answer == "" {
		return ""
	}
	return ": " + strings.ToValidUTF8(answer[:min(len(answer), maxTold)], "")
}

// retryAfter reads the header of that name: seconds or a date.
func (p *poster) retryAfter(header string) time.Duration {
	var d time.Duration
	if n, err := strconv.Atoi(strings.TrimSpace(header)); err == nil {
		d = time.Duration(min(n, int(maxAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		d = at.Sub(p.now())
	}
	return min(max(d, 0), maxAfter)
}

// withoutURL takes the address out of an error: it may be a secret.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the receiver did not answer within %v: %w", sendTimeout, err)
	}
	return fmt.Errorf("reach the receiver: %w", err)
}
