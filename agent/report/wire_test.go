package report

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http/httpproxy"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// proxy is a CONNECT proxy that wants a password.
type proxy struct {
	*httptest.Server
	mu      sync.Mutex
	targets []string
	status  int
}

func newProxy(t *testing.T, user *url.Userinfo) (*proxy, *url.URL) {
	t.Helper()
	p := &proxy{status: http.StatusOK}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, user) }))
	t.Cleanup(p.Close)
	u, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = user
	return p, u
}

func (p *proxy) serve(w http.ResponseWriter, r *http.Request, user *url.Userinfo) {
	password, _ := user.Password()
	switch want := "Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)); {
	case r.Method != http.MethodConnect:
		http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
		return
	case r.Header.Get("Proxy-Authorization") != want:
		http.Error(w, "who are you", http.StatusProxyAuthRequired)
		return
	case p.status != http.StatusOK:
		http.Error(w, "no", p.status)
		return
	}
	up, err := net.Dial("tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer up.Close()
	p.mu.Lock()
	p.targets = append(p.targets, r.Host)
	p.mu.Unlock()
	down, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer down.Close()
	if _, err := io.WriteString(down, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(up, down)
		_ = up.Close()
	}()
	_, _ = io.Copy(down, up)
}

func TestThroughAProxy(t *testing.T) {
	c := newCollector(t)
	user := url.UserPassword("ann", "s3cret:@")
	p, u := newProxy(t, user)
	setting, err := ProxySetting(u.String())
	if err != nil {
		t.Fatal(err)
	}
	environment := (&httpproxy.Config{HTTPSProxy: u.String(), NoProxy: "127.0.0.2"}).ProxyFunc()
	for name, via := range map[string]Proxy{"setting": setting, "environment": func(target *url.URL) (*url.URL, error) {
		// The environment's rules never send loopback through a proxy; the
		// decision is made for the name that a collector elsewhere would have.
		return environment(&url.URL{Scheme: target.Scheme, Host: "collector.example:8471"})
	}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, c)
			c.tokens[b.token], p.targets = "", nil
			b.dialing = func(d *Dialer) { d.Proxy = via }
			a := b.start()
			b.exchange(a, device(1))
			b.held(a, device(1))
			p.mu.Lock()
			defer p.mu.Unlock()
			if len(p.targets) != 2 || p.targets[0] != c.addr {
				t.Errorf("the proxy was asked for %v, want %s for the enrolment and the report", p.targets, c.addr)
			}
			c.waitClosed()
		})
	}
}

func TestProxyThatRefuses(t *testing.T) {
	c := newCollector(t)
	p, u := newProxy(t, url.UserPassword("ann", "s3cret"))
	p.status = http.StatusForbidden
	gone, _ := url.Parse("http://127.0.0.1:1")
	wrong, unknown := *u, *u
	wrong.User, unknown.User = url.UserPassword("ann", "guess-1"), nil
	for name, tc := range map[string]struct {
		via  *url.URL
		want string
	}{
		"no password":    {&unknown, "407"},
		"wrong password": {&wrong, "407"},
		"not allowed":    {u, "must allow CONNECT to " + c.addr},
		"not there":      {gone, "127.0.0.1:1"},
	} {
		b := newBench(t, c)
		b.dialing = func(d *Dialer) { d.Proxy = func(*url.URL) (*url.URL, error) { return tc.via, nil } }
		_, err := b.start().Exchange(t.Context(), b.pack(device(1)))
		if err == nil || !strings.Contains(err.Error(), tc.want) || Permanent(err) {
			t.Errorf("%s: %v, want one with %q that is tried again", name, err, tc.want)
		}
		if err != nil && (strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "guess-1")) {
			t.Errorf("%s: the password stands in the error: %v", name, err)
		}
	}
}

func TestProxySetting(t *testing.T) {
	if p, err := ProxySetting("direct"); p != nil || err != nil {
		t.Errorf("direct: %v", err)
	}
	for _, bad := range []string{"proxy.example:3128", "socks5://x:1", "http://", "http://ann:s3cret@\x00"} {
		if _, err := ProxySetting(bad); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A proxy that never answers must not hold the agent.
func TestProxyThatIsSilent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if conn, err := l.Accept(); err == nil {
			defer conn.Close()
			cancel()
			_, _ = io.Copy(io.Discard, conn)
		}
	}()
	via := Proxy(func(*url.URL) (*url.URL, error) { return &url.URL{Scheme: "http", Host: l.Addr().String()}, nil })
	if _, err := via.dial(ctx, "collector.example:8471"); err == nil {
		t.Error("a proxy that says nothing gave a tunnel")
	}
}

// wire counts what a call costs above TLS: the payloads with their frames, and
// the headers as they were compressed.
type wire struct {
	mu      sync.Mutex
	in, out int
}

