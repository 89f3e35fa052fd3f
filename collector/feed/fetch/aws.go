package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/record"
)

// roleSeconds is how long the credentials of a role last: what every role
// allows.
const roleSeconds = 3600

// awsAuth signs requests by AWS Signature Version 4, with the credentials of
// the settings or, where a role is named, with those that it lends.
type awsAuth struct {
	f      *Fetcher
	a      *manifest.AWSAuth
	codes  []int
	signer *v4.Signer

	mu sync.Mutex
	// lent are the credentials of roles, by role.
	lent map[string]aws.Credentials
}

func newAWS(f *Fetcher, a manifest.Auth) *awsAuth {
	return &awsAuth{f: f, a: a.AWS, codes: a.Again, signer: v4.NewSigner(), lent: make(map[string]aws.Credentials)}
}

func (w *awsAuth) authorize(ctx context.Context, r *http.Request, c call) error {
	role, err := w.f.text(w.a.Role, c.over)
	if err != nil {
		return err
	}
	region, err := w.f.text(w.a.Region, c.over)
	if err != nil {
		return err
	}
	credentials, err := w.own()
	if err == nil && role != "" {
		credentials, err = w.borrow(ctx, role, credentials)
	}
	if err != nil {
		return finally(ctx, w.f, err)
	}
	return w.sign(ctx, r, c.body, credentials, scope{w.a.Service, region})
}

// scope is what a signature is good for.
type scope struct{ service, region string }

func (w *awsAuth) sign(ctx context.Context, r *http.Request, body []byte, with aws.Credentials, s scope) error {
	sum := sha256.Sum256(body)
	if err := w.signer.SignHTTP(ctx, with, r, hex.EncodeToString(sum[:]), s.service, s.region, w.f.o.Now()); err != nil {
		return fmt.Errorf("sign the request: %w", err)
	}
	return nil
}

// own returns the credentials of the settings.
func (w *awsAuth) own() (aws.Credentials, error) {
	var c aws.Credentials
	var err error
	for t, to := range map[manifest.Template]*string{w.a.AccessKey: &c.AccessKeyID, w.a.SecretKey: &c.SecretAccessKey, w.a.SessionToken: &c.SessionToken} {
		if *to, err = w.f.text(t, nil); err != nil {
			return c, err
		}
	}
	return c, nil
}

// borrow returns the credentials of a role, new ones where they are about to
// end.
func (w *awsAuth) borrow(ctx context.Context, role string, own aws.Credentials) (aws.Credentials, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c, ok := w.lent[role]; ok && w.f.o.Now().Before(c.Expires.Add(-early)) {
		return c, nil
	}
	c, err := w.assume(ctx, role, own)
	if err != nil {
		return c, fmt.Errorf("assume the role %s: %w", role, err)
	}
	w.lent[role] = c
	return c, nil
}

// assume asks the security token service (AssumeRole, version 2011-06-15).
func (w *awsAuth) assume(ctx context.Context, role string, own aws.Credentials) (aws.Credentials, error) {
	u, err := w.f.resolve(w.a.STS, nil)
	if err != nil {
		return aws.Credentials{}, err
	}
	region, err := w.f.text(w.a.STSRegion, nil)
	if err != nil {
		return aws.Credentials{}, err
	}
	form := url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {role}, "RoleSessionName": {"rollcall"}, "DurationSeconds": {fmt.Sprint(roleSeconds)}}
	external, err := w.f.text(w.a.ExternalID, nil)
	if err != nil {
		return aws.Credentials{}, err
	}
	if external != "" {
		form.Set("ExternalId", external)
	}
	c := call{method: http.MethodPost, url: u, body: []byte(form.Encode()), kind: "application/x-www-form-urlencoded", bare: true}
	c.sign = func(r *http.Request) error { return w.sign(ctx, r, c.body, own, scope{"sts", region}) }
	a, err := w.f.do(ctx, c)
	if err != nil {
		return aws.Credentials{}, err
	}
	v, err := record.DecodeXML(a.body)
	if err != nil {
		return aws.Credentials{}, w.f.broken(c.what(), err)
	}
	return w.read(c, v)
}

// read takes the credentials out of an answer.
func (w *awsAuth) read(c call, v any) (aws.Credentials, error) {
	at, err := path("AssumeRoleResult.Credentials")
	if err != nil {
		return aws.Credentials{}, err
	}
	o, _ := at.Get(v).(map[string]any)
	text := func(key string) string { s, _ := o[key].(string); return s }
	lent := aws.Credentials{AccessKeyID: text("AccessKeyId"), SecretAccessKey: text("SecretAccessKey"), SessionToken: text("SessionToken"), CanExpire: true}
	if lent.AccessKeyID == "" || lent.SecretAccessKey == "" || lent.SessionToken == "" {
		return lent, w.f.broken(c.what(), errors.New("the answer holds no credentials"))
	}
	// A time that cannot be read is taken for that which was asked for.
	if lent.Expires, err = time.Parse(time.RFC3339, text("Expiration")); err != nil {
		lent.Expires = w.f.o.Now().Add(roleSeconds * time.Second)
	}
	return lent, nil
}

func (w *awsAuth) expired(code int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	// Credentials that nobody lent stay what they are.
	return len(w.lent) > 0 && (code == http.StatusUnauthorized || slices.Contains(w.codes, code))
}

func (w *awsAuth) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.lent)
}
