package report

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// dialTimeout bounds a connection to the collector or proxy, and the proxy's
// answer.
const dialTimeout = 20 * time.Second

// maxProxyAnswer bounds what is read of a proxy's answer.
const maxProxyAnswer = 16 << 10

// Proxy returns the HTTP proxy through which to reach the host:port of a URL,
// or nil to reach it directly.
type Proxy func(*url.URL) (*url.URL, error)

// ProxySetting reads the `proxy` setting: empty for what HTTPS_PROXY and
// NO_PROXY of the environment say, "direct" for none, or the URL of a proxy
// (http or https, with user and password where it wants them).
func ProxySetting(s string) (Proxy, error) {
	switch s {
	case "":
		return httpproxy.FromEnvironment().ProxyFunc(), nil
	case "direct":
		return nil, nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		// The setting may hold a password: it is not repeated.
		return nil, fmt.Errorf(`proxy: want http://[user:password@]host:port, "direct", or nothing for what HTTPS_PROXY says`)
	}
	return func(*url.URL) (*url.URL, error) { return u, nil }, nil
}

// dial connects to host:port, through a proxy where there is one.
func (p Proxy) dial(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var via *url.URL
	if p != nil {
		var err error
		if via, err = p(&url.URL{Scheme: "https", Host: addr}); err != nil {
			return nil, fmt.Errorf("find the proxy for %s: %w", addr, err)
		}
	}
	if via == nil {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("reach the collector: %w", err)
		}
		return conn, nil
	}
	conn, err := dialProxy(ctx, via)
	if err != nil {
		return nil, fmt.Errorf("reach the proxy %s: %w", via.Redacted(), err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	tunnel, err := connect(conn, via, addr)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("reach the collector through the proxy %s: %w", via.Redacted(), err)
	}
	return tunnel, nil
}

func dialProxy(ctx context.Context, via *url.URL) (net.Conn, error) {
	port := via.Port()
	switch {
	case port != "":
	case via.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	addr := net.JoinHostPort(via.Hostname(), port)
	if via.Scheme == "https" {
		return (&tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: via.Hostname()}}).DialContext(ctx, "tcp", addr)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

// connect asks the proxy for a tunnel to addr and returns it.
func connect(conn net.Conn, via *url.URL, addr string) (net.Conn, error) {
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{}}
	if user := via.User; user != nil {
		password, _ := user.Password()
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	req.Header.Set("User-Agent", "rollcall-agent")
	if err := req.Write(conn); err != nil {
		return nil, fmt.Errorf("ask for a tunnel: %w", err)
	}
	answer := bufio.NewReader(io.LimitReader(conn, maxProxyAnswer))
	resp, err := http.ReadResponse(answer, req) //nolint:bodyclose // the body is the connection, which the caller closes or goes on with
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusProxyAuthRequired:
		return nil, fmt.Errorf("it answers %s: put user and password into the proxy setting (http://user:password@%s)", resp.Status, via.Host)
	default:
		return nil, fmt.Errorf("it answers %s: it must allow CONNECT to %s", resp.Status, addr)
	}
	if answer.Buffered() > 0 {
		// In TLS the client speaks first.
		return nil, fmt.Errorf("it sent %d bytes before the tunnel was used", answer.Buffered())
	}
	return conn, nil
}
