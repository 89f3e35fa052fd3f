package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// maxManifest bounds a manifest that is sent, in bytes.
const maxManifest = 512 << 10

// connectionFlags say which system a feed reads, and how.
type connectionFlags struct {
	Vendor       string            `placeholder:"NAME" help:"A system that is known: rollcall-collector feeds list."`
	Manifest     string            `placeholder:"FILE" complete:"file" help:"A manifest that describes another."`
	Set          map[string]string `placeholder:"NAME=VALUE" help:"A setting; may be repeated. @FILE takes the value from a file, so that a secret stands in no list of processes."`
	Every        time.Duration     `help:"How often changes are read."`
	FullEvery    time.Duration     `help:"How often everything is read."`
	Proxy        string            `placeholder:"URL" help:"HTTP proxy, or environment."`
	Trust        string            `placeholder:"FILE" complete:"file" help:"Certificates to trust for it beside the system's."`
	AllowPrivate bool              `help:"Let it ask addresses of private networks."`
}

// connection reads the files that the flags name.
func (f connectionFlags) connection() (map[string]any, error) {
	settings := make(map[string]string)
	for name, v := range f.Set {
		if file, ok := strings.CutPrefix(v, "@"); ok {
			b, err := readSmall(file)
			if err != nil {
				return nil, err
			}
			v = strings.TrimRight(b, "\r\n")
		}
		settings[name] = v
	}
	c := map[string]any{"settings": settings, "allow_private": f.AllowPrivate}
	for name, v := range map[string]string{"vendor": f.Vendor, "proxy": f.Proxy} {
		if v != "" {
			c[name] = v
		}
	}
	for name, d := range map[string]time.Duration{"every": f.Every, "full_every": f.FullEvery} {
		if d != 0 {
			c[name] = fmt.Sprintf("%ds", int(d.Seconds()))
		}
	}
	for name, file := range map[string]string{"manifest": f.Manifest, "ca_pem": f.Trust} {
		if file == "" {
			continue
		}
		text, err := readSmall(file)
		if err != nil {
			return nil, err
		}
		c[name] = text
	}
	return c, nil
}

func readSmall(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err == nil && len(b) > maxManifest {
		err = fmt.Errorf("it has more than %d bytes", maxManifest)
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	return string(b), nil
}

type feedsCreateCommand struct {
	Feed            string `arg:"" complete:"feed" help:"Name of the feed: the source under which its records are filed."`
	connectionFlags `embed:""`
	Paused          bool `help:"Do not read it yet."`
}

// Run connects a system.
func (cmd feedsCreateCommand) Run(s *session) error {
	conn, err := cmd.connection()
	if err != nil {
		return err
	}
	return s.askFeed(http.MethodPost, "/v1/feeds", map[string]any{"id": cmd.Feed, "connection": conn, "paused": cmd.Paused})
}

type feedsUpdateCommand struct {
	Feed            string `arg:"" complete:"feed" help:"Name of the feed."`
	connectionFlags `embed:""`
	Clear           []string `placeholder:"FIELD" values:"every,full_every,proxy,ca_pem,allow_private,settings" help:"Set a field back: every, full_every, proxy, ca_pem, allow_private, settings."`
}

// Run changes how a system is connected.
func (cmd feedsUpdateCommand) Run(s *session) error {
	conn, err := cmd.connection()
	if err != nil {
		return err
	}
	return s.askFeed(http.MethodPatch, feedPath(cmd.Feed), map[string]any{"connection": conn, "fields": strings.Join(cmd.Clear, ",")})
}

func feedPath(name string) string { return "/v1/feeds/" + url.PathEscape(name) }

type feedsDeleteCommand struct {
	Feed     string `arg:"" complete:"feed" help:"Name of the feed."`
	Withdraw bool   `help:"Withdraw what it said, too."`
}

// Run disconnects a system.
func (cmd feedsDeleteCommand) Run(s *session) error {
	return send(s, http.MethodDelete, fmt.Sprintf("%s?withdraw=%t", feedPath(cmd.Feed), cmd.Withdraw), nil, func(r *adminpb.DeleteFeedResponse) {
		s.note("%s is disconnected; %d records of it are withdrawn", cmd.Feed, r.GetWithdrawn())
	})
}

type feedsTryCommand struct {
	Feed            string `arg:"" optional:"" complete:"feed" help:"Name of a feed; without one, --vendor or --manifest."`
	connectionFlags `embed:""`
	Limit           int `default:"5" help:"Records of each stream, 1 to 20."`
}

// Run asks a system for a few records and shows what would come of them.
func (cmd feedsTryCommand) Run(s *session) error {
	body := map[string]any{"id": cmd.Feed, "limit": cmd.Limit}
	if cmd.Vendor != "" || cmd.Manifest != "" {
		conn, err := cmd.connection()
		if err != nil {
			return err
		}
		body["connection"] = conn
	}
	c, err := s.open()
	if err != nil {
		return err
	}
	raw, err := c.call(s.ctx, http.MethodPost, "/v1/feeds:test", body)
	if err != nil {
		return err
	}
	r := new(adminpb.TestFeedResponse)
	if err := decode(raw, r); err != nil {
		return err
	}
	err = printAnswer(s, raw, func(*adminpb.TestFeedResponse) { s.showTest(r) }, "records")
	if err == nil && r.GetError() != "" {
		return fail(exitError, "%s", r.GetError())
	}
	return err
}

// showTest prints records and what would come of them.
func (s *session) showTest(r *adminpb.TestFeedResponse) {
	for _, l := range r.GetLayout() {
		fmt.Fprintln(s.out, "#", clean(l))
	}
	for i, t := range r.GetRecords() {
		fmt.Fprintf(s.out, "--- %s, record %d\n%s\n", clean(t.GetStream()), i+1, clean(t.GetRecord()))
		switch {
		case t.GetError() != "":
			fmt.Fprintln(s.out, "=> cannot be taken:", clean(t.GetError()))
			continue
		case t.GetLeftOut():
			fmt.Fprintln(s.out, "=> is left out")
			continue
		}
		fmt.Fprintf(s.out, "=> %s\n", clean(protojson.MarshalOptions{UseProtoNames: true}.Format(t.GetObservation())))
		p := t.GetPlacement()
		if p.GetAssetId() == "" {
			fmt.Fprintln(s.out, "=> is a new asset")
			continue
		}
		fmt.Fprintf(s.out, "=> joins %s %s: %s\n", p.GetAssetId(), clean(p.GetName()), clean(strings.Join(p.GetReasons(), "; ")))
	}
}
