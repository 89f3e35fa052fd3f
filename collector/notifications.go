package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"
	_ "time/tzdata" // so that time zones of digests are known on machines without a list of them

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rollcall-itam/rollcall/collector/connect"
	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
	"github.com/rollcall-itam/rollcall/collector/notify"
	"github.com/rollcall-itam/rollcall/collector/notify/channel"
	"github.com/rollcall-itam/rollcall/collector/watch"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// notificationSettings say who is told what, as they stand in the configuration
// file.
type notificationSettings struct {
	// Link is the address of this collector as people reach it.
	Link          string                 `yaml:"link,omitempty"`
	Mail          *mailSettings          `yaml:"mail,omitempty"`
	Subscriptions []subscriptionSettings `yaml:"subscriptions,omitempty"`
}

// mailSettings name the server that takes e-mail.
type mailSettings struct {
	Host     string `yaml:"host"`
	Port     int    `yaml:"port,omitempty"`
	Security string `yaml:"security,omitempty"`
	User     string `yaml:"user,omitempty"`
	// Password may be env:NAME or file:PATH.
	Password string `yaml:"password,omitempty"`
	From     string `yaml:"from"`
	CAFile   string `yaml:"ca_file,omitempty"`
}

// subscriptionSettings are those of one subscription, with the names that the API
// has for them.
type subscriptionSettings struct {
	ID       string            `yaml:"id"`
	Findings *findingsSettings `yaml:"findings,omitempty"`
	Assets   *assetsSettings   `yaml:"assets,omitempty"`
	Receiver receiverSettings  `yaml:"receiver"`
	Pace     paceSettings      `yaml:"pace,omitempty"`
}

type findingsSettings struct {
	Events     []string `yaml:"events,omitempty,flow"`
	Severities []string `yaml:"severities,omitempty,flow"`
	Rules      []string `yaml:"rules,omitempty,flow"`
	Filter     string   `yaml:"filter,omitempty"`
}

type assetsSettings struct {
	Kinds  []string `yaml:"kinds,omitempty,flow"`
	Fields []string `yaml:"fields,omitempty,flow"`
	Filter string   `yaml:"filter,omitempty"`
}

type receiverSettings struct {
	Kind string `yaml:"kind"`
	// URL and Secret may be env:NAME or file:PATH.
	URL          string   `yaml:"url,omitempty"`
	Secret       string   `yaml:"secret,omitempty"`
	To           []string `yaml:"to,omitempty,flow"`
	Proxy        string   `yaml:"proxy,omitempty"`
	CAFile       string   `yaml:"ca_file,omitempty"`
	AllowPrivate bool     `yaml:"allow_private,omitempty"`
}

type paceSettings struct {
	Window   time.Duration `yaml:"window,omitempty"`
	Daily    string        `yaml:"daily,omitempty"`
	TimeZone string        `yaml:"time_zone,omitempty"`
	PerHour  int32         `yaml:"per_hour,omitempty"`
}

// shown returns the settings without secrets; references to where they are kept
// stay.
func (n notificationSettings) shown() notificationSettings {
	hide := func(v string) string {
		if v == "" || strings.HasPrefix(v, "env:") || strings.HasPrefix(v, "file:") {
			return v
		}
		return "(set)"
	}
	if n.Mail != nil {
		m := *n.Mail
		m.Password = hide(m.Password)
		n.Mail = &m
	}
	subscriptions := make([]subscriptionSettings, len(n.Subscriptions))
	for i, s := range n.Subscriptions {
		s.Receiver.URL, s.Receiver.Secret = hide(s.Receiver.URL), hide(s.Receiver.Secret)
		subscriptions[i] = s
	}
	n.Subscriptions = subscriptions
	return n
}

