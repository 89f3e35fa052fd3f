package connect

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/vendors"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

const (
	// envPrefix begins the variables that feeds which are connected here may refer
	// to: the environment holds more than is theirs.
	envPrefix = "ROLLCALL_FEED_"
	// secretsDir and importDir are the folders of the data folder that they may
	// read secrets and tables from.
	secretsDir = "secrets"
	importDir  = "import"
	// minEvery bounds how often a system is read.
	minEvery = time.Minute
)

// parseManifest reads the manifest that a feed is connected with.
func parseManifest(r *storagepb.FeedRecord) (*manifest.Manifest, error) {
	switch {
	case (r.GetVendor() == "") == (r.GetManifest() == ""):
		return nil, fmt.Errorf("name a vendor or give a manifest, and not both; known vendors are %s", strings.Join(vendors.Names(), ", "))
	case r.GetVendor() != "":
		return vendors.Load(r.GetVendor())
	}
	m, err := manifest.Parse(strings.NewReader(r.GetManifest()))
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return m, feed.CheckMappings(m)
}

// config opens the secrets of a feed.
func (c *Connections) config(r *storagepb.FeedRecord) (feed.Config, error) {
	m, err := parseManifest(r)
	if err != nil {
		return feed.Config{}, err
	}
	settings := maps.Clone(r.GetSettings())
	if settings == nil {
		settings = make(map[string]string)
	}
	for name, sealed := range r.GetSealed() {
		if settings[name], err = c.o.Vault.Open(place(r.GetId(), name), sealed); err != nil {
			return feed.Config{}, fmt.Errorf("setting %q: %w", name, err)
		}
	}
	return feed.Config{Name: r.GetId(), Manifest: m, Settings: settings, Paused: r.GetPaused(),
		Every: time.Duration(r.GetEverySeconds()) * time.Second, FullEvery: time.Duration(r.GetFullEverySeconds()) * time.Second,
		Reach: fetch.ClientOptions{CAPEM: r.GetCaPem(), Proxy: r.GetProxy(), AllowPrivate: r.GetAllowPrivate()}}, nil
}

// shown is a feed's connection without its secrets.
func shown(r *storagepb.FeedRecord) *adminpb.FeedConnection {
	out := &adminpb.FeedConnection{Vendor: r.GetVendor(), Manifest: r.GetManifest(), Settings: r.GetSettings(), Secrets: sortedKeys(r.GetSealed()),
		Proxy: r.GetProxy(), CaPem: r.GetCaPem(), AllowPrivate: r.GetAllowPrivate()}
	if n := r.GetEverySeconds(); n != 0 {
		out.Every = durationpb.New(time.Duration(n) * time.Second)
	}
	if n := r.GetFullEverySeconds(); n != 0 {
		out.FullEvery = durationpb.New(time.Duration(n) * time.Second)
	}
	return out
}

// change applies to a feed what conn holds, and the named fields even where it
// holds nothing. It returns what changed, for the audit log.
func (c *Connections) change(r *storagepb.FeedRecord, conn *adminpb.FeedConnection, fields []string) (string, error) {
	known := []string{"vendor", "manifest", "settings", "every", "full_every", "proxy", "ca_pem", "allow_private"}
	for _, f := range fields {
		if !slices.Contains(known, f) {
			return "", fmt.Errorf("%w: fields: %.50q is none of %s", ErrInvalid, f, strings.Join(known, ", "))
		}
	}
	if len(conn.GetSecrets()) > 0 {
		return "", fmt.Errorf("%w: secrets are only shown there: give them among settings", ErrInvalid)
	}
	was := target(r)
	var changed []string
	set := func(name string, given bool, apply func()) {
		if given || slices.Contains(fields, name) {
			changed = append(changed, name)
			apply()
		}
	}
	set("vendor", conn.GetVendor() != "", func() { r.Vendor = conn.GetVendor() })
	set("manifest", conn.GetManifest() != "", func() { r.Manifest = conn.GetManifest() })
	set("proxy", conn.GetProxy() != "", func() { r.Proxy = conn.GetProxy() })
	set("ca_pem", conn.GetCaPem() != "", func() { r.CaPem = conn.GetCaPem() })
	set("allow_private", conn.GetAllowPrivate(), func() { r.AllowPrivate = conn.GetAllowPrivate() })
	for name, d := range map[string]*durationpb.Duration{"every": conn.GetEvery(), "full_every": conn.GetFullEvery()} {
		if every := d.AsDuration(); d != nil && every < minEvery {
			return "", fmt.Errorf("%w: %s: %v is less than %v", ErrInvalid, name, every, minEvery)
		}
	}
	set("every", conn.GetEvery() != nil, func() { r.EverySeconds = int64(conn.GetEvery().AsDuration() / time.Second) })
	set("full_every", conn.GetFullEvery() != nil, func() { r.FullEverySeconds = int64(conn.GetFullEvery().AsDuration() / time.Second) })
	m, err := parseManifest(r)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if slices.Contains(fields, "settings") {
		r.Settings, r.Sealed = nil, nil
	}
	names, err := c.settings(r, m, conn.GetSettings())
	if err != nil {
		return "", err
	}
	if err := stays(r, m, was, conn.GetSettings()); err != nil {
		return "", err
	}
	return strings.Join(append(changed, names...), ", "), nil
}

