package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/connect"
	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

type feedsTryCommand struct {
	Manifest     string            `arg:"" placeholder:"FILE" help:"File of the manifest, or name of a known system."`
	Set          map[string]string `placeholder:"NAME=VALUE" help:"A setting; may be repeated. Secrets as env:VARIABLE or file:PATH, so that they stand in no list of processes."`
	Limit        int               `default:"5" help:"Records of each stream."`
	CAFile       string            `name:"ca-file" placeholder:"FILE" help:"Certificates to trust beside the system's."`
	Proxy        string            `placeholder:"URL" help:"HTTP proxy, or environment."`
	AllowPrivate bool              `help:"Ask addresses of private networks too."`
	Name         string            `placeholder:"FEED" help:"Name that the feed has or would have; the manifest's unless set."`
	Collector    string            `placeholder:"URL" help:"Ask this running collector which asset each record would join, with the token in ROLLCALL_TOKEN."`
	DataDir      string            `placeholder:"DIR" help:"Look up in this data folder which asset each record would join; its collector must be stopped."`
}

// Run asks a system and shows what comes.
func (c feedsTryCommand) Run(world outside) error {
	m, err := openManifest(c.Manifest)
	if err != nil {
		return err
	}
	client, err := fetch.NewClient(fetch.ClientOptions{CAFile: c.CAFile, Proxy: c.Proxy, AllowPrivate: c.AllowPrivate})
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(world.stderr, nil))
	conf := feed.Config{Name: c.Name, Manifest: m, Settings: c.Set, Client: client}
	if conf.Name == "" {
		conf.Name = m.Name
	}
	o := feed.Options{Logger: log, Now: time.Now, Wait: wait, Getenv: world.getenv}
	layout, err := feed.Layout(ctx, conf, o)
	if err != nil {
		return err
	}
	for _, l := range layout {
		fmt.Fprintln(world.stdout, "#", l)
	}
	tried, err := feed.Try(ctx, conf, o, max(c.Limit, 1))
	placed, lookup := c.place(ctx, world, log, conf, tried)
	if shown := showTried(world.stdout, tried, placed); shown != nil {
		return shown
	}
	return errors.Join(err, lookup)
}

// observations are those that would come of the records.
func observations(tried []feed.Tried) (all []*pb.Observation) {
	for _, t := range tried {
		if o := t.Result.Observation; t.Err == nil && !t.Result.Skipped && o != nil {
			all = append(all, o)
		}
	}
	return all
}

// place looks up which asset each observation would join, where somebody said
// where to look.
func (c feedsTryCommand) place(ctx context.Context, world outside, log *slog.Logger, conf feed.Config, tried []feed.Tried) (map[*pb.Observation]*adminpb.Placement, error) {
	all := observations(tried)
	switch {
	case c.Collector != "" && c.DataDir != "":
		return nil, errors.New("name a running collector or a data folder, and not both")
	case len(all) == 0:
		return nil, nil
	case c.Collector != "":
		return c.ask(ctx, world, conf.Manifest, all)
	case c.DataDir == "":
		return nil, nil
	}
	dir := c.DataDir
	s, err := configFlags{layer: layer{DataDir: &dir}}.settings(world.getenv)
	if err != nil {
		return nil, err
	}
	placed := make(map[*pb.Observation]*adminpb.Placement)
	err = withStore(ctx, s, log, func(st *store.Store) error {
		known := catalog.New(st, time.Now, log)
		for _, o := range all {
			p, err := known.Place(ctx, o, connect.SourceOf(conf))
			if errors.Is(err, catalog.ErrInvalid) {
				continue // what is wrong with it is a matter of the manifest
			}
			if err != nil {
				return err
			}
			placed[o] = &adminpb.Placement{AssetId: p.Asset.GetId(), Name: p.Asset.GetName(), Reasons: p.Reasons}
		}
		return nil
	})
	return placed, err
}

// previewBatch is how many observations a collector is asked about at once.
const previewBatch = 100

// ask asks a running collector.
func (c feedsTryCommand) ask(ctx context.Context, world outside, m *manifest.Manifest, all []*pb.Observation) (map[*pb.Observation]*adminpb.Placement, error) {
	u, err := url.Parse(c.Collector)
	if err != nil || u.Host == "" || u.Scheme != "https" && !loopback(net.JoinHostPort(u.Hostname(), "0")) {
		return nil, fmt.Errorf("--collector %q: want https://host:port, so that the token does not travel in the clear", c.Collector)
	}
	token := world.getenv("ROLLCALL_TOKEN")
	if token == "" {
		return nil, errors.New("the collector wants a token: set ROLLCALL_TOKEN to one of an operator")
	}
	placed := make(map[*pb.Observation]*adminpb.Placement)
	for len(all) > 0 {
		batch := all[:min(len(all), previewBatch)]
		all = all[len(batch):]
		answer, err := preview(ctx, strings.TrimRight(c.Collector, "/"), token, &adminpb.PreviewObservationsRequest{Observations: batch, Kind: m.Kind, Unique: m.Unique})
		if err != nil {
			return placed, fmt.Errorf("ask the collector which assets the records would join: %w", err)
		}
		for i, p := range answer.GetPlacements() {
			if i < len(batch) {
				placed[batch[i]] = p
			}
		}
	}
	return placed, nil
}

func preview(ctx context.Context, base, token string, r *adminpb.PreviewObservationsRequest) (*adminpb.PreviewObservationsResponse, error) {
	body, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(r)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/observations:preview", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	const most = 16 << 20
	answer, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s: %.300s", resp.Status, answer)
	}
	out := new(adminpb.PreviewObservationsResponse)
	return out, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(answer, out)
}

// showTried prints records and what would come of them.
func showTried(w io.Writer, tried []feed.Tried, placed map[*pb.Observation]*adminpb.Placement) error {
	for i, t := range tried {
		raw, err := json.MarshalIndent(t.Record, "", "  ")
		if err != nil {
			return fmt.Errorf("show a record: %w", err)
		}
		fmt.Fprintf(w, "--- %s, record %d\n%s\n", t.Stream, i+1, raw)
		switch {
		case t.Err != nil:
			fmt.Fprintln(w, "=> cannot be taken:", t.Err)
			continue
		case t.Result.Skipped:
			fmt.Fprintln(w, "=> is left out:", t.Result.SourceID)
			continue
		}
		b, err := protojson.MarshalOptions{UseProtoNames: true, Multiline: true}.Marshal(t.Result.Observation)
		if err != nil {
			return fmt.Errorf("show an observation: %w", err)
		}
		fmt.Fprintf(w, "=> %s\n", b)
		if p := placed[t.Result.Observation]; p.GetAssetId() != "" {
			fmt.Fprintf(w, "=> joins asset %s (%s): %s\n", p.GetAssetId(), p.GetName(), strings.Join(p.GetReasons(), "; "))
		} else if p != nil {
			fmt.Fprintln(w, "=> is a new asset")
		}
	}
	return nil
}
