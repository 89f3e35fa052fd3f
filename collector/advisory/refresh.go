package advisory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// lookEvery is how often the folder and the sources are looked at.
	lookEvery = 15 * time.Second
	// again is how soon a source that failed is tried again.
	again = 15 * time.Minute
	// maxDownload is several times the largest ecosystem of a distribution.
	maxDownload = 4 << 30
	// downloadTime bounds one download.
	downloadTime = time.Hour
)

// Source is a file, a folder or an address that is read over and over.
type Source struct {
	// Name is what it is kept as, by From if empty.
	Name string
	// From is a path, or an address with http or https.
	From  string
	Every time.Duration
	// Client asks an address.
	Client *http.Client
}

// Remote tells whether a text is an address rather than a path.
func Remote(from string) bool {
	u, err := url.Parse(from)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// Refresh keeps a library fresh.
type Refresh struct {
	library *Library
	sources []Source
	changed func(*Set)
	due     []time.Time
}

// NewRefresh returns what keeps a library fresh from some sources. changed hears
// of what is held, each time that it became another.
func NewRefresh(l *Library, sources []Source, changed func(*Set)) *Refresh {
	return &Refresh{library: l, sources: sources, changed: changed, due: make([]time.Time, len(sources))}
}

// Run looks at the folder and at the sources until ctx ends.
func (r *Refresh) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		r.turn(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// turn looks once. A source that cannot be read is told, and what was held holds on.
func (r *Refresh) turn(ctx context.Context) {
	l := r.library
	r.Look()
	for i, s := range r.sources {
		if l.now().Before(r.due[i]) || ctx.Err() != nil {
			continue
		}
		r.due[i] = l.now().Add(s.Every)
		err := l.refresh(ctx, s)
		if ctx.Err() != nil {
			return
		}
		if l.failed(s.From, err); err != nil {
			l.log.Warn("advisories cannot be refreshed, what was held before holds on", "from", s.From, "error", err)
			r.due[i] = l.now().Add(min(s.Every, again))
			continue
		}
		r.Look()
	}
}

// Look reads files that changed, and tells whoever is to hear of that.
func (r *Refresh) Look() {
	changed, err := r.library.Reload()
	if err != nil {
		r.library.log.Warn("advisories cannot be read, what was held before holds on", "error", err)
	}
	if changed {
		r.changed(r.library.Set())
	}
}

// refresh imports a source where it is another than the one that is held.
func (l *Library) refresh(ctx context.Context, s Source) error {
	held := l.stamp(s.From)
	if Remote(s.From) {
		return l.fetch(ctx, s, held)
	}
	stamp, err := stampOf(s.From)
	if err != nil || stamp == held {
		return err
	}
	_, err = Import{Dir: l.dir, Path: s.From, Name: s.Name, Stamp: stamp, Now: l.now(), Held: l.Infos()}.Run(ctx)
	return err
}

// stamp returns the state of a source that is held, empty for none.
func (l *Library) stamp(from string) string {
	for _, info := range l.Infos() {
		if info.From == from {
			return info.Stamp
		}
	}
	return ""
}

// stampOf sums up the state of a file, or of all in a folder.
func stampOf(name string) (string, error) {
	var files, size int64
	var newest time.Time
	err := filepath.WalkDir(name, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if files, size = files+1, size+info.Size(); info.ModTime().After(newest) {
			newest = info.ModTime()
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("read advisories: %w", err)
	}
	return fmt.Sprintf("%d files, %d bytes, %s", files, size, newest.UTC().Format(time.RFC3339Nano)), nil
}

// fetch imports what an address answers, unless that is what is held.
func (l *Library) fetch(ctx context.Context, s Source, held string) error {
	name, stamp, err := Download(ctx, s.Client, s.From, l.dir, held)
	if err != nil || name == "" {
		return err
	}
	defer os.Remove(name)
	_, err = Import{Dir: l.dir, Path: name, From: s.From, Name: s.Name, Stamp: stamp, Now: l.now(), Held: l.Infos()}.Run(ctx)
	return err
}

// Download fetches an address into a file of a folder, which the caller removes.
// Where the answer is what held was the stamp of, there is no file. The user and
// the password of an address are not told in errors.
func Download(ctx context.Context, client *http.Client, from, dir, held string) (file, stamp string, err error) {
	ctx, cancel := context.WithTimeout(ctx, downloadTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return "", "", errors.New("fetch advisories: this is not an address")
	}
	shown := req.URL.Redacted()
	if tag, ok := strings.CutPrefix(held, "etag "); ok {
		req.Header.Set("If-None-Match", tag)
	} else if at, ok := strings.CutPrefix(held, "modified "); ok {
		req.Header.Set("If-Modified-Since", at)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", "", fmt.Errorf("fetch advisories: %w", err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && held != "":
		return "", held, nil
	case resp.StatusCode != http.StatusOK:
		return "", "", fmt.Errorf("fetch advisories: %s answers %s", shown, resp.Status)
	}
	if tag := resp.Header.Get("ETag"); tag != "" {
		stamp = "etag " + tag
	} else if at := resp.Header.Get("Last-Modified"); at != "" {
		stamp = "modified " + at
	}
	f, err := os.CreateTemp(dir, ".fetch-*")
	if err != nil {
		return "", "", fmt.Errorf("fetch advisories: %w", err)
	}
	n, err := io.Copy(f, io.LimitReader(resp.Body, maxDownload+1))
	if n > maxDownload {
		err = fmt.Errorf("%s answers with more than %d bytes", shown, int64(maxDownload))
	}
	if err := errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", "", fmt.Errorf("fetch advisories: %w", err)
	}
	return f.Name(), stamp, nil
}