// settings takes settings over: secrets are sealed, references to them stay.
func (c *Connections) settings(r *storagepb.FeedRecord, m *manifest.Manifest, given map[string]string) ([]string, error) {
	var changed []string
	for _, name := range sortedKeys(given) {
		v := given[name]
		changed = append(changed, "settings."+name)
		delete(r.Settings, name)
		delete(r.Sealed, name)
		if v == "" {
			continue
		}
		d, ok := m.Settings[name]
		if !ok {
			return nil, fmt.Errorf("%w: setting %.50q is not one of %s: %s", ErrInvalid, name, m.Name, strings.Join(sortedKeys(m.Settings), ", "))
		}
		reference, err := c.reference(v)
		if err != nil {
			return nil, fmt.Errorf("%w: setting %q: %w", ErrInvalid, name, err)
		}
		switch {
		case d.Type == "file" && !c.within(importDir, v):
			return nil, fmt.Errorf("%w: setting %q: put the file into %s and name it there", ErrInvalid, name, filepath.Join(c.o.DataDir, importDir))
		case d.Secret && !reference:
			if r.Sealed == nil {
				r.Sealed = make(map[string][]byte)
			}
			r.Sealed[name] = c.o.Vault.Seal(place(r.GetId(), name), v)
		default:
			if r.Settings == nil {
				r.Settings = make(map[string]string)
			}
			r.Settings[name] = v
		}
	}
	return changed, nil
}

// reference tells whether a value refers to where it is kept, and refuses what
// is not for feeds to read: who may connect one may have it sent anywhere.
func (c *Connections) reference(v string) (bool, error) {
	if name, ok := strings.CutPrefix(v, "env:"); ok {
		if !strings.HasPrefix(name, envPrefix) {
			return true, fmt.Errorf("env:%.50s: only variables whose names begin with %s may be referred to here", name, envPrefix)
		}
		return true, nil
	}
	if file, ok := strings.CutPrefix(v, "file:"); ok {
		if !c.within(secretsDir, file) {
			return true, fmt.Errorf("file:%.200s: only files in %s may be referred to here", file, filepath.Join(c.o.DataDir, secretsDir))
		}
		return true, nil
	}
	return false, nil
}

// within tells whether a path leads into a folder of the data folder.
func (c *Connections) within(folder, path string) bool {
	dir, err := filepath.Abs(filepath.Join(c.o.DataDir, folder))
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(dir, filepath.Clean(path))
	return filepath.IsAbs(path) && err == nil && filepath.IsLocal(rel) && rel != "."
}

// target is where the secrets of a feed are sent.
func target(r *storagepb.FeedRecord) map[string]string {
	t := map[string]string{"vendor": r.GetVendor(), "manifest": r.GetManifest(), "proxy": r.GetProxy(), "ca_pem": r.GetCaPem(), "allow_private": fmt.Sprint(r.GetAllowPrivate())}
	for name, v := range r.GetSettings() {
		t["settings."+name] = v
	}
	return t
}

// stays refuses a change of where secrets are sent, as long as they are not
// given again: otherwise whoever may change a feed could have them.
func stays(r *storagepb.FeedRecord, m *manifest.Manifest, was, given map[string]string) error {
	now := target(r)
	moved := ""
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if setting, ok := strings.CutPrefix(name, "settings."); ok && m.Settings[setting].Secret {
			continue
		}
		if was[name] != now[name] {
			moved = name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if _, ok := was[name]; !ok && strings.HasPrefix(name, "settings.") && !m.Settings[strings.TrimPrefix(name, "settings.")].Secret {
			moved = name
		}
	}
	if moved == "" {
		return nil
	}
	for _, name := range sortedKeys(r.GetSealed()) {
		if given[name] == "" {
			return fmt.Errorf("%w: %s changes where secrets are sent: give settings.%s again", ErrInvalid, moved, name)
		}
	}
	return nil
}
