package report

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// ready enrols or renews where that is due. A renewal that fails is no reason
// not to report while the certificate is good.
func (a *Agent) ready(ctx context.Context) error {
	if a.id != nil {
		a.unusable = a.unfit()
	}
	if a.id == nil || a.unusable != nil {
		return a.enrol(ctx)
	}
	now := a.Now()
	if now.Before(a.id.RenewAt) || now.Before(a.renewAgain) {
		return nil
	}
	if err := a.renew(ctx); err != nil {
		// Sooner as the end comes nearer.
		a.renewAgain = now.Add(min(maxBackoff, Spread(a.id.ends().Sub(now)/16, a.Random)))
		a.Log.Warn("certificate is not renewed yet", "certificate_ends", a.id.ends(), "error", err)
	}
	return ctx.Err()
}

// enrol gets a first certificate. The key is on the disk before the token is
// spent; the same key is used until an answer comes.
func (a *Agent) enrol(ctx context.Context) error {
	token, err := a.Token()
	if err != nil {
		return errors.Join(a.unusable, fmt.Errorf("this agent has to enrol: %w", err))
	}
	trust := a.Trust
	if !token.Pin.IsZero() && len(trust.Authorities) == 0 && trust.Pin.IsZero() {
		trust.Pin = token.Pin
	}
	if err := trust.check(); err != nil {
		return err
	}
	if a.unusable != nil {
		a.Log.Warn("identity cannot be used, the agent enrols anew", "reason", a.unusable)
	}
	p, err := a.pending(pending{}, func(p *pending) bool { return p.Sequence == 0 && p.Machine.matches(a.Machine.IDs) })
	if err != nil {
		return err
	}
	conn, err := a.Dialer.Dial(trust.before(a.server))
	if err != nil {
		return err
	}
	defer conn.Close()
	resp, err := NewClient(conn).Enroll(ctx, &pb.EnrollRequest{
		Token: token.Secret, Csr: p.CSR, HardwareHash: p.Machine.sum(),
		Hostname: clip(a.Machine.Hostname), AgentVersion: a.Version, Platform: a.Platform,
	})
	if err != nil {
		return err
	}
	id := &identity{
		AgentID: resp.GetAgentId(), Sequence: resp.GetRenewalSequence(), Key: p.Key, Machine: p.Machine, Trust: trust.sum(),
		Chain: resp.GetCertificateChain(), Authorities: resp.GetCaBundle(),
	}
	if err := a.keep(id); err != nil {
		return fmt.Errorf("enrol: %w", err)
	}
	a.status, a.acknowledged = memory{}, packed{}
	a.Log.Info("enrolled", "agent_id", id.AgentID, "certificate_ends", id.ends())
	return nil
}

// renew gets the next certificate, for a new key.
func (a *Agent) renew(ctx context.Context) error {
	next := pending{AgentID: a.id.AgentID, Sequence: a.id.Sequence, Machine: a.id.Machine}
	p, err := a.pending(next, func(p *pending) bool { return p.AgentID == next.AgentID && p.Sequence == next.Sequence })
	if err != nil {
		return err
	}
	var resp *pb.RenewResponse
	err = a.with(func(c Client) (err error) {
		resp, err = c.Renew(ctx, &pb.RenewRequest{
			Csr: p.CSR, HardwareHash: a.id.Machine.sum(), RenewalSequence: a.id.Sequence, AgentVersion: a.Version,
		})
		return err
	})
	if err != nil {
		return err
	}
	id := &identity{
		AgentID: a.id.AgentID, Sequence: resp.GetRenewalSequence(), Key: p.Key, Machine: a.id.Machine, Trust: a.id.Trust,
		Chain: resp.GetCertificateChain(), Authorities: resp.GetCaBundle(),
	}
	if len(id.Authorities) == 0 {
		id.Authorities = a.id.Authorities
	}
	if err := a.keep(id); err != nil {
		return fmt.Errorf("renew the certificate: %w", err)
	}
	if name := id.certificate.Leaf.Subject.CommonName; name != "" && name != id.AgentID {
		// The collector took this for a copy and made it an agent of its own.
		a.Log.Warn("the collector gave this agent another id: its state folder was copied or restored", "agent_id", name, "was", id.AgentID)
		id.AgentID = name
		a.status, a.acknowledged = memory{}, packed{}
		if err := a.Folder.write(identityFile, id); err != nil {
			return err
		}
	}
	a.Log.Info("certificate renewed", "renewal_sequence", id.Sequence, "certificate_ends", id.ends())
	return nil
}

// pending returns the request whose answer is awaited, if it fits, or fills
// blank with a new one, which is on the disk when pending returns.
func (a *Agent) pending(blank pending, fits func(*pending) bool) (*pending, error) {
	if a.inFlight != nil && fits(a.inFlight) {
		return a.inFlight, nil
	}
	p := new(pending)
	err := a.Folder.read(pendingFile, p)
	if err == nil && len(p.CSR) > 0 && fits(p) {
		if _, err = parseKey(p.Key); err == nil {
			a.inFlight = p
			return p, nil
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.Log.Warn("pending request cannot be read, a new one is made", "error", err)
	}
	p = &blank
	if p.Key, p.CSR, err = newRequest(a.Machine.Hostname); err != nil {
		return nil, err
	}
	if p.AgentID == "" {
		if p.Machine, err = newFingerprint(a.Machine.IDs); err != nil {
			return nil, err
		}
	}
	if err := a.Folder.write(pendingFile, p); err != nil {
		return nil, err
	}
	a.inFlight = p
	return p, nil
}

// keep checks what the collector issued, makes it last, and uses it.
func (a *Agent) keep(id *identity) error {
	if err := id.check(); err != nil {
		return fmt.Errorf("the collector's answer cannot be used: %w", err)
	}
	now := a.Now()
	if !now.Before(id.ends()) {
		return fmt.Errorf("the certificate issued ends on %s, which this machine's clock (%s) says is past: set the clock",
			id.ends().UTC(), now.UTC())
	}
	id.RenewAt = halfLife(now, id.ends(), a.Random())
	if err := a.Folder.write(identityFile, id); err != nil {
		return err
	}
	a.adopt(id)
	a.inFlight = nil
	return a.Folder.remove(pendingFile)
}
