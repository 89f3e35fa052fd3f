package connect

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	keySize = 32
	// markSize is how many bytes of a key's hash name it in what it sealed.
	markSize = 4
	// maxKeyFile bounds the file of the keys.
	maxKeyFile = 4 << 10
)

// ErrSealed is wrapped by errors about a secret that no key at hand opens.
var ErrSealed = errors.New("the secret cannot be opened")

// Vault seals secrets (AES-256-GCM) with a key that lies in a file beside the
// database, so that neither a copy of the one nor of the other gives them away.
type Vault struct {
	file string
	keys []key
}

// key is one key of the file; the first seals, all open.
type key struct {
	raw  []byte
	mark []byte
	aead cipher.AEAD
}

// OpenVault reads the keys from a file, or makes it with a first key.
func OpenVault(file string) (*Vault, error) {
	v := &Vault{file: file}
	b, err := readKeys(file)
	if errors.Is(err, fs.ErrNotExist) {
		return v, v.renew()
	}
	if err != nil {
		return nil, fmt.Errorf("read the key of the feeds' secrets: %w", err)
	}
	for line := range strings.FieldsSeq(string(b)) {
		raw, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(raw) != keySize {
			return nil, fmt.Errorf("%s holds what is no key: restore it from a backup of the data folder", file)
		}
		k, err := newKey(raw)
		if err != nil {
			return nil, err
		}
		v.keys = append(v.keys, k)
	}
	if len(v.keys) == 0 {
		return nil, fmt.Errorf("%s holds no key: restore it from a backup of the data folder", file)
	}
	return v, nil
}

func readKeys(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxKeyFile {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", file, maxKeyFile)
	}
	return os.ReadFile(file)
}

func newKey(raw []byte) (key, error) {
	block, err := aes.NewCipher(raw)
	if err != nil {
		return key{}, fmt.Errorf("make the cipher of the feeds' secrets: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return key{}, fmt.Errorf("make the cipher of the feeds' secrets: %w", err)
	}
	sum := sha256.Sum256(raw)
	return key{raw, sum[:markSize], aead}, nil
}

// renew puts a new key before those that there are.
func (v *Vault) renew() error {
	raw := make([]byte, keySize)
	if _, err := rand.Read(raw); err != nil {
		return fmt.Errorf("make a key for the feeds' secrets: %w", err)
	}
	k, err := newKey(raw)
	if err != nil {
		return err
	}
	return v.write(append([]key{k}, v.keys...))
}

// retire drops all keys but the first.
func (v *Vault) retire() error { return v.write(v.keys[:1]) }

// write keeps the keys durably, readable for the collector only.
func (v *Vault) write(keys []key) error {
	var b bytes.Buffer
	for _, k := range keys {
		b.WriteString(base64.StdEncoding.EncodeToString(k.raw) + "\n")
	}
	f, err := os.CreateTemp(filepath.Dir(v.file), filepath.Base(v.file)+".*")
	if err != nil {
		return fmt.Errorf("write the key of the feeds' secrets: %w", err)
	}
	_, err = f.Write(b.Bytes())
	if err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), v.file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the key of the feeds' secrets: %w", err), os.Remove(f.Name()))
	}
	dir, err := os.Open(filepath.Dir(v.file))
	if err == nil {
		err = errors.Join(dir.Sync(), dir.Close())
	}
	if err != nil {
		return fmt.Errorf("write the key of the feeds' secrets durably: %w", err)
	}
	v.keys = keys
	return nil
}

// Seal encrypts a secret for one place: elsewhere it does not open.
func (v *Vault) Seal(place, secret string) []byte {
	k := v.keys[0]
	return k.aead.Seal(bytes.Clone(k.mark), nil, []byte(secret), []byte(place))
}

// Open decrypts what was sealed for a place.
func (v *Vault) Open(place string, sealed []byte) (string, error) {
	if len(sealed) < markSize {
		return "", fmt.Errorf("%w: it is damaged: set it again", ErrSealed)
	}
	for _, k := range v.keys {
		if !bytes.Equal(k.mark, sealed[:markSize]) {
			continue
		}
		secret, err := k.aead.Open(nil, nil, sealed[markSize:], []byte(place))
		if err != nil {
			return "", fmt.Errorf("%w: it is damaged: set it again", ErrSealed)
		}
		return string(secret), nil
	}
	return "", fmt.Errorf("%w: its key is not in %s: restore that file from a backup, or set the secret again", ErrSealed, v.file)
}
