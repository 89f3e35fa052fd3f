package api

import (
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/signin"
)

// Where people and programs sign in. Browsers come to signInPath, and programs to
// the others.
const (
	signInPath       = "/signin"
	signInKnownPath  = "/v1/signin"
	signInTokenPath  = "/v1/signin/token"
	signInDevicePath = "/v1/signin/device"
	// browserCookie holds what only the browser has that began a sign-in.
	browserCookie = "rollcall_signin"
)

// doors are where people come in.
type doors struct {
	// knocks slow down who begins too many sign-ins.
	knocks *failures
	total  *prometheus.CounterVec
}

// newDoors registers the metrics of sign-ins, where there are any.
func newDoors(o Options) (*doors, error) {
	knocks, err := newFailures(o.Now)
	if err != nil || o.SignIn == nil {
		return &doors{knocks: knocks}, err
	}
	f := promauto.With(o.Metrics)
	d := &doors{knocks: knocks, total: f.NewCounterVec(prometheus.CounterOpts{Name: "rollcall_sign_ins_total", Help: "Sign-ins of people at the provider, by what came of them."}, []string{"result"})}
	for _, r := range signin.Results {
		d.total.WithLabelValues(r)
	}
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "rollcall_sign_in_provider_up", Help: "Whether the sign-in provider answered when it was asked last (1) or not (0)."}, func() float64 {
		if o.SignIn.Up() {
			return 1
		}
		return 0
	})
	return d, nil
}

// routeSignIn adds the paths of sign-ins. They need no token.
func (s *Service) routeSignIn(mux *http.ServeMux) {
	mux.HandleFunc("GET "+signInPath, s.beginSignIn)
	mux.HandleFunc("GET "+signin.CallbackPath, s.finishSignIn)
	mux.HandleFunc("GET "+signInKnownPath, s.knownSignIn)
	mux.HandleFunc("POST "+signInDevicePath, s.beginDevice)
	mux.HandleFunc("POST "+signInTokenPath, s.takeSession)
}

var errNoSignIn = status.Error(codes.Unimplemented, "nobody can sign in here: this collector knows no sign-in provider (oidc in its configuration); use a token, as in `rollcall login --token-file FILE`")

// knock tells why an address may not begin a sign-in now.
func (s *Service) knock(r *http.Request) error {
	if s.SignIn == nil {
		return errNoSignIn
	}
	address := host(r.RemoteAddr)
	if !s.doors.knocks.allow(address, "") {
		s.doors.total.WithLabelValues(signin.Busy).Inc()
		return later(codes.ResourceExhausted, "too many sign-ins were begun from this address: wait a few seconds", retryLater)
	}
	s.doors.knocks.failed(address, "")
	return nil
}

// knownSignIn tells programs how people sign in.
func (s *Service) knownSignIn(w http.ResponseWriter, _ *http.Request) {
	if s.SignIn == nil {
		writeError(w, errNoSignIn)
		return
	}
	writeJSON(w, map[string]any{"issuer": s.SignIn.Issuer(), "url": s.SignIn.URL() + signInPath, "device": s.SignIn.ByDevice()})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // whoever asked may be gone
}

