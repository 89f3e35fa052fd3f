package channel

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"html/template"
	"net/mail"
	"slices"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
)

// How a mail server is spoken to.
const (
	// StartTLS begins in the clear and goes no further without TLS; ImplicitTLS is
	// TLS from the first byte; Clear is for a server on this machine.
	StartTLS    = "starttls"
	ImplicitTLS = "tls"
	Clear       = "none"
)

// MailServer is the server that takes e-mail.
type MailServer struct {
	Host string
	// Port is 0 for the usual one.
	Port int
	// Security is StartTLS, ImplicitTLS or Clear; empty is StartTLS.
	Security string
	// User and Password sign in; empty for a server that asks for neither.
	User, Password string
	// From is the sender, as in Rollcall <rollcall@example.com>.
	From string
	// CAFile holds certificates to trust beside the system's.
	CAFile string
}

// Check tells what is wrong with the settings.
func (s MailServer) Check() error {
	switch {
	case s.Host == "" || strings.ContainsAny(s.Host, " \r\n/"):
		return errors.New("host: name the mail server")
	case s.Port < 0 || s.Port > 65535:
		return fmt.Errorf("port %d: want 1 to 65535", s.Port)
	case !slices.Contains([]string{"", StartTLS, ImplicitTLS, Clear}, s.Security):
		return fmt.Errorf("security %.20q: want starttls, tls or none", s.Security)
	case s.Security == Clear && s.Password != "":
		return errors.New("security is none, and a password must not travel in the clear: use starttls or tls")
	case (s.User == "") != (s.Password == ""):
		return errors.New("user and password belong together: give both or neither")
	}
	if _, err := CheckAddress(s.From); err != nil {
		return fmt.Errorf("from: %w", err)
	}
	return nil
}

// CheckAddress returns an e-mail address as it is written in a header.
func CheckAddress(text string) (string, error) {
	a, err := mail.ParseAddress(text)
	if err != nil || len(text) > 320 || strings.ContainsAny(text, "\r\n\x00") {
		return "", fmt.Errorf("%.100q is no e-mail address like ann@example.com", text)
	}
	return a.String(), nil
}

// Mail hands messages to a mail server.
type Mail struct {
	server MailServer
	to     []string
	tls    *tls.Config
}

// NewMail returns a sender to some addresses.
func NewMail(s MailServer, to []string) (*Mail, error) {
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("mail server: %w", err)
	}
	pool, err := fetch.Certificates(fetch.ClientOptions{CAFile: s.CAFile})
	if err != nil {
		return nil, fmt.Errorf("mail server: %w", err)
	}
	m := &Mail{server: s, tls: &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12, RootCAs: pool}}
	for _, text := range to {
		a, err := CheckAddress(text)
		if err != nil {
			return nil, err
		}
		m.to = append(m.to, a)
	}
	if len(m.to) == 0 {
		return nil, errors.New("name at least one address")
	}
	return m, nil
}

// Send implements Sender.
func (m *Mail) Send(ctx context.Context, msg *Message) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	out, err := m.write(msg)
	if err != nil {
		return &Failure{Err: err, Refused: true}
	}
	client, err := m.client()
	if err != nil {
		return fmt.Errorf("reach the mail server: %w", err)
	}
	err = client.DialAndSendWithContext(ctx, out)
	if err == nil || out.IsDelivered() {
		return nil // what went wrong in saying goodbye is no matter
	}
	return m.failure(err)
}

// failure says what the server answered, without the addresses.
func (m *Mail) failure(err error) *Failure {
	f := &Failure{}
	text := err.Error()
	var refused *gomail.SendError
	if errors.As(err, &refused) {
		f.Refused = refused.ErrorCode() >= 500 && !refused.IsTemp()
		text, _, _ = strings.Cut(text, ", affected recipient(s)")
		text, _, _ = strings.Cut(text, ", affected message ID")
	}
	for _, to := range m.to {
		if a, err := mail.ParseAddress(to); err == nil {
			text = strings.ReplaceAll(text, a.Address, "(address)")
		}
	}
	f.Err = fmt.Errorf("the mail server did not take the message: %s", plain(text))
	return f
}

