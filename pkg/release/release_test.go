package release

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var issued = time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)

// key is a private key that depends on its seed only.
func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune('a'+seed%26)), ed25519.SeedSize)))
}

func public(k ed25519.PrivateKey) string { return FormatKey(k.Public().(ed25519.PublicKey)) }

func trusting(t testing.TB, private ...ed25519.PrivateKey) Keys {
	t.Helper()
	var texts []string
	for _, k := range private {
		texts = append(texts, public(k))
	}
	keys, err := ParseKeys(texts)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func manifest() Manifest {
	return Manifest{Format: Format, Sequence: 7, IssuedAt: issued, ExpiresAt: issued.Add(90 * 24 * time.Hour), Releases: []Release{{
		Version: "1.2.3", Ring: "canary", MinimumAgent: "1.0.0",
		Files: []File{{OS: "linux", Arch: "amd64", Name: "rollcall-agent_1.2.3_linux_amd64", Size: 3, SHA256: strings.Repeat("0a", 32)}},
	}}}
}

func TestSignedManifestIsReadByWhoTrustsOneOfTheKeys(t *testing.T) {
	old, next := key(0), key(1)
	signed, err := Sign(manifest(), old, next)
	if err != nil {
		t.Fatal(err)
	}
	for _, keys := range []Keys{trusting(t, old), trusting(t, next), trusting(t, key(2), next)} {
		got, err := Open(signed, keys)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(manifest(), got); diff != "" {
			t.Errorf("(-signed +opened):\n%s", diff)
		}
	}
}

func TestManifestsThatAreNotBelieved(t *testing.T) {
	signed, err := Sign(manifest(), key(0))
	if err != nil {
		t.Fatal(err)
	}
	var e envelope
	if err := json.Unmarshal(signed, &e); err != nil {
		t.Fatal(err)
	}
	changed := func(change func(*envelope)) []byte {
		c := envelope{Payload: append([]byte(nil), e.Payload...), Signatures: append([]signature(nil), e.Signatures...)}
		change(&c)
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	bare := ed25519.Sign(key(0), e.Payload)
	for name, tc := range map[string]struct {
		signed []byte
		keys   Keys
		want   error
	}{
		"another key":           {signed, trusting(t, key(1)), ErrUnknownKey},
		"no key at all":         {signed, nil, ErrUnknownKey},
		"no signature":          {changed(func(e *envelope) { e.Signatures = nil }), trusting(t, key(0)), ErrUnsigned},
		"another payload":       {changed(func(e *envelope) { e.Payload[20]++ }), trusting(t, key(0)), ErrBadSignature},
		"another signature":     {changed(func(e *envelope) { e.Signatures[0].Signature = make([]byte, 64) }), trusting(t, key(0)), ErrBadSignature},
		"an empty signature":    {changed(func(e *envelope) { e.Signatures[0].Signature = nil }), trusting(t, key(0)), ErrBadSignature},
		"signed as another's":   {changed(func(e *envelope) { e.Signatures[0].KeyID = KeyID(key(1).Public().(ed25519.PublicKey)) }), trusting(t, key(0), key(1)), ErrBadSignature},
		"signed out of context": {changed(func(e *envelope) { e.Signatures[0].Signature = bare }), trusting(t, key(0)), ErrBadSignature},
		"too many signatures":   {changed(func(e *envelope) { e.Signatures = make([]signature, maxSignatures+1) }), trusting(t, key(0)), ErrMalformed},
		"two values":            {append(append([]byte(nil), signed...), '1'), trusting(t, key(0)), ErrMalformed},
		"half":                  {signed[:len(signed)/2], trusting(t, key(0)), ErrMalformed},
		"nothing":               {nil, trusting(t, key(0)), ErrMalformed},
		"too long":              {make([]byte, MaxManifest+1), trusting(t, key(0)), ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := Open(tc.signed, tc.keys); !errors.Is(err, tc.want) || len(m.Releases) > 0 {
				t.Errorf("%v with %d releases, want %v", err, len(m.Releases), tc.want)
			}
		})
	}
}

func TestWhatMustNotBeSigned(t *testing.T) {
	for name, change := range map[string]func(*Manifest){
		"another format":       func(m *Manifest) { m.Format = 2 },
		"no sequence":          func(m *Manifest) { m.Sequence = 0 },
		"expired when issued":  func(m *Manifest) { m.ExpiresAt = m.IssuedAt },
		"never issued":         func(m *Manifest) { m.IssuedAt = time.Time{} },
		"a version twice":      func(m *Manifest) { m.Releases = append(m.Releases, m.Releases[0]) },
		"too many versions":    func(m *Manifest) { m.Releases = make([]Release, maxReleases+1) },
		"no version":           func(m *Manifest) { m.Releases[0].Version = "" },
		"a version with a v":   func(m *Manifest) { m.Releases[0].Version = "v1.2.3" },
		"a folder as version":  func(m *Manifest) { m.Releases[0].Version = "../../1.2.3" },
		"no ring":              func(m *Manifest) { m.Releases[0].Ring = "" },
		"minimum is no number": func(m *Manifest) { m.Releases[0].MinimumAgent = "new" },
		"no files":             func(m *Manifest) { m.Releases[0].Files = nil },
		"a system twice":       func(m *Manifest) { m.Releases[0].Files = append(m.Releases[0].Files, m.Releases[0].Files[0]) },
		"no system":            func(m *Manifest) { m.Releases[0].Files[0].OS = "" },
		"a path as name":       func(m *Manifest) { m.Releases[0].Files[0].Name = "../agent" },
		"a hidden name":        func(m *Manifest) { m.Releases[0].Files[0].Name = ".agent" },
		"an empty file":        func(m *Manifest) { m.Releases[0].Files[0].Size = 0 },
		"a huge file":          func(m *Manifest) { m.Releases[0].Files[0].Size = MaxProgram + 1 },
		"half a digest":        func(m *Manifest) { m.Releases[0].Files[0].SHA256 = "0a" },
		"no digest":            func(m *Manifest) { m.Releases[0].Files[0].SHA256 = strings.Repeat("xx", 32) },
		"capital digits":       func(m *Manifest) { m.Releases[0].Files[0].SHA256 = strings.Repeat("0A", 32) },
	} {
		t.Run(name, func(t *testing.T) {
			m := manifest()
			change(&m)
			if _, err := Sign(m, key(0)); !errors.Is(err, ErrMalformed) {
				t.Errorf("signing gives %v", err)
			}
			// Whoever has the key may have signed it with another program.
			payload, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			signed, err := json.Marshal(envelope{Payload: payload, Signatures: []signature{{
				KeyID: KeyID(key(0).Public().(ed25519.PublicKey)), Signature: ed25519.Sign(key(0), message(payload))}}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Open(signed, trusting(t, key(0))); !errors.Is(err, ErrMalformed) {
				t.Errorf("opening gives %v", err)
			}
		})
	}
	if _, err := Sign(manifest()); err == nil {
		t.Error("a manifest is signed without a key")
	}
}

func TestFindAndFresh(t *testing.T) {
	m := manifest()
	if _, f, err := m.Find("1.2.3", "linux/amd64"); err != nil || f.Size != 3 {
		t.Errorf("%+v, %v", f, err)
	}
	for _, tc := range [][2]string{{"1.2.3", "linux/arm64"}, {"1.2.4", "linux/amd64"}, {"1.2.3", ""}} {
		if _, _, err := m.Find(tc[0], tc[1]); !errors.Is(err, ErrNoFile) {
			t.Errorf("%v: %v", tc, err)
		}
	}
	if err := m.Fresh(m.ExpiresAt.Add(-time.Second)); err != nil {
		t.Error(err)
	}
	if err := m.Fresh(m.ExpiresAt); !errors.Is(err, ErrExpired) {
		t.Errorf("at its end: %v", err)
	}
}

func TestKeysAreReadAsTheyArePrinted(t *testing.T) {
	keys := trusting(t, key(0), key(1))
	if len(keys) != 2 || !keys[KeyID(key(1).Public().(ed25519.PublicKey))].Equal(key(1).Public()) {
		t.Errorf("%v", keys)
	}
	good := public(key(0))
	for _, bad := range []string{"", "ed25519:", good[:len(good)-4], strings.TrimPrefix(good, "ed25519:"), "rsa:" + good[8:], good + "A", "ed25519:????"} {
		if _, err := ParseKeys([]string{bad}); err == nil || !strings.Contains(err.Error(), "keygen") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestVersionsInOrder(t *testing.T) {
	ordered := []string{"0.0.1", "0.9.0-rc.1", "0.9.0", "1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-rc.1", "1.0.0", "v1.0.1", "1.2.0", "1.10.0", "10.0.0"}
	for i, a := range ordered {
		for j, b := range ordered {
			v, err := ParseVersion(a)
			if err != nil {
				t.Fatal(err)
			}
			w, err := ParseVersion(b)
			if err != nil {
				t.Fatal(err)
			}
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := v.Compare(w); got != want {
				t.Errorf("%s to %s: %d, want %d", a, b, got, want)
			}
		}
	}
	for _, bad := range []string{"", "devel", "devel-0123456789ab", "1", "1.2", "1.2.3.4", "1.2.x", "01.2.3", "1.2.3-", "1.2.3-a..b", "1.2.3+build", "1.2.3-a/b", "1.2.99999999999", "1.2.-3", "+1.2.3", "1.2.3-" + strings.Repeat("a", 64)} {
		if v, err := ParseVersion(bad); err == nil {
			t.Errorf("%q is read as %s", bad, v)
		}
	}
}

func TestVersionTextSurvives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,4})(-[a-z][a-z0-9]{0,8}(\.[a-z]{1,4})?)?`).Draw(t, "version")
		v, err := ParseVersion(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseVersion("v" + v.String())
		if err != nil || v.String() != s || again.Compare(v) != 0 {
			t.Fatalf("%s becomes %s, %v", s, v, err)
		}
	})
}

// Whatever comes, only what a trusted key signed is read.
func FuzzOpen(f *testing.F) {
	signed, err := Sign(manifest(), key(0))
	if err != nil {
		f.Fatal(err)
	}
	other, err := Sign(manifest(), key(1))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{signed, other, signed[:40], []byte(`{"payload":"","signatures":[{"key_id":"","signature":""}]}`), []byte("null"), nil} {
		f.Add(seed)
	}
	keys := trusting(f, key(0))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Open(b, keys)
		if err != nil {
			return
		}
		if diff := cmp.Diff(manifest(), m); diff != "" {
			t.Errorf("what nobody signed is read (-signed +opened):\n%s", diff)
		}
	})
}

// What a key signed may still be anything, from a program of another version.
func FuzzSignedPayload(f *testing.F) {
	good, err := json.Marshal(manifest())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":1,"releases":null}`))
	f.Add([]byte("[]"))
	private, keys := key(0), trusting(f, key(0))
	f.Fuzz(func(t *testing.T, payload []byte) {
		signed, err := json.Marshal(envelope{Payload: payload, Signatures: []signature{{
			KeyID: KeyID(private.Public().(ed25519.PublicKey)), Signature: ed25519.Sign(private, message(payload))}}})
		if err != nil {
			t.Fatal(err)
		}
		m, err := Open(signed, keys)
		if err != nil {
			return
		}
		if m.Check() != nil || m.Sequence <= 0 || len(m.Releases) > maxReleases {
			t.Errorf("opened: %+v", m)
		}
	})
}
