package fetch

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"syscall"
	"time"
)

// ClientOptions say how systems are reached.
type ClientOptions struct {
	// CAFile holds certificates to trust beside the system's, in PEM form.
	CAFile string
	// CAPEM are further certificates to trust, themselves.
	CAPEM string
	// Proxy is the address of an HTTP proxy; "environment" takes it from there.
	Proxy string
	// AllowPrivate lets a feed ask addresses of private networks: systems that
	// are run in house.
	AllowPrivate bool
}

// ErrPrivate is wrapped by errors about an address that is not to be asked.
var ErrPrivate = errors.New("the address belongs to a private network")

// errRedirect ends a redirect to another host, which must not get credentials.
var errRedirect = errors.New("the system redirects to another host: set the address that it names")

// NewClient returns a client for one feed.
func NewClient(o ClientOptions) (*http.Client, error) {
	dialer := &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
	t := &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: 15 * time.Second, ResponseHeaderTimeout: 2 * time.Minute, IdleConnTimeout: 90 * time.Second,
		MaxIdleConnsPerHost: 4, MaxResponseHeaderBytes: 256 << 10, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	pool, err := Certificates(o)
	if err != nil {
		return nil, err
	}
	t.TLSClientConfig.RootCAs = pool
	switch o.Proxy {
	case "":
		// Behind a proxy, the proxy resolves names and decides who is asked.
		if !o.AllowPrivate {
			dialer.Control = refusePrivate
		}
	case "environment":
		t.Proxy = http.ProxyFromEnvironment
	default:
		u, err := url.Parse(o.Proxy)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("proxy %q: want http://host:port or environment", o.Proxy)
		}
		t.Proxy = http.ProxyURL(u)
	}
	return &http.Client{Transport: t, Timeout: 5 * time.Minute, CheckRedirect: sameHost}, nil
}

// Certificates returns those to trust, nil for the system's.
func Certificates(o ClientOptions) (*x509.CertPool, error) {
	if o.CAFile == "" && o.CAPEM == "" {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if o.CAFile != "" {
		b, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificates to trust: %w", err)
		}
		if !pool.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("%s holds no certificate in PEM form", o.CAFile)
		}
	}
	if o.CAPEM != "" && !pool.AppendCertsFromPEM([]byte(o.CAPEM)) {
		return nil, errors.New("what is to be trusted beside the system's certificates holds none in PEM form")
	}
	return pool, nil
}

// refusePrivate looks at the address that is dialled, after its name was
// resolved, so that no name leads inside.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %s: %w", address, err)
	}
	if ip := a.Addr().Unmap(); private(ip) {
		return fmt.Errorf("%w: %s; allow it with allow_private if the system is run in house", ErrPrivate, ip)
	}
	return nil
}

// Ranges that netip has no word for: carrier-grade NAT (RFC 6598), protocol
// assignments (RFC 6890), benchmarks (RFC 2544), reserved (RFC 1112), and the
// translation of IPv4 in IPv6 (RFC 6052).
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
}

func private(ip netip.Addr) bool {
	for _, p := range special {
		if p.Contains(ip) {
			return true
		}
	}
	return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified()
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// sameHost follows redirects within one host only.
func sameHost(r *http.Request, via []*http.Request) error {
	if first := via[0].URL; r.URL.Host != first.Host || r.URL.Scheme != first.Scheme {
		return errRedirect
	}
	if len(via) >= 5 {
		return errors.New("the system redirects in circles")
	}
	return nil
}