// cookie is what a browser is given for the time of a sign-in. Other hosts of the
// domain cannot set it where there is TLS.
func (s *Service) cookie(value string, age time.Duration) *http.Cookie {
	c := &http.Cookie{Name: browserCookie, Value: value, Path: "/", MaxAge: int(age / time.Second), HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if strings.HasPrefix(s.SignIn.URL(), "https:") {
		c.Name, c.Secure = "__Host-"+browserCookie, true
	}
	return c
}

// browser returns the secret of the browser that asks, or "".
func (s *Service) browser(r *http.Request) string {
	c, err := r.Cookie(s.cookie("", 0).Name)
	if err != nil || !signin.IsBrowser(c.Value) {
		return ""
	}
	return c.Value
}

// beginSignIn sends a browser to the provider.
func (s *Service) beginSignIn(w http.ResponseWriter, r *http.Request) {
	if err := s.knock(r); err != nil {
		writePage(w, runtimeCode(err), status.Convert(err).Message())
		return
	}
	browser := s.browser(r) // one that is there already has other sign-ins under way
	if browser == "" {
		browser = signin.Browser()
	}
	q := r.URL.Query()
	to, err := s.SignIn.Begin(r.Context(), browser, signin.Asked{Redirect: q.Get("redirect_uri"), Challenge: q.Get("code_challenge"), State: q.Get("state")})
	if err != nil {
		code, text := s.refusedAt(r, err)
		writePage(w, code, text)
		return
	}
	http.SetCookie(w, s.cookie(browser, signin.PendingLife))
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// finishSignIn takes a browser that the provider sends back.
func (s *Service) finishSignIn(w http.ResponseWriter, r *http.Request) {
	if s.SignIn == nil {
		writePage(w, runtimeCode(errNoSignIn), status.Convert(errNoSignIn).Message())
		return
	}
	q := r.URL.Query()
	to, _, err := s.SignIn.Finish(r.Context(), s.browser(r), signin.Answer{State: q.Get("state"), Code: q.Get("code"), Issuer: q.Get("iss"), Error: q.Get("error"), ErrorDescription: q.Get("error_description")})
	if err != nil {
		code, text := s.refusedAt(r, err)
		if to == "" {
			writePage(w, code, text)
			return
		}
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// beginDevice gives out a code that a person enters on another device.
func (s *Service) beginDevice(w http.ResponseWriter, r *http.Request) {
	if err := s.knock(r); err != nil {
		writeError(w, err)
		return
	}
	code, err := s.SignIn.BeginDevice(r.Context())
	if err != nil {
		s.writeRefusal(w, r, err)
		return
	}
	writeJSON(w, code)
}

// taken is what a program asks its session with.
type taken struct {
	Code     string `json:"code"`
	Verifier string `json:"code_verifier"`
	Handle   string `json:"handle"`
}

// takeSession gives a program the session of who has signed in.
func (s *Service) takeSession(w http.ResponseWriter, r *http.Request) {
	if s.SignIn == nil {
		writeError(w, errNoSignIn)
		return
	}
	address := host(r.RemoteAddr)
	if !s.failures.allow(address, "") {
		writeError(w, later(codes.ResourceExhausted, "too many failed sign-ins from this address: wait a few seconds", retryLater))
		return
	}
	var t taken
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil || (t.Code == "") == (t.Handle == "") {
		writeError(w, status.Error(codes.InvalidArgument, `want {"code": ..., "code_verifier": ...} or {"handle": ...}`))
		return
	}
	var who signin.Person
	var wait time.Duration
	var err error
	if t.Handle != "" {
		who, wait, err = s.SignIn.PollDevice(r.Context(), t.Handle)
	} else {
		who, err = s.SignIn.Redeem(t.Code, t.Verifier)
	}
	switch {
	case err != nil:
		s.failures.failed(address, "")
		s.writeRefusal(w, r, err)
	case wait > 0:
		writeJSON(w, map[string]any{"pending": true, "interval": int((wait + time.Second - 1) / time.Second)})
	default:
		s.letIn(w, r, who)
	}
}

// letIn begins the session of a person.
func (s *Service) letIn(w http.ResponseWriter, r *http.Request, who signin.Person) {
	secret, record, err := s.Tokens.SignIn(r.Context(), enroll.Session{Person: who.Identity, Name: who.Name, Subject: who.Subject, Role: who.Role, Scope: who.Scope, Life: s.SignIn.Session()})
	if errors.Is(err, enroll.ErrNoRoom) {
		s.doors.total.WithLabelValues(signin.Busy).Inc()
		err = later(codes.ResourceExhausted, enroll.ErrNoRoom.Error(), time.Minute)
	}
	if err != nil {
		writeError(w, s.answer("begin the session", err))
		return
	}
	s.doors.total.WithLabelValues(signin.Completed).Inc()
	writeJSON(w, map[string]any{"token": secret, "id": record.GetId(), "person": record.GetPerson(), "name": record.GetName(), "role": record.GetRole(),
		"scope": append([]string{}, record.GetScope()...), "expires_at": record.GetExpiresAt().AsTime().Format(time.RFC3339)})
}

// refusedAt counts and notes a sign-in that came to nothing, and returns the code
// and the text of the answer.
func (s *Service) refusedAt(r *http.Request, err error) (code int, text string) {
	var no *signin.Refusal
	if !errors.As(err, &no) {
		return http.StatusInternalServerError, status.Convert(s.answer("sign in", err)).Message()
	}
	s.doors.total.WithLabelValues(no.Result).Inc()
	if no.Cause != nil { // who it was is for the audit log alone
		s.Logger.Warn("sign-in failed", "result", no.Result, "error", no.Cause)
	}
	switch no.Result {
	case signin.Invalid, signin.Expired:
		return http.StatusBadRequest, no.Text
	case signin.Unreachable:
		return http.StatusServiceUnavailable, no.Text
	case signin.Busy:
		return http.StatusTooManyRequests, no.Text
	}
	reason := errors.New(no.Result)
	if no.Person != "" {
		reason = errors.New(no.Result + " " + no.Person)
	}
	s.refusedSignIn(r.Context(), host(r.RemoteAddr), reason)
	return http.StatusForbidden, no.Text
}

// writeRefusal is refusedAt for programs.
func (s *Service) writeRefusal(w http.ResponseWriter, r *http.Request, err error) {
	code, text := s.refusedAt(r, err)
	st := map[int]codes.Code{http.StatusBadRequest: codes.FailedPrecondition, http.StatusForbidden: codes.PermissionDenied, http.StatusServiceUnavailable: codes.Unavailable, http.StatusTooManyRequests: codes.ResourceExhausted}[code]
	if st == codes.OK {
		st = codes.Internal
	}
	writeStatus(w, code, status.New(st, text))
}

func runtimeCode(err error) int {
	switch status.Code(err) {
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Unimplemented:
		return http.StatusNotFound
	}
	return http.StatusInternalServerError
}

var page = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><meta charset="utf-8"><title>Rollcall</title>` +
	`<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem}</style><h1>Not signed in</h1><p>{{.}}</p></html>` + "\n"))

// writePage tells a person why a sign-in came to nothing.
func writePage(w http.ResponseWriter, code int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	if code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.Itoa(int(retryLater/time.Second)))
	}
	w.WriteHeader(code)
	_ = page.Execute(w, text) // whoever asked may be gone
}
