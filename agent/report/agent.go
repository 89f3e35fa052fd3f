// Package report carries an agent's observations to its collector: device key,
// enrolment, digests, the calls of the agent protocol, and when to try again.
package report

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
)

// Options are what an agent needs.
type Options struct {
	// Dialer reaches the collector.
	Dialer Dialer
	// Trust is whom to trust before the enrolment.
	Trust Trust
	// Token returns the enrolment token when one is needed, or an error that
	// wraps ErrNoToken. Nil means that there is none.
	Token func() (Token, error)
	// Folder keeps the identity; the zero Folder keeps it in memory only.
	Folder  Folder
	Packer  *Packer
	Machine Machine
	// Version is the agent's, Platform its GOOS/GOARCH.
	Version, Platform string
	// Updates tells that the agent updates itself, and takes offers.
	Updates bool
	// KeepConnection keeps the connection from one exchange to the next.
	KeepConnection bool
	// Now is the clock and Random gives numbers in [0, 1); nil means the usual
	// ones.
	Now    func() time.Time
	Random func() float64
	Log    *slog.Logger
}

// Agent is one device to its collector. It is used by one goroutine at a time.
type Agent struct {
	Options
	server   string
	id       *identity
	status   memory
	sessions tls.ClientSessionCache
	conn     *grpc.ClientConn
	// acknowledged is the software section that the collector holds.
	acknowledged packed
	// triedAnew is when an unknown agent enrolled anew last.
	triedAnew time.Time
	// inFlight is the request whose answer has not come.
	inFlight *pending
	// unusable says why the folder's identity cannot be used.
	unusable error
	// renewAgain is when to try a renewal that failed again.
	renewAgain time.Time
	// collection is what the last reading of the machine cost, nil where there
	// was none.
	collection *Collection
}

// New opens an agent on its state folder. It makes no call.
func New(o Options) (*Agent, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Token == nil {
		o.Token = func() (Token, error) { return Token{}, ErrNoToken }
	}
	if o.Packer == nil {
		return nil, errors.New("an agent needs a packer")
	}
	a := &Agent{Options: o}
	var err error
	if a.server, err = o.Dialer.serverName(); err != nil {
		return nil, err
	}
	if err := a.load(); err != nil {
		return nil, err
	}
	return a, nil
}

// load reads the state folder. An identity that cannot be used leaves the agent
// to enrol anew, when a token is there; only a folder that cannot be read at
// all is an error.
func (a *Agent) load() error {
	id := new(identity)
	err := a.Folder.read(identityFile, id)
	if err == nil {
		err = id.check()
	}
	switch {
	case err == nil:
		a.adopt(id)
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: run the agent as the owner of the state folder", err)
	default:
		a.unusable = fmt.Errorf("the agent's identity cannot be used: %w", err)
	}
	if err := a.Folder.read(statusFile, &a.status); err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.Log.Warn("status of the last exchange cannot be read, all will be sent", "error", err)
		a.status = memory{}
	}
	if a.status.AgentID != a.ID() {
		a.status = memory{}
	}
	return nil
}

// unfit says why a sound identity must not be used here, nil if it may.
func (a *Agent) unfit() error {
	if !a.id.Machine.matches(a.Machine.IDs) {
		return fmt.Errorf("%w: agent %s was enrolled on it", ErrOtherMachine, a.id.AgentID)
	}
	if len(a.id.Trust) > 0 && a.Trust.check() == nil && string(a.id.Trust) != string(a.Trust.sum()) && !a.Trust.covers(a.id) {
		return fmt.Errorf("agent %s was enrolled with another collector than the CA file or pin now names", a.id.AgentID)
	}
	if !a.Now().Before(a.id.ends()) {
		return fmt.Errorf("%w on %s", ErrExpired, a.id.ends().Format(time.RFC3339))
	}
	return nil
}

// adopt makes id the agent's identity; connections and sessions of the one
// before are of no use, since they prove the old certificate.
func (a *Agent) adopt(id *identity) {
	a.id, a.unusable, a.renewAgain = id, nil, time.Time{}
	a.sessions = tls.NewLRUClientSessionCache(1)
	a.Close()
}

// ID returns the agent's id, empty before the enrolment.
func (a *Agent) ID() string {
	if a.id == nil {
		return ""
	}
	return a.id.AgentID
}

// Close closes the connection where one is kept.
func (a *Agent) Close() {
	if a.conn != nil {
		_ = a.conn.Close()
		a.conn = nil
	}
}

// with calls fn with a client that proves the agent's identity, over the
// connection that is kept or one that is closed afterwards.
func (a *Agent) with(fn func(Client) error) error {
	if a.conn == nil {
		conn, err := a.Dialer.Dial(a.id.tls(a.server, a.sessions))
		if err != nil {
			return err
		}
		a.conn = conn
	}
	if !a.KeepConnection {
		defer a.Close()
	}
	return fn(NewClient(a.conn))
}

// Exchange makes the agent ready - it enrols where it has no certificate and
// renews one that is past half its life - then checks in and sends what the
// collector wants of the inventory.
func (a *Agent) Exchange(ctx context.Context, inv *Inventory) (Answer, error) {
	answer, err := a.exchange(ctx, inv)
	if errors.Is(err, ErrUnknown) && a.mayEnrolAnew() {
		a.Log.Warn("the collector does not know this agent, it enrols anew", "agent_id", a.ID(), "error", err)
		a.triedAnew = a.Now()
		if err = a.enrol(ctx); err == nil {
			answer, err = a.exchange(ctx, inv)
		}
	}
	a.note(err)
	return answer, err
}

func (a *Agent) exchange(ctx context.Context, inv *Inventory) (Answer, error) {
	if err := a.ready(ctx); err != nil {
		return Answer{}, err
	}
	var answer Answer
	err := a.with(func(c Client) (err error) {
		answer, err = a.checkIn(ctx, c, inv)
		return err
	})
	return answer, err
}

// mayEnrolAnew tells whether an agent that became unknown has a token and has
// not tried within the hour.
func (a *Agent) mayEnrolAnew() bool {
	if !a.triedAnew.IsZero() && a.Now().Sub(a.triedAnew) < maxBackoff {
		return false
	}
	_, err := a.Token()
	return err == nil
}

// note keeps the outcome of an exchange for `status`. That it cannot be
// written harms nothing but that.
func (a *Agent) note(err error) {
	a.status.AgentID = a.ID()
	if a.collection != nil {
		a.status.Collection = a.collection
	}
	if err == nil {
		a.status.LastContact, a.status.LastError, a.status.LastErrorAt = a.Now().UTC(), "", time.Time{}
	} else {
		a.status.LastError, a.status.LastErrorAt = clip(err.Error()), a.Now().UTC()
	}
	if err := a.Folder.write(statusFile, &a.status); err != nil {
		a.Log.Warn("status cannot be kept", "error", err)
	}
}
