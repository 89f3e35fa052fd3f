package feed

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/mapping"
	"github.com/rollcall-itam/rollcall/collector/feed/record"
	"github.com/rollcall-itam/rollcall/collector/feed/replay"
)

// Outcome is what came of one test of a manifest.
type Outcome struct {
	Name string
	// Differences say what is other than expected; none means that it passed.
	Differences []string
}

// RunTests runs the tests of a manifest, whose files lie in files.
func RunTests(ctx context.Context, m *manifest.Manifest, files fs.FS) ([]Outcome, error) {
	var all []Outcome
	for _, t := range m.Tests {
		tried, err := runTest(ctx, m, t, files)
		if err != nil {
			return all, fmt.Errorf("test %q: %w", t.Name, err)
		}
		differences, err := compare(t, tried)
		if err != nil {
			return all, fmt.Errorf("test %q: %w", t.Name, err)
		}
		all = append(all, Outcome{t.Name, differences})
	}
	return all, nil
}

// testTime is when the records of tests are read.
var testTime = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

func runTest(ctx context.Context, m *manifest.Manifest, t manifest.Test, files fs.FS) ([]Tried, error) {
	if t.Record != nil {
		return testRecord(m, t)
	}
	f, err := files.Open(t.Exchanges)
	if err != nil {
		return nil, fmt.Errorf("open the exchanges, which lie beside the manifest: %w; record some, or take the test out where it was copied", err)
	}
	player, err := replay.Read(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	settings, err := testSettings(m, t.Settings)
	if err != nil {
		return nil, err
	}
	one := *m
	if t.Stream != "" {
		one.Streams = []manifest.Stream{*m.Stream(t.Stream)}
	}
	now := func() time.Time { return testTime }
	return Try(ctx, Config{Name: m.Name, Manifest: &one, Settings: settings, Client: &http.Client{Transport: player}},
		Options{Logger: slog.New(slog.DiscardHandler), Now: now, Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}, 0)
}

// testRecord maps one record, in the form that an answer has.
func testRecord(m *manifest.Manifest, t manifest.Test) ([]Tried, error) {
	b, err := json.Marshal(t.Record)
	if err != nil {
		return nil, fmt.Errorf("the record is no JSON: %w", err)
	}
	r, err := record.Decode(b)
	if err != nil {
		return nil, err
	}
	record.Scrub(r, m.Deny)
	s := m.Stream(t.Stream)
	mapped, err := mapping.Compile(s, t.Settings)
	if err != nil {
		return nil, err
	}
	one := Tried{Stream: s.Name, Record: r}
	one.Result, one.Err = mapped.Apply(m.Name, r, testTime)
	return []Tried{one}, nil
}

// testSettings fills in what a recording does not name: secrets above all.
func testSettings(m *manifest.Manifest, given map[string]string) (map[string]string, error) {
	settings := make(map[string]string)
	for name, d := range m.Settings {
		v, ok := given[name]
		switch {
		case ok:
			settings[name] = v
		case d.Default != nil:
		case d.Type == "pem":
			key, err := testKey(m.Auth.JWT)
			if err != nil {
				return nil, err
			}
			settings[name] = key
		case d.Type == "url":
			settings[name] = "https://" + strings.ReplaceAll(name, "_", "-") + ".example.com"
		default:
			settings[name] = "test-" + strings.ReplaceAll(name, "_", "-")
		}
	}
	return settings, nil
}

// testKey makes a key that a recording can be signed with.
func testKey(a *manifest.JWTAuth) (string, error) {
	var key any
	var err error
	if a != nil && a.Alg == "ES256" {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

// compare says how what came differs from what a test expects.
func compare(t manifest.Test, tried []Tried) ([]string, error) {
	var differences []string
	var got []map[string]any
	problems := 0
	for _, one := range tried {
		if one.Err != nil {
			problems++
			continue
		}
		if one.Result.Skipped {
			continue
		}
		problems += len(one.Result.Observation.GetProblems())
		b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(one.Result.Observation)
		if err != nil {
			return nil, fmt.Errorf("write an observation: %w", err)
		}
		var o map[string]any
		if err := json.Unmarshal(b, &o); err != nil {
			return nil, fmt.Errorf("write an observation: %w", err)
		}
		got = append(got, o)
	}
	if problems != t.Problems {
		differences = append(differences, fmt.Sprintf("%d problems, want %d%s", problems, t.Problems, firstProblem(tried)))
	}
	if len(got) != len(t.Expect) {
		differences = append(differences, fmt.Sprintf("%d observations, want %d", len(got), len(t.Expect)))
	}
	for i := range min(len(got), len(t.Expect)) {
		want, err := plainJSON(t.Expect[i])
		if err != nil {
			return nil, err
		}
		differences = append(differences, differ(fmt.Sprintf("[%d]", i), want, got[i])...)
	}
	return differences, nil
}

func firstProblem(tried []Tried) string {
	for _, one := range tried {
		if one.Err != nil {
			return ": " + one.Err.Error()
		}
		for _, p := range one.Result.Observation.GetProblems() {
			return fmt.Sprintf(": %s %s: %s", one.Result.SourceID, p.GetFact(), p.GetError())
		}
	}
	return ""
}

// plainJSON gives what YAML wrote the form that JSON gives it.
func plainJSON(v any) (any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("what is expected is no JSON: %w", err)
	}
	var plain any
	if err := json.Unmarshal(b, &plain); err != nil {
		return nil, fmt.Errorf("what is expected is no JSON: %w", err)
	}
	return plain, nil
}

// differ compares what is wanted with what came: of objects only the keys that
// are wanted, of lists every element. null wants that nothing is there.
func differ(at string, want, got any) []string {
	switch want := want.(type) {
	case map[string]any:
		o, ok := got.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %v, want an object", at, got)}
		}
		var all []string
		for _, k := range sortedKeys(want) {
			all = append(all, differ(at+"."+k, want[k], o[k])...)
		}
		return all
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return []string{fmt.Sprintf("%s is %v, want %d elements", at, got, len(want))}
		}
		var all []string
		for i := range want {
			all = append(all, differ(fmt.Sprintf("%s[%d]", at, i), want[i], list[i])...)
		}
		return all
	}
	if want != got {
		return []string{fmt.Sprintf("%s is %v, want %v", at, got, want)}
	}
	return nil
}

func sortedKeys(m map[string]any) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}
