package channel

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// letter is an e-mail that the server took.
type letter struct {
	from string
	to   []string
	data []byte
}

// backend is a mail server that takes letters of one user.
type backend struct {
	letters chan letter
	refuse  error
}

type session struct {
	b      *backend
	signed bool
	l      letter
}

func (b *backend) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{b: b}, nil }
func (s *session) AuthMechanisms() []string                    { return []string{sasl.Plain} }
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if s.signed = user == "rollcall" && password == "hunter22"; !s.signed {
			return errors.New("who are you")
		}
		return nil
	}), nil
}
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if !s.signed {
		return smtp.ErrAuthRequired
	}
	s.l.from = from
	return s.b.refuse
}
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error { s.l.to = append(s.l.to, to); return nil }
func (s *session) Data(r io.Reader) (err error) {
	if s.l.data, err = io.ReadAll(r); err == nil {
		s.b.letters <- s.l
	}
	return err
}
func (s *session) Reset()        { s.l = letter{} }
func (s *session) Logout() error { return nil }

// newMailServer starts a server; implicit has TLS from the first byte.
func newMailServer(t *testing.T, implicit bool) (*backend, MailServer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &backend{letters: make(chan letter, 4)}
	s := smtp.NewServer(b)
	s.Domain, s.ErrorLog = "mail.example.com", discard{}
	s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	out := MailServer{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, User: "rollcall", Password: "hunter22", From: "Rollcall <rollcall@example.com>", CAFile: ca}
	if implicit {
		l, out.Security = tls.NewListener(l, s.TLSConfig), ImplicitTLS
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return b, out
}

type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

// An e-mail reaches a real server over TLS and signed in, as text and as HTML, and
// no name of a device gets into its headers.
func TestMailReachesAServer(t *testing.T) {
	for name, implicit := range map[string]bool{"starttls": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			b, server := newMailServer(t, implicit)
			m, err := NewMail(server, []string{"Ann <ann@example.com>", "bob@example.com"})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Send(t.Context(), message()); err != nil {
				t.Fatal(err)
			}
			l := <-b.letters
			if l.from != "rollcall@example.com" || strings.Join(l.to, " ") != "ann@example.com bob@example.com" {
				t.Errorf("from %s to %v", l.from, l.to)
			}
			checkLetter(t, l.data)
		})
	}
}

func checkLetter(t *testing.T, data []byte) {
	t.Helper()
	msg, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if err != nil || msg.Header.Get("Bcc") != "" || !strings.Contains(subject, "Rollcall: 1 finding opened on <!channel>") || strings.ContainsAny(subject, "\r\n") {
		t.Errorf("subject %q, headers %v", subject, msg.Header)
	}
	if msg.Header.Get("Message-Id") != "<msg_1@example.com>" || msg.Header.Get("Auto-Submitted") != "auto-generated" || !strings.HasPrefix(msg.Header.Get("Date"), "Wed, 25 Nov 2026 08:00:00") {
		t.Errorf("headers %v", msg.Header)
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	for _, want := range []struct{ kind, text string }{
		{"text/plain", "313 findings opened: Disk <encryption> is on (high)"}, {"text/html", "Disk &lt;encryption&gt; is on"},
	} {
		p, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil || !strings.HasPrefix(p.Header.Get("Content-Type"), want.kind) || !strings.Contains(string(text), want.text) || !strings.Contains(string(text), "and 312 more") {
			t.Errorf("%s: %v\n%s", want.kind, err, text)
		}
		if want.kind == "text/html" && strings.Contains(string(text), "<at>") {
			t.Errorf("a name is HTML: %s", text)
		}
	}
}

// What the server refuses is told without addresses and passwords; a server
// without TLS gets neither.
func TestMailFailures(t *testing.T) {
	b, server := newMailServer(t, false)
	to := []string{"ann@example.com"}
	b.refuse = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "ann@example.com is nobody"}
	send := func(s MailServer) *Failure {
		t.Helper()
		m, err := NewMail(s, to)
		if err != nil {
			t.Fatal(err)
		}
		err = m.Send(t.Context(), message())
		if err == nil {
			t.Fatal("it was taken")
		}
		for _, secret := range []string{"ann@example.com", "hunter22"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q tells %s", err, secret)
			}
		}
		return FailureOf(err)
	}
	if f := send(server); !f.Refused || !strings.Contains(f.Error(), "550") {
		t.Errorf("refused for good: %+v", f)
	}
	b.refuse = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "later"}
	if f := send(server); f.Refused {
		t.Errorf("refused for now: %+v", f)
	}
	wrong := server
	wrong.Password = "hunter23"
	if f := send(wrong); f.Refused {
		t.Errorf("a wrong password may be set right: %+v", f)
	}
	untrusted := server
	untrusted.CAFile = ""
	if f := send(untrusted); !strings.Contains(f.Error(), "certificate") {
		t.Errorf("a certificate that nobody trusts: %+v", f)
	}
	clear := plainServer(t)
	clear.From, clear.User, clear.Password = server.From, server.User, server.Password
	if f := send(clear); !strings.Contains(strings.ToUpper(f.Error()), "STARTTLS") {
		t.Errorf("a server without TLS: %+v", f)
	}
	for _, s := range []MailServer{{Host: "x", From: "no address"}, {From: "a@b.c"}, {Host: "x", From: "a@b.c", Security: "ssl"}, {Host: "x", From: "a@b.c", User: "u"},
		{Host: "x", From: "a@b.c", Security: Clear, User: "u", Password: "p"}, {Host: "x", From: "a@b.c", Port: 70000}, {Host: "x", From: "a@b.c\r\nBcc: d@e.f"}} {
		if s.Check() == nil {
			t.Errorf("%+v is good", s)
		}
	}
}

// plainServer speaks SMTP and offers no TLS.
func plainServer(t *testing.T) MailServer {
	t.Helper()
	s := smtp.NewServer(&backend{letters: make(chan letter, 1)})
	s.Domain, s.ErrorLog = "mail.example.com", discard{}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return MailServer{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}
}
