package fetch

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/collector/feed/record"
)

// Kind says what a failure calls for.
type Kind int

// Kinds of failures.
const (
	// Broken is what nobody can read, or a request that the system refuses: it
	// will be so again until somebody changes something.
	Broken Kind = iota
	// Denied means wrong credentials or too few rights.
	Denied
	// Busy means that the system asks to be left alone for a while.
	Busy
	// Down means that the system, or the way to it, does not work now.
	Down
)

// Failure is why a request did not give what was asked for.
type Failure struct {
	Kind Kind
	// After is how long the system asks to be left alone, 0 if it does not say.
	After time.Duration
	// Code is the HTTP status, 0 where there was no answer.
	Code int
	text string
	err  error
	// final is set where trying again was tried already.
	final bool
}

// Error says what was asked, what came, and what to do.
func (f *Failure) Error() string { return f.text }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.err }

// KindOf returns the kind of a failure, Broken for errors of other origin.
func KindOf(err error) Kind {
	var f *Failure
	if errors.As(err, &f) {
		return f.Kind
	}
	return Broken
}

// refused makes a failure of an answer.
func (f *Fetcher) refused(what string, a *answer) *Failure {
	said := f.said(a.body)
	fail := &Failure{Code: a.code, Kind: Broken, After: a.retryAfter}
	hint := ""
	switch {
	case a.code == http.StatusUnauthorized:
		fail.Kind, hint = Denied, "; check the credentials"
	case a.code == http.StatusForbidden:
		fail.Kind, hint = Denied, "; the credentials lack a permission"
		if need := f.o.Manifest.Permissions; len(need) > 0 {
			hint += ", this feed needs: " + strings.Join(need, ", ")
		}
	case a.code == http.StatusTooManyRequests:
		fail.Kind, hint = Busy, "; the system has had too many requests"
	case a.code >= 500 || a.code == http.StatusRequestTimeout || a.code == http.StatusTooEarly:
		fail.Kind, hint = Down, "; the system does not work now"
	}
	fail.text = fmt.Sprintf("%s: HTTP %d%s%s", what, a.code, said, hint)
	return fail
}

// Places where systems write what is wrong, in the order in which they tell
// most.
var messages = []string{"error.message", "error_description", "errorSummary", "errors.0.description", "errors.0.detail", "errors.0.message", "error.detail",
	"message", "detail", "errors.0", "error"}

// xmlMessages are such places in answers of AWS.
var xmlMessages = []string{"Errors.Error.Message", "Errors.0.Message", "Error.Message"}

// said quotes what the system says of a failure, without secrets.
func (f *Fetcher) said(body []byte) string {
	where := messages
	v, err := record.Decode(body)
	if x, xmlErr := record.DecodeXML(body); xmlErr == nil {
		v, err, where = x, nil, xmlMessages
	}
	if err != nil {
		if errors.Is(err, record.ErrNotJSON) {
			return ": " + strings.TrimPrefix(err.Error(), record.ErrNotJSON.Error()+" but ")
		}
		return ""
	}
	for _, m := range where {
		p, err := path(m)
		if err != nil {
			continue
		}
		if s, ok := p.Get(v).(string); ok && s != "" {
			return fmt.Sprintf(": %q", f.mask(s))
		}
	}
	return ""
}

// mask removes secrets from a text and bounds it.
func (f *Fetcher) mask(s string) string {
	s = f.secrets.Replace(s)
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300]) + "..."
	}
	return s
}

// down makes a failure of a request that had no answer.
func (f *Fetcher) down(what string, err error) *Failure {
	fail := &Failure{Kind: Down, err: err, text: fmt.Sprintf("%s: %s", what, f.mask(err.Error()))}
	if errors.Is(err, ErrPrivate) || errors.Is(err, errRedirect) {
		fail.Kind = Broken
	}
	return fail
}

// broken makes a failure of an answer that cannot be read.
func (f *Fetcher) broken(what string, err error) *Failure {
	return &Failure{Kind: Broken, err: err, text: fmt.Sprintf("%s: %s", what, f.mask(err.Error()))}
}
