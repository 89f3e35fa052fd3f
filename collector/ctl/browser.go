package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// signInTimeout is how long the collector waits for a person at the provider.
const signInTimeout = 10 * time.Minute

// callback is where the browser comes back to, on loopback (RFC 8252).
type callback struct {
	client          *client
	state, verifier string

	mu   sync.Mutex
	over bool
	// got hears of the one answer that counts.
	got chan outcome
}

type outcome struct {
	session *signedIn
	err     error
}

func random() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// byBrowser signs a person in with a browser, on this machine or, with quiet,
// wherever they open the address.
func (s *session) byBrowser(cl *client, info signInInfo, quiet bool) (*signedIn, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		if l, err = net.Listen("tcp", "[::1]:0"); err != nil {
			return nil, fmt.Errorf("wait for the browser: %w", err)
		}
	}
	b := &callback{client: cl, state: random(), verifier: random(), got: make(chan outcome, 1)}
	server := &http.Server{Handler: b, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l) // ends with Shutdown; what fails before shows as no answer
	}()
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil { // so that the browser gets its page
			_ = server.Close() // browsers hold spare connections open
		}
		<-served
	}()
	challenge := sha256.Sum256([]byte(b.verifier))
	redirect := "http://" + l.Addr().String() + "/callback"
	address := info.URL + "?" + url.Values{"redirect_uri": {redirect}, "state": {b.state}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}}.Encode()
	if !quiet && s.world.open != nil && s.world.open(address) == nil {
		s.tell("Your browser opens to sign in at %s. If it does not, open there:\n\n  %s\n", info.Issuer, address)
	} else {
		s.tell("Open this address in a browser, and sign in at %s:\n\n  %s\n\nIf that browser is on another machine, it ends at an address that begins with %s and shows nothing: paste it here, and press Enter.", info.Issuer, address, redirect)
		go s.pasted(b, bufio.NewReader(s.world.stdin))
	}
	timer := time.NewTimer(signInTimeout)
	defer timer.Stop()
	select {
	case o := <-b.got:
		return o.session, o.err
	case <-timer.C:
		return nil, fmt.Errorf("nobody signed in within %s", signInTimeout)
	case <-s.ctx.Done():
		return nil, errors.New("interrupted")
	}
}

// tell says what a person has to do, whatever the format of the output.
func (s *session) tell(format string, args ...any) {
	for line := range strings.Lines(fmt.Sprintf(format, args...)) {
		fmt.Fprintln(s.world.stderr, clean(strings.TrimRight(line, "\n")))
	}
}

// pasted takes the address at which a browser on another machine ended.
func (s *session) pasted(b *callback, in *bufio.Reader) {
	for s.ctx.Err() == nil {
		line, err := in.ReadString('\n')
		if line = strings.TrimSpace(line); line != "" {
			u, wrong := url.Parse(line)
			if wrong == nil {
				wrong = b.take(s.ctx, u.Query())
			}
			if wrong != nil && !b.finished() {
				s.tell("This is not the address at which the sign-in ended (%v): paste all of it.", wrong)
			}
		}
		if err != nil {
			return
		}
	}
}

func (b *callback) finished() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.over
}

// ServeHTTP takes the browser that comes back.
func (b *callback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Connection", "close")
	if r.Method != http.MethodGet || r.URL.Path != "/callback" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	title, text := "Signed in", "You can close this window and go back to the terminal."
	if err := b.take(r.Context(), r.URL.Query()); err != nil {
		title, text = "Not signed in", err.Error()
		w.WriteHeader(http.StatusBadRequest)
	}
	fmt.Fprintf(w, `<!doctype html><html lang="en"><meta charset="utf-8"><title>Rollcall</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem}</style><h1>%s</h1><p>%s</p></html>`+"\n", title, html.EscapeString(text))
}

// take exchanges the code of an answer for a session. What belongs to another
// sign-in is refused and changes nothing.
func (b *callback) take(ctx context.Context, q url.Values) error {
	if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(b.state)) != 1 {
		return errors.New("this belongs to another sign-in than the one that waits in the terminal")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return errors.New("this sign-in is finished")
	}
	b.over = true
	o := outcome{}
	switch {
	case q.Get("error") != "":
		o.err = fail(exitUnauthorised, "%s", or(q.Get("error_description"), q.Get("error")))
	default:
		o.session, o.err = b.client.session(context.WithoutCancel(ctx), map[string]string{"code": q.Get("code"), "code_verifier": b.verifier})
	}
	b.got <- o
	return o.err
}

// session asks for the session of who has signed in.
func (c *client) session(ctx context.Context, with map[string]string) (*signedIn, error) {
	raw, err := c.call(ctx, http.MethodPost, "/v1/signin/token", with)
	if err != nil {
		return nil, err
	}
	got := new(signedIn)
	if err := json.Unmarshal(raw, got); err != nil {
		return nil, fmt.Errorf("read the session that %s gives out: %w", c.to.URL, err)
	}
	return got, nil
}

// byDevice signs a person in who enters a code on another device.
func (s *session) byDevice(cl *client) (*signedIn, error) {
	raw, err := cl.call(s.ctx, http.MethodPost, "/v1/signin/device", map[string]string{})
	if err != nil {
		return nil, err
	}
	var code struct {
		Handle   string `json:"handle"`
		Code     string `json:"user_code"`
		URL      string `json:"verification_uri"`
		Complete string `json:"verification_uri_complete"`
		Interval int    `json:"interval"`
	}
	if err := json.Unmarshal(raw, &code); err != nil {
		return nil, fmt.Errorf("read the code that %s gives out: %w", cl.to.URL, err)
	}
	s.tell("On any device, open %s and enter the code\n\n  %s\n", code.URL, code.Code)
	if code.Complete != "" {
		s.tell("or open %s\n", code.Complete)
	}
	ctx, cancel := context.WithTimeout(s.ctx, signInTimeout)
	defer cancel()
	for wait := code.Interval; ; {
		timer := time.NewTimer(time.Duration(max(1, min(wait, 60))) * time.Second)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, errors.New("interrupted, or the code was not entered in time")
		}
		got, err := cl.session(ctx, map[string]string{"handle": code.Handle})
		if err != nil || !got.Pending {
			return got, err
		}
		wait = got.Interval
	}
}

// openBrowser shows an address in the browser of who runs this program.
func openBrowser(address string) error {
	name, args := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		name = "/usr/bin/open"
	case "windows":
		name, args = filepath.Join(os.Getenv("SystemRoot"), "System32", "rundll32.exe"), []string{"url.dll,FileProtocolHandler", address}
	default:
		if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
			return errors.New("there is no desktop here")
		}
	}
	cmd := exec.Command(name, args...) //nolint:forbidigo // it is the person's own browser, on their own machine, and no shell is between
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("open the browser: %w", err)
	}
	return cmd.Process.Release()
}
