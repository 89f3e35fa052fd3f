package report

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rollcall-itam/rollcall/pkg/tlsconf"
)

// TokenPrefix begins every enrolment token.
const TokenPrefix = "rce_"

// maxTokenBytes bounds a token file.
const maxTokenBytes = 4096

// ErrNoToken is returned where an enrolment is needed and no token is given.
var ErrNoToken = errors.New("no enrolment token: create one with `rollcall token create --kind enroll` and give its file with --token-file (- reads standard input)")

// Token is what lets a device enrol.
type Token struct {
	Secret string
	// Pin names the collector's authority, where the file has a second line.
	Pin tlsconf.Pin
}

// ReadToken reads a token file: the token on one line and, optionally, the
// collector's CA pin ("sha256:...") on another. Blank lines and lines that
// begin with # are skipped.
func ReadToken(r io.Reader) (Token, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxTokenBytes+1))
	if err != nil {
		return Token{}, fmt.Errorf("read the enrolment token: %w", err)
	}
	if len(b) > maxTokenBytes {
		return Token{}, fmt.Errorf("the token file has more than %d bytes: it should hold one line that begins with %s", maxTokenBytes, TokenPrefix)
	}
	var t Token
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, TokenPrefix) && t.Secret == "" && printable(line):
			t.Secret = line
		case strings.HasPrefix(line, "sha256:") && t.Pin.IsZero():
			if t.Pin, err = tlsconf.ParsePin(line); err != nil {
				return Token{}, fmt.Errorf("token file: %w", err)
			}
		default:
			// The line may be a secret of another kind: it is not repeated.
			return Token{}, fmt.Errorf("the token file has a line that is neither a token (%s...) nor a CA pin (sha256:...)", TokenPrefix)
		}
	}
	if t.Secret == "" {
		return Token{}, fmt.Errorf("the token file holds no token: one begins with %s", TokenPrefix)
	}
	return t, nil
}

// printable tells whether s can travel as a token: no blanks, ASCII only.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
