package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFileBytes bounds the files that are read: settings, tokens, certificates.
const maxFileBytes = 1 << 20

// connection says which collector to ask, and as whom. The token itself is no
// flag, so that it stands in no list of processes.
type connection struct {
	URL       string `name:"url" placeholder:"URL" help:"Where the collector answers, as in https://rollcall.example.com:8470 (or ROLLCALL_URL)."`
	TokenFile string `placeholder:"FILE" complete:"file" help:"File with an API token, - for standard input (or the token in ROLLCALL_TOKEN)."`
	CAFile    string `name:"ca-file" placeholder:"FILE" complete:"file" help:"PEM certificates to trust instead of the system's (or ROLLCALL_CA_FILE)."`
}

// saved is the file that login writes, and a connection with all layers joined.
type saved struct {
	URL    string `yaml:"url"`
	Token  string `yaml:"token,omitempty"`
	CAFile string `yaml:"ca_file,omitempty"`
}

// resolve joins flags, environment and what login has saved, in this order.
// A saved token goes to the collector that it was saved for and to no other.
func (c connection) resolve(world outside) (saved, error) {
	now, err := c.given(world)
	if err != nil {
		return saved{}, err
	}
	if now.URL == "" || now.Token == "" {
		before, err := loadSaved(world)
		if err != nil {
			return saved{}, err
		}
		if now.URL == "" {
			now.URL = before.URL
		}
		if now.URL == before.URL {
			now.Token, now.CAFile = or(now.Token, before.Token), or(now.CAFile, before.CAFile)
		}
	}
	switch {
	case now.URL == "":
		return saved{}, fail(exitUsage, "no collector is named: pass --url, set ROLLCALL_URL, or run `rollcall login --url URL` once")
	case now.Token == "":
		return saved{}, fail(exitUsage, "no token for %s: run `rollcall login --url %s` to sign in, or pass --token-file or set ROLLCALL_TOKEN; the first token is in the file admin-token of the collector's data folder", now.URL, now.URL)
	}
	return now, nil
}

// given returns what flags and environment say.
func (c connection) given(world outside) (saved, error) {
	out := saved{Token: strings.TrimSpace(world.getenv("ROLLCALL_TOKEN")), CAFile: or(c.CAFile, world.getenv("ROLLCALL_CA_FILE"))}
	if raw := or(c.URL, world.getenv("ROLLCALL_URL")); raw != "" {
		u, err := checkURL(raw)
		if err != nil {
			return saved{}, err
		}
		out.URL = u
	}
	if c.TokenFile != "" {
		b, err := readFile(c.TokenFile, world.stdin)
		if err != nil {
			return saved{}, fmt.Errorf("read the token: %w", err)
		}
		if out.Token = strings.TrimSpace(string(b)); out.Token == "" {
			return saved{}, fail(exitUsage, "the file %s of --token-file holds no token", c.TokenFile)
		}
	}
	if strings.ContainsFunc(out.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return saved{}, fail(exitUsage, "the token is not one line of plain characters: a token is like rca_...")
	}
	return out, nil
}

// checkURL returns the URL without what may differ, or says why a token should
// not go there.
func checkURL(raw string) (string, error) {
	u, err := url.Parse(strings.TrimRight(strings.TrimSpace(raw), "/"))
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fail(exitUsage, "the URL %q of --url or ROLLCALL_URL is not like https://rollcall.example.com:8470", raw)
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if local := u.Hostname() == "localhost" || (err == nil && ip.IsLoopback()); u.Scheme == "http" && !local {
		return "", fail(exitUsage, "the token would go to %s unencrypted: use https://, or a tunnel to the collector's loopback address", u.Host)
	}
	return u.String(), nil
}

func configPath(world outside) (string, error) {
	dir, err := world.configDir()
	if err != nil {
		return "", fmt.Errorf("find the folder of your settings: %w", err)
	}
	return filepath.Join(dir, "rollcall", "config.yaml"), nil
}

// loadSaved returns what login saved; nothing is no error.
func loadSaved(world outside) (saved, error) {
	path, err := configPath(world)
	if err != nil {
		return saved{}, nil // without a home there is nothing that login could have saved
	}
	b, err := readFile(path, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return saved{}, nil
	}
	if err != nil {
		return saved{}, fmt.Errorf("read what login saved: %w", err)
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	var out saved
	if err := d.Decode(&out); err != nil && !errors.Is(err, io.EOF) {
		return saved{}, fmt.Errorf("%s is not what login saves: run rollcall login again: %w", path, err)
	}
	if out.URL != "" {
		if out.URL, err = checkURL(out.URL); err != nil {
			return saved{}, fmt.Errorf("in %s: %w", path, err)
		}
	}
	return out, nil
}

// store writes the file of login as a whole, readable for its owner only.
func (c saved) store(path string) error {
	b, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("write the settings as YAML: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the folder of the settings: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".config-*") // has mode 0600
	if err != nil {
		return fmt.Errorf("save the settings: %w", err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("save the settings: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// readFile reads a file of bounded size; - is standard input.
func readFile(path string, stdin io.Reader) ([]byte, error) {
	if path != "-" || stdin == nil {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		stdin = f
	}
	b, err := io.ReadAll(io.LimitReader(stdin, maxFileBytes+1))
	if err == nil && len(b) > maxFileBytes {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFileBytes)
	}
	return b, err
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