func (m *Mail) client() (*gomail.Client, error) {
	options := []gomail.Option{gomail.WithTimeout(15 * time.Second), gomail.WithTLSConfig(m.tls), gomail.WithoutNoop()}
	port := m.server.Port
	switch m.server.Security {
	case ImplicitTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS), gomail.WithSSL())
		port = orElse(port, 465)
	case Clear:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
		port = orElse(port, 25)
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
		port = orElse(port, 587)
	}
	if m.server.User != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(m.server.User), gomail.WithPassword(m.server.Password))
	}
	return gomail.NewClient(m.server.Host, append(options, gomail.WithPort(port))...)
}

func orElse(port, usual int) int {
	if port == 0 {
		return usual
	}
	return port
}

// write makes an e-mail of a message, with a text and an HTML body. No text from
// outside reaches a header but as one encoded word.
func (m *Mail) write(msg *Message) (*gomail.Msg, error) {
	out := gomail.NewMsg()
	if err := errors.Join(out.From(m.server.From), out.To(m.to...)); err != nil {
		return nil, fmt.Errorf("write the message: %w", err)
	}
	from, err := mail.ParseAddress(m.server.From)
	if err != nil {
		return nil, fmt.Errorf("write the message: %w", err)
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	out.Subject("Rollcall: " + plain(msg.Title))
	out.SetDateWithValue(msg.At)
	out.SetMessageIDWithValue(msg.ID + "@" + domain)
	// RFC 3834: nobody's absence is to be answered to it.
	out.SetGenHeader("Auto-Submitted", "auto-generated")
	out.SetGenHeader("X-Rollcall-Subscription", msg.Subscription)
	var html strings.Builder
	if err := mailPage.Execute(&html, pageOf(msg)); err != nil {
		return nil, fmt.Errorf("write the message: %w", err)
	}
	out.SetBodyString(gomail.TypeTextPlain, mailText(msg))
	out.AddAlternativeString(gomail.TypeTextHTML, html.String())
	return out, nil
}

func mailText(m *Message) string {
	var b strings.Builder
	b.WriteString(plain(m.Title) + "\n")
	for _, g := range m.Groups {
		b.WriteString("\n" + g.Heading() + "\n")
		for _, l := range g.lines() {
			b.WriteString("  - " + l + "\n")
		}
		for _, l := range more(g) {
			b.WriteString("  " + l + "\n")
		}
	}
	for _, n := range m.notes() {
		b.WriteString("\n" + n + "\n")
	}
	b.WriteString("\n-- \n" + m.foot() + "\n")
	if m.Link != "" {
		b.WriteString(m.Link + "\n")
	}
	return b.String()
}

// page is what mailPage shows.
type page struct {
	Title, Foot, Link string
	Groups            []pageGroup
	Notes             []string
}

type pageGroup struct {
	Heading, Link, Command string
	Lines                  []string
}

func pageOf(m *Message) page {
	p := page{Title: plain(m.Title), Foot: m.foot(), Link: m.Link, Notes: m.notes()}
	for _, g := range m.Groups {
		p.Groups = append(p.Groups, pageGroup{Heading: g.Heading(), Link: g.Link, Command: g.command(), Lines: g.lines()})
	}
	return p
}

// mailPage needs nothing from anywhere: no pictures, no style sheets, no scripts.
var mailPage = template.Must(template.New("mail").Parse(`<!DOCTYPE html>
<html><body style="font-family:sans-serif;color:#222">
<h2 style="font-size:18px">{{.Title}}</h2>
{{range .Groups}}<h3 style="font-size:15px;margin-bottom:4px">{{.Heading}}</h3>
<ul style="margin-top:4px">{{range .Lines}}<li>{{.}}</li>{{end}}</ul>
{{if .Link}}<p><a href="{{.Link}}">{{.Link}}</a></p>{{end}}{{if .Command}}<p><code>{{.Command}}</code></p>{{end}}
{{end}}{{range .Notes}}<p>{{.}}</p>
{{end}}<hr><p style="color:#666;font-size:12px">{{.Foot}}{{if .Link}}, <a href="{{.Link}}">Rollcall</a>{{end}}</p>
</body></html>
`))
