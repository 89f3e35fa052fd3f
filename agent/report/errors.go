package report

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Errors that an agent cannot mend by trying again soon.
var (
	// ErrRevoked: the collector has taken this agent's right to report away.
	ErrRevoked = errors.New("this agent is revoked or not allowed: an administrator can say why, and let it enrol anew with a new token and an empty state folder")
	// ErrUnknown: the collector does not know this agent, or not any more.
	ErrUnknown = errors.New("the collector does not know this agent")
	// ErrToken: the collector refused the enrolment token.
	ErrToken = errors.New("the enrolment token was refused: create a new one with `rollcall token create --kind enroll`")
	// ErrExpired: the certificate ended while the agent could not renew it.
	ErrExpired = errors.New("the agent's certificate has ended")
	// ErrOtherMachine: the state folder was copied from another machine.
	ErrOtherMachine = errors.New("the state folder belongs to another machine")
	// ErrStillMismatched: the collector refused a full report as well.
	ErrStillMismatched = errors.New("the collector asks for all sections again after having been sent all")
)

// callError is the answer of the collector to one call, in its own words.
type callError struct {
	what   string
	status *status.Status
	kind   error
}

// Error says what was attempted, what the collector says, and what to do.
func (e *callError) Error() string {
	s := fmt.Sprintf("%s: %s (%s)", e.what, e.status.Message(), e.status.Code())
	if e.kind != nil {
		s += ": " + e.kind.Error()
	}
	return s
}

// Unwrap gives the kind of error, where there is one.
func (e *callError) Unwrap() error { return e.kind }

// GRPCStatus is the status as it came.
func (e *callError) GRPCStatus() *status.Status { return e.status }

// answered wraps the error of a call; enrolling says that the call was made
// with a token rather than a certificate.
func answered(what string, err error, enrolling bool) error {
	if err == nil {
		return nil
	}
	st := status.Convert(err)
	e := &callError{what: what, status: st}
	switch code := st.Code(); {
	case enrolling && (code == codes.Unauthenticated || code == codes.PermissionDenied || code == codes.NotFound ||
		code == codes.AlreadyExists || code == codes.FailedPrecondition):
		e.kind = ErrToken
	case code == codes.PermissionDenied:
		e.kind = ErrRevoked
	case code == codes.Unauthenticated || code == codes.NotFound:
		e.kind = ErrUnknown
	}
	return e
}

// Permanent tells whether trying again soon is of no use: somebody has to do
// something first.
func Permanent(err error) bool {
	for _, kind := range []error{ErrRevoked, ErrUnknown, ErrToken, ErrNoToken, ErrExpired, ErrOtherMachine} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// RetryAfter returns how long the collector asks to wait before the next try;
// 0 where it does not say.
func RetryAfter(err error) time.Duration {
	var e *callError
	if !errors.As(err, &e) {
		return 0
	}
	for _, d := range e.status.Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok && info.GetRetryDelay().IsValid() {
			return max(info.GetRetryDelay().AsDuration(), 0)
		}
	}
	return 0
}
