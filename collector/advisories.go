package main

import (
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"time"

	"github.com/rollcall-itam/rollcall/collector/advisory"
	"github.com/rollcall-itam/rollcall/collector/exposure"
	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
)

// Bounds of how often a source of advisories is read.
const (
	defaultAdvisoryEvery = 24 * time.Hour
	minAdvisoryEvery     = 5 * time.Minute
	maxAdvisoryEvery     = 31 * 24 * time.Hour
)

// advisorySettings name one source of advisories, as they stand in the
// configuration file.
type advisorySettings struct {
	// From is a file, a folder, or an address of OSV's data or of CISA's catalog.
	From string `yaml:"from"`
	// Name is what it is kept as; by From if empty.
	Name string `yaml:"name,omitempty"`
	// Every is how often it is looked at; a day unless set.
	Every time.Duration `yaml:"every,omitempty"`
	// CAFile, Proxy and AllowPrivate are as those of feeds.
	CAFile       string `yaml:"ca_file,omitempty"`
	Proxy        string `yaml:"proxy,omitempty"`
	AllowPrivate bool   `yaml:"allow_private,omitempty"`
}

// shown returns the settings without a password.
func (a advisorySettings) shown() advisorySettings {
	if u, err := url.Parse(a.From); err == nil && u.User != nil {
		a.From = u.Redacted()
	}
	return a
}

// source checks the settings.
func (a advisorySettings) source() (advisory.Source, error) {
	s := advisory.Source{Name: a.Name, From: a.From, Every: a.Every}
	if s.Every == 0 {
		s.Every = defaultAdvisoryEvery
	}
	switch {
	case a.From == "":
		return s, fmt.Errorf("advisories: an entry has no from: name a file, a folder or an address")
	case s.Every < minAdvisoryEvery || s.Every > maxAdvisoryEvery:
		return s, fmt.Errorf("advisories from %s: every %s: want %s to %s", a.shown().From, a.Every, minAdvisoryEvery, maxAdvisoryEvery)
	case !advisory.Remote(a.From) && (a.CAFile != "" || a.Proxy != ""):
		return s, fmt.Errorf("advisories from %s: ca_file and proxy are for an address with https", a.shown().From)
	}
	if !advisory.Remote(a.From) {
		return s, nil
	}
	if u, err := url.Parse(a.From); err == nil && u.Scheme == "http" && !a.AllowPrivate {
		return s, fmt.Errorf("advisories from %s: http is for a mirror in house: use https, or set allow_private", a.shown().From)
	}
	var err error
	if s.Client, err = fetch.NewClient(fetch.ClientOptions{CAFile: a.CAFile, Proxy: a.Proxy, AllowPrivate: a.AllowPrivate}); err != nil {
		return s, fmt.Errorf("advisories from %s: %w", a.shown().From, err)
	}
	s.Client.Timeout = 0 // the download has a time of its own
	return s, nil
}

// advisorySources checks all of them.
func (s settings) advisorySources() ([]advisory.Source, error) {
	var out []advisory.Source
	names := make(map[string]string)
	for _, a := range s.Advisories {
		source, err := a.source()
		if err != nil {
			return nil, err
		}
		if source.Name == "" {
			source.Name = advisory.NameFor(a.From)
		}
		if before := names[source.Name]; before != "" {
			return nil, fmt.Errorf("advisories from %s and from %s would both be kept as %q: give one of them a name", before, a.shown().From, source.Name)
		}
		names[source.Name] = a.shown().From
		out = append(out, source)
	}
	return out, nil
}

// advisoriesDir is where advisories are kept.
func advisoriesDir(dataDir string) string { return filepath.Join(dataDir, "advisories") }

// openAdvisories opens what was imported, and has assets judged by it.
func (c *core) openAdvisories(s settings, log *slog.Logger) error {
	sources, err := s.advisorySources()
	if err != nil {
		return err
	}
	if c.library, err = advisory.Open(advisoriesDir(s.DataDir), log, time.Now); err != nil {
		return err
	}
	c.exposure = exposure.New(c.view, c.library.Set, time.Now)
	c.engine.Advise(c.library.Set())
	c.refresh = advisory.NewRefresh(c.library, sources, c.engine.Advise)
	return nil
}
