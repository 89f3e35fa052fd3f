package feedtest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// SigV4 tells what is wrong with the AWS Signature Version 4 of a request, as
// AWS describes its making (IAM User Guide, "Create a signed AWS API request").
// secrets are the secret access keys by access key id.
func SigV4(r *http.Request, service, region string, secrets map[string]string) error {
	scope, fields, err := sigFields(r)
	if err != nil {
		return err
	}
	access, rest, _ := strings.Cut(scope, "/")
	date := r.Header.Get("X-Amz-Date")
	if want := fmt.Sprintf("%.8s/%s/%s/aws4_request", date, region, service); rest != want || len(date) != len("20260102T150405Z") {
		return fmt.Errorf("the signature is for %q at %q, want %s", rest, date, want)
	}
	secret, known := secrets[access]
	if !known {
		return fmt.Errorf("there is no access key %q", access)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	signed := strings.Split(fields["SignedHeaders"], ";")
	if !slices.Contains(signed, "host") || !slices.Contains(signed, "x-amz-date") || r.Header.Get("X-Amz-Security-Token") != "" && !slices.Contains(signed, "x-amz-security-token") {
		return fmt.Errorf("the headers %v are signed, and not all that must be", signed)
	}
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", date, rest, hexSum([]byte(canonical(r, signed, body)))}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range strings.Split(rest, "/") {
		key = mac(key, part)
	}
	if got := hex.EncodeToString(mac(key, toSign)); got != fields["Signature"] {
		return errors.New("SignatureDoesNotMatch")
	}
	return nil
}

// sigFields reads the Authorization header.
func sigFields(r *http.Request) (scope string, fields map[string]string, err error) {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return "", nil, fmt.Errorf("the header Authorization is %q", r.Header.Get("Authorization"))
	}
	fields = make(map[string]string)
	for _, f := range strings.Split(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(f), "=")
		fields[name] = value
	}
	return fields["Credential"], fields, nil
}

// canonical is the request in the form that is signed.
func canonical(r *http.Request, signed []string, body []byte) string {
	var params []string
	for name, values := range r.URL.Query() {
		for _, v := range values {
			params = append(params, awsEscape(name)+"="+awsEscape(v))
		}
	}
	slices.Sort(params)
	var headers strings.Builder
	for _, name := range signed {
		value := r.Header.Get(name)
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		fmt.Fprintf(&headers, "%s:%s\n", name, strings.TrimSpace(value))
	}
	return strings.Join([]string{r.Method, r.URL.EscapedPath(), strings.Join(params, "&"), headers.String(), strings.Join(signed, ";"), hexSum(body)}, "\n")
}

// awsEscape escapes all but the unreserved characters of RFC 3986.
func awsEscape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
