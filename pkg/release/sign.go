package release

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// context goes in front of what is signed, so that a signature made for
// anything else with the same key is none of a manifest.
const context = "rollcall agent update manifest\x00"

// keyPrefix marks the text of a public key.
const keyPrefix = "ed25519:"

// maxSignatures bounds the signatures of a manifest: one a key, old and new.
const maxSignatures = 8

// Errors that say why a manifest is not believed.
var (
	// ErrUnsigned: it has no signature at all.
	ErrUnsigned = errors.New("the manifest is not signed")
	// ErrUnknownKey: only keys that are not trusted here signed it.
	ErrUnknownKey = errors.New("the manifest is signed by no key that is trusted here")
	// ErrBadSignature: it was changed after a trusted key signed it.
	ErrBadSignature = errors.New("the manifest was changed after it was signed")
)

// envelope is a signed manifest. What is signed are the bytes of the payload
// as they are: nothing has to be brought into a canonical form.
type envelope struct {
	Payload    []byte      `json:"payload"`
	Signatures []signature `json:"signatures"`
}

type signature struct {
	KeyID     string `json:"key_id"`
	Signature []byte `json:"signature"`
}

// Keys are the public keys that are trusted, by their id.
type Keys map[string]ed25519.PublicKey

// KeyID names a public key: the first 8 bytes of its SHA-256, in hexadecimal
// digits.
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

// FormatKey is the text of a public key, as ParseKeys reads it.
func FormatKey(key ed25519.PublicKey) string {
	return keyPrefix + base64.StdEncoding.EncodeToString(key)
}

// ParseKeys reads public keys.
func ParseKeys(texts []string) (Keys, error) {
	keys := make(Keys, len(texts))
	for _, t := range texts {
		rest, ok := strings.CutPrefix(t, keyPrefix)
		key, err := base64.StdEncoding.Strict().DecodeString(rest)
		if !ok || err != nil || len(key) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("update key %.60q: want %s and the key in base64, as `rollcall-collector updates keygen` prints it", t, keyPrefix)
		}
		keys[KeyID(key)] = key
	}
	return keys, nil
}

// Sign checks a manifest and returns it signed.
func Sign(m Manifest, keys ...ed25519.PrivateKey) ([]byte, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	if len(keys) == 0 || len(keys) > maxSignatures {
		return nil, fmt.Errorf("sign the manifest: %d keys, want 1 to %d", len(keys), maxSignatures)
	}
	payload, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode the manifest: %w", err)
	}
	e := envelope{Payload: payload}
	for _, k := range keys {
		public, ok := k.Public().(ed25519.PublicKey)
		if !ok {
			return nil, errors.New("sign the manifest: the key has no public part")
		}
		e.Signatures = append(e.Signatures, signature{KeyID: KeyID(public), Signature: ed25519.Sign(k, message(payload))})
	}
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the manifest: %w", err)
	}
	if len(b) >= MaxManifest {
		return nil, fmt.Errorf("the manifest has %d bytes, at most %d: leave old versions out", len(b), MaxManifest)
	}
	return append(b, '\n'), nil
}

func message(payload []byte) []byte { return append([]byte(context), payload...) }

// Open returns what a signed manifest says, once one of the keys answers for
// it. Nothing of it is read before. Errors wrap ErrMalformed, ErrUnsigned,
// ErrUnknownKey or ErrBadSignature. Whether it is still fresh is another
// question.
func Open(signed []byte, keys Keys) (Manifest, error) {
	var e envelope
	if len(signed) > MaxManifest {
		return Manifest{}, fmt.Errorf("%w: %d bytes, at most %d", ErrMalformed, len(signed), MaxManifest)
	}
	if err := decode(signed, &e); err != nil {
		return Manifest{}, err
	}
	if err := e.verify(keys); err != nil {
		return Manifest{}, err
	}
	var m Manifest
	if err := decode(e.Payload, &m); err != nil {
		return Manifest{}, err
	}
	return m, m.Check()
}

// verify tells whether one of the keys signed the payload. Signatures of other
// keys do not matter: they are of those who hold other keys.
func (e envelope) verify(keys Keys) error {
	if len(e.Signatures) == 0 {
		return ErrUnsigned
	}
	if len(e.Signatures) > maxSignatures {
		return fmt.Errorf("%w: %d signatures, at most %d", ErrMalformed, len(e.Signatures), maxSignatures)
	}
	err := ErrUnknownKey
	for _, s := range e.Signatures {
		key, ok := keys[s.KeyID]
		switch {
		case !ok:
		case ed25519.Verify(key, message(e.Payload), s.Signature):
			return nil
		default:
			err = ErrBadSignature
		}
	}
	return err
}

// decode reads one JSON value and nothing after it.
func decode(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows its end", ErrMalformed)
	}
	return nil
}
