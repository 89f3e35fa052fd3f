package ingest_test

import (
	"crypto/tls"
	"net"
	"runtime"
	"testing"
	"time"
)

// Whoever is refused in the handshake never reaches a call: it is counted there.
func TestRefusedHandshakesAreCounted(t *testing.T) {
	c := serve(t)
	life := 10 * 365 * 24 * time.Hour
	c.wait(-life - time.Hour)
	late := c.enrolled()
	c.wait(life + time.Hour)
	foreign := c.device()
	foreign.cert = serve(t).enrolled().cert
	for reason, d := range map[string]*device{"expired_certificate": late, "foreign_certificate": foreign} {
		if err := d.checkIn(); err == nil {
			t.Errorf("%s: the call is answered", reason)
		}
		// The client hears of it a moment before it is counted.
		for until := time.Now().Add(10 * time.Second); c.metric("rollcall_ingest_rejected_total", reason) == 0; runtime.Gosched() {
			if time.Now().After(until) {
				t.Fatalf("%s is not counted", reason)
			}
		}
	}
	// The certificate without its key proves nothing.
	thief := c.device()
	good := c.enrolled()
	thief.cert = &tls.Certificate{Certificate: good.cert.Certificate, PrivateKey: newKey(t)}
	if err := thief.checkIn(); err == nil {
		t.Error("a certificate without its key is accepted")
	}
}

// A client that speaks no TLS, or leaves in the middle, costs nobody anything.
func TestNoiseOnThePort(t *testing.T) {
	c := serve(t)
	d := c.enrolled()
	for _, noise := range []string{"", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff"} {
		conn, err := net.Dial("tcp", c.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(noise))
		_ = conn.Close()
	}
	if err := d.checkIn(); err != nil {
		t.Errorf("a call after noise: %v", err)
	}
}
