package channel

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The scheme is that of https://www.standardwebhooks.com: the secret is whsec_
// and the base64 of 24 to 64 random bytes; what is signed is the id, the time in
// seconds and the body, with points between them.
const (
	secretPrefix = "whsec_"
	secretSize   = 32
	minSecret    = 24
	maxSecret    = 64
)

// NewSecret makes the secret of a webhook.
func NewSecret() (string, error) {
	b := make([]byte, secretSize)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("make the secret of a webhook: %w", err)
	}
	return secretPrefix + base64.StdEncoding.EncodeToString(b), nil
}

// parseSecret returns the key in a secret.
func parseSecret(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, secretPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < minSecret || len(key) > maxSecret {
		return nil, errors.New("the secret of a webhook is whsec_ and the base64 of 24 to 64 bytes; leave it out to have one made")
	}
	return key, nil
}

// signature is what a receiver finds in webhook-signature: one for each key, so
// that it can go over from one to the next.
func signature(keys [][]byte, id string, at time.Time, body []byte) string {
	var all []string
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		all = append(all, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(all, " ")
}