func (w *wire) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (w *wire) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (w *wire) HandleConn(context.Context, stats.ConnStats)                       {}
func (w *wire) HandleRPC(_ context.Context, s stats.RPCStats) {
	// Each HEADERS and DATA frame has nine bytes before what is counted.
	const frame = 9
	w.mu.Lock()
	defer w.mu.Unlock()
	switch s := s.(type) {
	case *stats.InHeader:
		w.in += s.WireLength + frame
	case *stats.InPayload:
		w.in += s.WireLength + frame
	case *stats.InTrailer:
		w.in += s.WireLength + frame
	case *stats.OutPayload:
		w.out += s.WireLength + frame
	}
}

func (w *wire) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.in, w.out = 0, 0
}

// An unchanged device costs at most 600 bytes each way, on a new connection.
func TestUnchangedCheckInIsSmall(t *testing.T) {
	const limit = 600
	server, client := new(wire), new(wire)
	c := newCollector(t, grpc.StatsHandler(server))
	c.answer.Settings = &pb.AgentSettings{CheckInInterval: durationpb.New(5 * time.Minute), InventoryInterval: durationpb.New(time.Hour)}
	b := newBench(t, c)
	b.dialing = func(d *Dialer) { d.Options = []grpc.DialOption{grpc.WithStatsHandler(client)} }
	a := b.start()
	b.exchange(a, device(1))
	c.waitClosed()
	c.byID[a.ID()].generation = 1 << 61 // as long as the real ones
	a.status.Generation = 1 << 61
	server.reset()
	client.reset()
	if got := b.exchange(a, device(1)); len(got.Sections) != 0 {
		t.Fatalf("reported %v", got.Sections)
	}
	c.waitClosed()
	// What the server received is what the agent sent, headers included.
	t.Logf("unchanged check-in: %d bytes sent, %d received", server.in, client.in)
	if server.in == 0 || client.in == 0 || server.in > limit || client.in > limit {
		t.Errorf("%d bytes sent and %d received, want at most %d", server.in, client.in, limit)
	}
}

func TestLargeReportsAreChunked(t *testing.T) {
	c := newCollector(t)
	b := newBench(t, c)
	a, d := b.start(), device(1)
	random := make([]byte, 24)
	for range maxSoftwareRows + 1000 {
		if _, err := rand.Read(random); err != nil {
			t.Fatal(err)
		}
		d.Software = append(d.Software, &pb.Software{Kind: "deb", Name: base64.StdEncoding.EncodeToString(random)})
	}
	got := b.exchange(a, d)
	if len(c.messages) < 3 || got.Bytes < 2*maxChunk {
		t.Errorf("%d bytes in %d messages, want several", got.Bytes, len(c.messages))
	}
	for i, n := range c.messages {
		if n > maxChunk+64 {
			t.Errorf("message %d has %d bytes", i, n)
		}
	}
	if n := len(c.byID[a.ID()].device.GetSoftware()); n != maxSoftwareRows || c.byID[a.ID()].states[section.Software] != section.Partial {
		t.Errorf("%d rows, %s: want %d and to be told that it is not all", n, c.byID[a.ID()].states[section.Software], maxSoftwareRows)
	}
}

// A collector of the release before takes reports as a stream only.
func TestCollectorThatKnowsNoSmallReports(t *testing.T) {
	c := newCollector(t)
	c.old = true
	b := newBench(t, c)
	a := b.start()
	b.exchange(a, device(1))
	b.exchange(a, device(2))
	if len(c.reports) != 2 {
		t.Errorf("%d reports arrived, want 2", len(c.reports))
	}
}

func TestCollectorThatIsBusy(t *testing.T) {
	c := newCollector(t)
	b := newBench(t, c)
	c.before = func(string) error {
		st, err := grpcstatus.New(codes.ResourceExhausted, "too many agents").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(7 * time.Minute)})
		if err != nil {
			return err
		}
		return st.Err()
	}
	_, err := b.start().Exchange(t.Context(), b.pack(device(1)))
	if Permanent(err) || RetryAfter(err) != 7*time.Minute {
		t.Errorf("error %v, retry after %v", err, RetryAfter(err))
	}
	for _, r := range []float64{0, 0.999} {
		if wait := NewBackoff(func() float64 { return r }).Next(err); wait < 7*time.Minute || wait > 14*time.Minute {
			t.Errorf("waits %v, want at least the 7m0s that were asked for", wait)
		}
	}
	c.before = nil
	b.exchange(b.start(), device(1))
}

func TestStopEndsACall(t *testing.T) {
	c := newCollector(t)
	b := newBench(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	c.before = func(string) error {
		cancel()
		return errLost
	}
	if _, err := b.start().Exchange(ctx, b.pack(device(1))); err == nil || ctx.Err() == nil || errors.Is(err, ErrToken) {
		t.Errorf("error %v", err)
	}
}
