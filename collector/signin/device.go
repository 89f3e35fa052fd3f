package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// Bounds of a sign-in on another device.
const (
	maxDeviceLife  = 15 * time.Minute
	usualPoll      = 5 * time.Second
	minPoll        = time.Second
	maxPoll        = time.Minute
	deviceGrant    = "urn:ietf:params:oauth:grant-type:device_code"
	slowDown       = 5 * time.Second
	maxDeviceShown = 500
)

// device is a sign-in that a person finishes on another device (RFC 8628).
type device struct {
	code  string
	until time.Time
	pace  time.Duration
	// next is when the provider may be asked again.
	next time.Time
}

// DeviceCode is what a person has to enter, and where.
type DeviceCode struct {
	// Handle is the program's secret, with which it asks whether the person has.
	Handle string `json:"handle"`
	Code   string `json:"user_code"`
	URL    string `json:"verification_uri"`
	// Complete is URL with the code in it, where the provider has that.
	Complete string `json:"verification_uri_complete,omitempty"`
	// Seconds the code is good for, and between two questions.
	ExpiresIn int `json:"expires_in"`
	Interval  int `json:"interval"`
}

// ByDevice tells whether people may sign in on another device.
func (f *Flow) ByDevice() bool { return f.settings.Device }

// BeginDevice has the provider give out a code that a person enters elsewhere. The
// error is a Refusal.
func (f *Flow) BeginDevice(ctx context.Context) (*DeviceCode, error) {
	if !f.settings.Device {
		return nil, refuse(Invalid, "signing in with a code is not allowed here (device in the configuration of oidc): use `rollcall login --no-browser`")
	}
	d, err := f.describe(ctx)
	if err != nil {
		return nil, err
	}
	if d.oauth.Endpoint.DeviceAuthURL == "" {
		return nil, refuse(Invalid, "the provider does not give out codes for other devices: use `rollcall login --no-browser`")
	}
	var said struct {
		DeviceCode string `json:"device_code"`
		UserCode   string `json:"user_code"`
		URL        string `json:"verification_uri"`
		Complete   string `json:"verification_uri_complete"`
		ExpiresIn  int64  `json:"expires_in"`
		Interval   int64  `json:"interval"`
	}
	if err := f.provider.post(ctx, d, d.oauth.Endpoint.DeviceAuthURL, url.Values{"scope": {strings.Join(f.settings.Scopes, " ")}}, &said); err != nil {
		return nil, refusedExchange(err)
	}
	life := min(time.Duration(max(0, min(said.ExpiresIn, 3600)))*time.Second, maxDeviceLife)
	if said.DeviceCode == "" || said.UserCode == "" || life == 0 || !shownURL(said.URL) || said.Complete != "" && !shownURL(said.Complete) {
		return nil, refuse(Broken, "the provider gives out no code that could be used: run `rollcall login` without --device")
	}
	v := &device{code: said.DeviceCode, until: f.now().Add(life), pace: max(minPoll, min(maxPoll, time.Duration(min(said.Interval, 3600))*time.Second))}
	if said.Interval <= 0 {
		v.pace = usualPoll
	}
	v.next = f.now().Add(v.pace)
	handle := secret()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.room(); err != nil {
		return nil, err
	}
	f.devices[hash(handle)] = v
	return &DeviceCode{Handle: handle, Code: shown(said.UserCode), URL: said.URL, Complete: said.Complete, ExpiresIn: int(life / time.Second), Interval: int(v.pace / time.Second)}, nil
}

// shownURL tells whether people can be asked to open an address.
func shownURL(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && len(raw) <= maxDeviceShown && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && onLoopback(u))
}

// PollDevice returns who has entered the code, or that nobody has yet and after
// how long to ask again. The error is a Refusal, after which the code is void.
func (f *Flow) PollDevice(ctx context.Context, handle string) (who Person, wait time.Duration, err error) {
	key := hash(handle)
	f.mu.Lock()
	v, ok := f.devices[key]
	if !ok || f.now().After(v.until) {
		delete(f.devices, key)
		f.mu.Unlock()
		return who, 0, refuse(Expired, "this code is not known here, was used before, or was entered too late: run `rollcall login --device` again")
	}
	if left := v.next.Sub(f.now()); left > 0 {
		f.mu.Unlock()
		return who, left, nil
	}
	v.next = f.now().Add(v.pace)
	f.mu.Unlock()
	who, err = f.askDevice(ctx, v.code)
	f.mu.Lock()
	defer f.mu.Unlock()
	var r *Refusal
	switch said := errorCode(err); {
	case said == "slow_down" || errors.As(err, &r) && r.Result == Unreachable:
		v.pace = min(maxPoll, v.pace+slowDown)
		v.next = f.now().Add(v.pace)
		return who, v.pace, nil
	case said == "authorization_pending":
		return who, v.pace, nil
	}
	_, mine := f.devices[key]
	delete(f.devices, key)
	if err == nil && !mine { // another call has taken it
		err = refuse(Expired, "this code was used before: run `rollcall login --device` again")
	}
	return who, 0, err
}

// askDevice asks the provider who has entered a code.
func (f *Flow) askDevice(ctx context.Context, code string) (Person, error) {
	d, err := f.describe(ctx)
	if err != nil {
		return Person{}, err
	}
	raw := map[string]any{}
	if err := f.provider.post(ctx, d, d.oauth.Endpoint.TokenURL, url.Values{"grant_type": {deviceGrant}, "device_code": {code}}, &raw); err != nil {
		return Person{}, refusedDevice(err)
	}
	access, _ := raw["access_token"].(string)
	kind, _ := raw["token_type"].(string)
	token := (&oauth2.Token{AccessToken: access, TokenType: kind}).WithExtra(raw)
	c, err := f.provider.identify(ctx, d, token, "")
	if err != nil {
		return Person{}, err
	}
	return f.settings.person(c)
}

// refusedDevice keeps the provider's word where it is to be asked again.
func refusedDevice(err error) error {
	switch errorCode(err) {
	case "authorization_pending", "slow_down":
		return err
	case "access_denied":
		return refuse(Refused, "the sign-in was refused on the other device")
	case "expired_token":
		return refuse(Expired, "the code was not entered in time: run `rollcall login --device` again")
	}
	return refusedExchange(err)
}

func errorCode(err error) string {
	var said *oauth2.RetrieveError
	var r *Refusal
	if errors.As(err, &r) || !errors.As(err, &said) { // a Refusal is said already
		return ""
	}
	return said.ErrorCode
}

// post sends a form to the provider, as this client. What the provider refuses is
// an oauth2.RetrieveError.
func (p *provider) post(ctx context.Context, d *description, address string, form url.Values, into any) error {
	if d.oauth.Endpoint.AuthStyle == oauth2.AuthStyleInParams {
		form.Set("client_id", d.oauth.ClientID)
		if d.oauth.ClientSecret != "" {
			form.Set("client_secret", d.oauth.ClientSecret)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("ask the provider: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if d.oauth.Endpoint.AuthStyle == oauth2.AuthStyleInHeader {
		req.SetBasicAuth(url.QueryEscape(d.oauth.ClientID), url.QueryEscape(d.oauth.ClientSecret))
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask the provider: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read the provider's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		said := &oauth2.RetrieveError{Response: resp}
		var text struct {
			Code        string `json:"error"`
			Description string `json:"error_description"`
		}
		if json.Unmarshal(body, &text) == nil {
			said.ErrorCode, said.ErrorDescription = text.Code, text.Description
		}
		return said
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read the provider's answer: %w", err)
	}
	return nil
}
