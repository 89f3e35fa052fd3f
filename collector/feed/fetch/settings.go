package fetch

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
)

// Settings are the values that a user filled in, ready to use.
type Settings map[string]string

// maxSetting bounds a setting and a file that holds one.
const maxSetting = 64 << 10

// overName is where an address names what a stream is read over.
var overName = regexp.MustCompile(`\{[a-z][a-z0-9_]*\}`)

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)

// NewSettings checks values against a manifest and replaces references:
// env:NAME by the variable of the environment, file:PATH by the content of the
// file. The error tells all that is wrong, and no secret.
func NewSettings(m *manifest.Manifest, given map[string]string, getenv func(string) string) (Settings, error) {
	s := make(Settings)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, ok := m.Settings[name]; !ok {
			errs = append(errs, fmt.Errorf("setting %q is not one of %s: %s", name, m.Name, strings.Join(slices.Sorted(maps.Keys(m.Settings)), ", ")))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Settings)) {
		v, err := setting(m.Settings[name], given, name, getenv)
		if err != nil {
			errs = append(errs, fmt.Errorf("setting %q: %w", name, err))
		}
		s[name] = v
	}
	return s, errors.Join(errs...)
}

func setting(d manifest.Setting, given map[string]string, name string, getenv func(string) string) (string, error) {
	v, ok := given[name]
	if !ok {
		if d.Default == nil {
			return "", fmt.Errorf("is missing: %s%s", d.Help, example(d))
		}
		return *d.Default, nil
	}
	v, err := Dereference(v, getenv)
	if err != nil {
		return "", err
	}
	if v == "" && d.Default == nil {
		return "", fmt.Errorf("is empty: %s%s", d.Help, example(d))
	}
	if len(v) > maxSetting {
		return "", fmt.Errorf("has more than %d bytes", maxSetting)
	}
	switch {
	case d.Type == "url":
		if _, err := parseAddress(overName.ReplaceAllString(v, "x")); err != nil {
			return "", err
		}
		v = strings.TrimRight(v, "/")
	case d.Type == "host" && !hostName.MatchString(v):
		return "", fmt.Errorf("want a host name or a part of one%s", example(d))
	case d.Type == "pem" && !strings.Contains(v, "-----BEGIN"):
		return "", errors.New("want a key in PEM form (-----BEGIN ...): name its file as file:PATH")
	case d.OneOf != nil && !slices.Contains(d.OneOf, v):
		return "", fmt.Errorf("want one of %s", strings.Join(d.OneOf, ", "))
	case d.Type != "pem" && strings.ContainsAny(v, "\r\n\x00"):
		return "", errors.New("holds a line break")
	}
	return v, nil
}

func example(d manifest.Setting) string {
	if d.Example == "" {
		return ""
	}
	return " (example: " + d.Example + ")"
}

// Dereference replaces env: and file: references in a setting by what they name.
func Dereference(v string, getenv func(string) string) (string, error) {
	if name, ok := strings.CutPrefix(v, "env:"); ok {
		if v = getenv(name); v == "" {
			return "", fmt.Errorf("the variable %s of the environment is not set", name)
		}
		return v, nil
	}
	if name, ok := strings.CutPrefix(v, "file:"); ok {
		info, err := os.Stat(name)
		if err != nil {
			return "", fmt.Errorf("read it: %w", err)
		}
		if !info.Mode().IsRegular() || info.Size() > maxSetting {
			return "", fmt.Errorf("%s is no file of at most %d bytes", name, maxSetting)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("read it: %w", err)
		}
		return strings.TrimRight(string(b), "\r\n"), nil
	}
	return v, nil
}

// masker replaces secrets in what is told of a failure: systems repeat in
// their errors what they were sent.
func (s Settings) masker(m *manifest.Manifest) *strings.Replacer {
	var pairs []string
	for _, name := range m.SecretNames() {
		if v := s[name]; len(v) >= 4 {
			pairs = append(pairs, v, "(secret)")
		}
	}
	return strings.NewReplacer(pairs...)
}