// check tells what is wrong that can be told without the secrets.
func (n notificationSettings) check() error {
	if n.Link != "" {
		if u, err := url.Parse(n.Link); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.User != nil {
			return fmt.Errorf("notifications: link %q: want the address of this collector like https://rollcall.example.com", n.Link)
		}
	}
	if n.Mail != nil {
		if err := n.Mail.server().Check(); err != nil {
			return fmt.Errorf("notifications: mail: %w", err)
		}
	}
	for i, s := range n.Subscriptions {
		if s.Receiver.Kind == "webhook" && s.Receiver.Secret == "" {
			return fmt.Errorf("notifications: subscription %d (%q): receiver.secret is missing: make one with `echo whsec_$(openssl rand -base64 32)` and name its file as file:PATH", i+1, s.ID)
		}
	}
	return nil
}

func (m mailSettings) server() channel.MailServer {
	return channel.MailServer{Host: m.Host, Port: m.Port, Security: m.Security, User: m.User, Password: m.Password, From: m.From, CAFile: m.CAFile}
}

// definition is a subscription as the API has it, with its secrets.
func (s subscriptionSettings) definition(getenv func(string) string) (*adminpb.Subscription, error) {
	d := &adminpb.Subscription{Id: s.ID, Pace: &adminpb.Pace{Daily: s.Pace.Daily, TimeZone: s.Pace.TimeZone, PerHour: s.Pace.PerHour}}
	if s.Pace.Window != 0 {
		d.Pace.Window = durationpb.New(s.Pace.Window)
	}
	if f := s.Findings; f != nil {
		d.Findings = &adminpb.FindingInterest{Events: f.Events, Severities: f.Severities, Rules: f.Rules, Filter: f.Filter}
	}
	if a := s.Assets; a != nil {
		d.Assets = &adminpb.AssetInterest{Kinds: a.Kinds, Fields: a.Fields, Filter: a.Filter}
	}
	r := s.Receiver
	d.Receiver = &adminpb.Receiver{Kind: r.Kind, To: r.To, Proxy: r.Proxy, AllowPrivate: r.AllowPrivate}
	var err error
	if d.Receiver.Url, err = fetch.Dereference(r.URL, getenv); err != nil {
		return nil, fmt.Errorf("receiver.url: %w", err)
	}
	if d.Receiver.Secret, err = fetch.Dereference(r.Secret, getenv); err != nil {
		return nil, fmt.Errorf("receiver.secret: %w", err)
	}
	if r.CAFile != "" {
		if d.Receiver.CaPem, err = fetch.Dereference("file:"+r.CAFile, getenv); err != nil {
			return nil, fmt.Errorf("receiver.ca_file: %w", err)
		}
	}
	return d, nil
}

// newNotifier makes ready who is told what happens.
func newNotifier(ctx context.Context, s settings, c *core, log *slog.Logger, metrics prometheus.Registerer) (*notify.Notifier, error) {
	vault, err := connect.OpenVault(feedsKey(s))
	if err != nil {
		return nil, err
	}
	o := notify.Options{Store: c.store, Catalog: c.catalog, Changes: c.changes, Title: c.ruleTitle, Vault: vault, Link: strings.TrimRight(s.Notifications.Link, "/"),
		Logger: log, Now: time.Now, After: after, Metrics: metrics}
	if m := s.Notifications.Mail; m != nil {
		server := m.server()
		if server.Password, err = fetch.Dereference(m.Password, os.Getenv); err != nil {
			return nil, fmt.Errorf("notifications: mail: password: %w", err)
		}
		o.Mail = &server
	}
	var errs []error
	for _, one := range s.Notifications.Subscriptions {
		d, err := one.definition(os.Getenv)
		if err != nil {
			errs = append(errs, fmt.Errorf("notifications: subscription %q: %w", one.ID, err))
			continue
		}
		o.Configured = append(o.Configured, d)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	n, err := notify.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	c.engine.OnFindings(n.FollowsFindings, n.FindingsTold)
	return n, nil
}

// ruleTitle returns what a rule is about.
func (c *core) ruleTitle(id string) string {
	if r := c.engine.Pack().Rule(id); r != nil {
		return r.Title
	}
	return ""
}

// openChanges follows what happens to assets.
func (c *core) openChanges() {
	c.changes = watch.New(c.store)
	c.changes.Follow(c.catalog)
}

// after returns a channel on which something comes after a time.
func after(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(max(d, 0))
	return t.C, func() { t.Stop() }
}
