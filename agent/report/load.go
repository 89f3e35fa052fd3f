package report

import (
	"context"
	"crypto/tls"
	"errors"

	"github.com/rollcall-itam/rollcall/pkg/section"
)

// What the load generator needs beyond a device's own use: calls one by one
// over a connection that stays, and changes that are packed beforehand.

// Connect makes the agent ready, as Exchange does, and returns a client over
// the connection that it keeps until Close.
func (a *Agent) Connect(ctx context.Context) (Client, error) {
	if !a.KeepConnection {
		return Client{}, errors.New("only an agent that keeps its connection can hand it out")
	}
	if err := a.ready(ctx); err != nil {
		return Client{}, err
	}
	var client Client
	err := a.with(func(c Client) error {
		client = c
		return nil
	})
	return client, err
}

// ForgetSessions makes the next connection begin with a whole handshake.
func (a *Agent) ForgetSessions() { a.sessions = tls.NewLRUClientSessionCache(1) }

// Change returns a report of the software that leads from one inventory to
// another.
func (p *Packer) Change(from, to *Inventory) (*Envelope, error) {
	d, err := p.delta(from.section(section.Software), to.section(section.Software))
	if err != nil {
		return nil, err
	}
	return to.Envelope([]string{section.Software}).replacing(to, d), nil
}
