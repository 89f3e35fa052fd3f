package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/collector/feed/record"
)

// maxBody bounds one answer, uncompressed.
const maxBody = 64 << 20

// call is one request, as often as it is sent.
type call struct {
	method  string
	url     *url.URL
	body    []byte
	kind    string // Content-Type of body
	headers http.Header
	// empty are codes that mean that there is nothing.
	empty []int
	// ok are the codes that mean success; nil takes every 2xx.
	ok []int
	// over are the values of the stream's over, by name.
	over map[string]string
	// off are words in a refusal that mean that there is nothing.
	off []string
	// bare requests carry no authorization: they ask for it.
	bare bool
	// sign, if not nil, authorizes such a request in its own way.
	sign func(*http.Request) error
}

// what names a request for people. Parameters may be secret and are left out.
func (c call) what() string { return c.method + " " + c.url.Scheme + "://" + c.url.Host + c.url.Path }

// answer is what came back.
type answer struct {
	code       int
	header     http.Header
	body       []byte
	retryAfter time.Duration
	// none is set where the code means that there is nothing.
	none bool
}

// do sends a request, again where that may help, and returns an answer that
// means success.
func (f *Fetcher) do(ctx context.Context, c call) (*answer, error) {
	renewed := false
	retry := f.o.Manifest.Retry
	for attempt := 1; ; attempt++ {
		a, err := f.try(ctx, c)
		if err == nil && a.says(c.off) {
			a.none = true
		}
		if err == nil && (a.none || c.accepts(a.code)) {
			return a, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil && !c.bare && !renewed && f.auth.expired(a.code) {
			renewed = true
			f.auth.forget()
			attempt--
			continue
		}
		var fail *Failure
		if err == nil {
			fail = f.refused(c.what(), a)
		} else if !errors.As(err, &fail) {
			fail = f.down(c.what(), err)
		}
		if fail.final || attempt >= retry.Attempts || fail.Code != 0 && !slices.Contains(retry.Codes, fail.Code) || fail.Code == 0 && fail.Kind == Broken {
			return nil, fail
		}
		wait := backOff(time.Duration(retry.Wait), attempt)
		if fail.After > 0 {
			wait = fail.After
		}
		if wait > time.Duration(retry.MaxWait) {
			fail.After = max(fail.After, wait)
			return nil, fail
		}
		f.o.Logger.Debug("feed request is repeated", "request", c.what(), "attempt", attempt, "wait", wait.String(), "error", fail.Error())
		if err := f.o.Wait(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// says tells whether a refusal has one of some words in it.
func (a *answer) says(words []string) bool {
	return a.code >= 400 && a.code <= 499 && slices.ContainsFunc(words, func(w string) bool { return bytes.Contains(a.body, []byte(w)) })
}

func (c call) accepts(code int) bool {
	if c.ok != nil {
		return slices.Contains(c.ok, code)
	}
	return code >= 200 && code <= 299
}

// backOff doubles with each attempt, less up to half by chance, so that feeds
// that failed together do not come back together.
func backOff(first time.Duration, attempt int) time.Duration {
	d := first << min(attempt-1, 12)
	return d - time.Duration(rand.Int64N(int64(d)/2+1)) //nolint:gosec // spreads load, guards nothing
}

// try sends a request once.
func (f *Fetcher) try(ctx context.Context, c call) (*answer, error) {
	if err := f.pace(ctx); err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, c.method, c.url.String(), bytes.NewReader(c.body))
	if err != nil {
		return nil, f.broken(c.what(), err)
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "rollcall")
	for name, t := range f.o.Manifest.Headers {
		s, err := f.text(t, nil)
		if err != nil {
			return nil, f.broken(c.what(), err)
		}
		r.Header.Set(name, s)
	}
	for name, v := range c.headers {
		r.Header[name] = v
	}
	if c.kind != "" {
		r.Header.Set("Content-Type", c.kind)
	}
	if !c.bare {
		if err := f.auth.authorize(ctx, r, c); err != nil {
			return nil, err
		}
	}
	if c.sign != nil {
		if err := c.sign(r); err != nil {
			return nil, f.broken(c.what(), err)
		}
	}
	return f.send(r, c)
}

func (f *Fetcher) send(r *http.Request, c call) (*answer, error) {
	res, err := f.o.Client.Do(r)
	if err != nil {
		f.answered(0)
		// The library's error names the whole address, with its parameters.
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, err
	}
	defer res.Body.Close()
	f.answered(res.StatusCode)
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", err)
	}
	if len(body) > maxBody {
		return nil, f.broken(c.what(), fmt.Errorf("the answer has more than %d bytes: ask for smaller pages", maxBody))
	}
	f.allowance(res.Header)
	return &answer{code: res.StatusCode, header: res.Header, body: body, none: slices.Contains(c.empty, res.StatusCode),
		retryAfter: f.retryAfter(res.Header)}, nil
}

func (f *Fetcher) answered(code int) {
	if f.o.Answered != nil {
		f.o.Answered(code)
	}
}

// pace waits until the system may be asked.
func (f *Fetcher) pace(ctx context.Context) error {
	now := f.o.Now()
	wait := f.limit.ReserveN(now, 1).DelayFrom(now)
	f.mu.Lock()
	if pause := f.pausedUntil.Sub(now); pause > wait {
		wait = pause
	}
	f.mu.Unlock()
	if wait <= 0 {
		return ctx.Err()
	}
	if most := time.Duration(f.o.Manifest.Retry.MaxWait); wait > most {
		return &Failure{Kind: Busy, After: wait, text: fmt.Sprintf("the system's allowance is used up for another %s", wait.Round(time.Second))}
	}
	return f.o.Wait(ctx, wait)
}

// allowance reads how many requests are left, and pauses when others need them.
func (f *Fetcher) allowance(h http.Header) {
	l := f.o.Manifest.Limit
	if l.Remaining == "" {
		return
	}
	left, err := strconv.Atoi(strings.TrimSpace(h.Get(l.Remaining)))
	if err != nil || left > l.Floor {
		return
	}
	pause := 10 * time.Second
	if n, err := strconv.ParseInt(strings.TrimSpace(h.Get(l.Reset)), 10, 64); l.Reset != "" && err == nil && n >= 0 {
		pause = f.until(n)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if at := f.o.Now().Add(pause); at.After(f.pausedUntil) {
		f.pausedUntil = at
	}
}

// until reads seconds from now, or since 1970, bounded to a day.
func (f *Fetcher) until(n int64) time.Duration {
	const year = 365 * 24 * 3600
	d := time.Duration(min(n, year)) * time.Second
	if n > year {
		d = time.Unix(n, 0).Sub(f.o.Now())
	}
	return min(max(d, 0), 24*time.Hour)
}

// retryAfter reads Retry-After: seconds, or a date (RFC 9110, 10.2.3).
func (f *Fetcher) retryAfter(h http.Header) time.Duration {
	s := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseFloat(s, 64); err == nil && n > 0 {
		return time.Duration(min(n, 24*3600) * float64(time.Second))
	}
	if t, err := http.ParseTime(s); err == nil {
		return min(max(t.Sub(f.o.Now()), 0), 24*time.Hour)
	}
	return 0
}

// json sends a request until its answer is whole: one that breaks off is asked
// for again.
func (f *Fetcher) json(ctx context.Context, c call, format string) (*answer, any, error) {
	for attempt := 1; ; attempt++ {
		a, err := f.do(ctx, c)
		if err != nil || a.none {
			return a, nil, err
		}
		v, err := decode(a.body, format)
		if err == nil {
			record.Scrub(v, f.o.Manifest.Deny)
			return a, v, nil
		}
		fail := f.broken(c.what(), err)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, nil, fail
		}
		if fail.Kind = Down; attempt >= min(3, f.o.Manifest.Retry.Attempts) {
			return nil, nil, fail
		}
		if err := f.o.Wait(ctx, backOff(time.Duration(f.o.Manifest.Retry.Wait), attempt)); err != nil {
			return nil, nil, err
		}
	}
}

// decode reads an answer in the form that a stream says it has.
func decode(body []byte, format string) (any, error) {
	switch format {
	case "ndjson":
		all, err := record.DecodeLines(body)
		return all, err
	case "xml":
		return record.DecodeXML(body)
	}
	return record.Decode(body)
}
