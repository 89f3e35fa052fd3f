package enroll

import (
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// folder is an agent's state folder: what survives its crashes, and what a copy
// of the disk takes along.
type folder struct {
	name     string
	hardware string
	// pending is the key of a request whose reply has not come.
	pending *ecdsa.PrivateKey
	cert    *x509.Certificate
	// copied says that another folder was made from this one, or this one from
	// another.
	copied bool
}

// machine drives agents that lose replies, and whose folders are copied,
// against one collector.
type machine struct {
	*office
	token string
	uses  int
	// enrolled holds the identities that were given out for the token.
	enrolled map[string]bool
	folders  []*folder
}

func (m *machine) pick(t *rapid.T, want func(*folder) bool) *folder {
	var fit []*folder
	for _, f := range m.folders {
		if want(f) {
			fit = append(fit, f)
		}
	}
	if len(fit) == 0 {
		t.Skip("no such folder")
	}
	return fit[rapid.IntRange(0, len(fit)-1).Draw(t, "folder")]
}

func (m *machine) enrol(t *rapid.T) {
	f := m.pick(t, func(f *folder) bool { return f.cert == nil })
	if f.pending == nil {
		f.pending = newKey(t)
	}
	r, err := m.Enroll(ctx, "peer", &pb.EnrollRequest{Token: m.token, Csr: csrOf(t, f.pending), HardwareHash: []byte(f.hardware)})
	if errors.Is(err, ErrUsedUp) {
		if len(m.enrolled) < m.uses {
			t.Fatalf("%s: the token is used up after %d of %d", f.name, len(m.enrolled), m.uses)
		}
		return
	}
	if f.copied && errors.Is(err, ErrBadRequest) {
		// The key has been renewed by a copy since: the agent enrols anew.
		f.pending = nil
		return
	}
	if err != nil {
		t.Fatalf("%s cannot enrol: %v", f.name, err)
	}
	m.enrolled[r.AgentId] = true
	if len(m.enrolled) > m.uses {
		t.Fatalf("%d identities from a token for %d", len(m.enrolled), m.uses)
	}
	m.receive(t, f, r.CertificateChain)
}

// receive gives the reply to the agent, or loses it.
func (m *machine) receive(t *rapid.T, f *folder, chain [][]byte) {
	if rapid.Bool().Draw(t, "lost") {
		return
	}
	cert := leaf(t, chain)
	if !f.pending.PublicKey.Equal(cert.PublicKey) {
		t.Fatalf("%s is given a certificate for another key", f.name)
	}
	f.cert, f.pending = cert, nil
}

// call authenticates, as every call does; nobody is ever locked out.
func (m *machine) call(t *rapid.T, f *folder) Identity {
	who, err := m.Authenticate(ctx, f.cert)
	if err != nil {
		t.Fatalf("%s is locked out: %v", f.name, err)
	}
	if !f.copied && who.SourceID != who.AgentID {
		t.Fatalf("%s was never copied and reports as %s", f.name, who.SourceID)
	}
	return who
}

func (m *machine) renew(t *rapid.T) {
	f := m.pick(t, func(f *folder) bool { return f.cert != nil })
	if f.pending == nil {
		f.pending = newKey(t)
	}
	who := m.call(t, f)
	r, err := m.Renew(ctx, who, &pb.RenewRequest{Csr: csrOf(t, f.pending), HardwareHash: []byte(f.hardware)})
	if f.copied && errors.Is(err, ErrBadRequest) {
		// A copy had the same request pending and has gone on since.
		f.pending = nil
		return
	}
	if err != nil {
		t.Fatalf("%s cannot renew: %v", f.name, err)
	}
	m.receive(t, f, r.CertificateChain)
}

func (m *machine) copyFolder(t *rapid.T) {
	from := m.pick(t, func(f *folder) bool { return f.cert != nil || f.pending != nil })
	if len(m.folders) == 6 {
		t.Skip("enough folders")
	}
	from.copied = true
	c := *from
	c.name = fmt.Sprintf("%s-copy%d", from.name, len(m.folders))
	if c.cert != nil && rapid.Bool().Draw(t, "other hardware") {
		c.hardware = c.name
	}
	m.folders = append(m.folders, &c)
}

// report lets every agent call twice; after that, no two that hold different
// certificates report as one, and every copy that shows is marked.
func (m *machine) report(t *rapid.T) {
	sources := map[string]*folder{}
	for round := range 2 {
		clear(sources)
		for _, f := range m.folders {
			if f.cert == nil {
				continue
			}
			who := m.call(t, f)
			if other := sources[who.SourceID]; round == 1 && other != nil && !f.cert.Equal(other.cert) {
				t.Fatalf("%s and %s hold different certificates and both report as %s", f.name, other.name, who.SourceID)
			}
			sources[who.SourceID] = f
			if who.SourceID != who.AgentID && !m.record(who.AgentID).GetConflicted() {
				t.Fatalf("%s reports as %s and the conflict is not marked", f.name, who.SourceID)
			}
		}
	}
}

func (m *machine) check(t *rapid.T) {
	for _, f := range m.folders {
		if f.cert != nil && !f.copied && m.record(f.cert.Subject.CommonName).GetConflicted() {
			t.Fatalf("%s was never copied and is marked", f.name)
		}
	}
	tokens, err := m.tokens.List(ctx, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	if n := m.count("agent.enroll"); n > m.uses || int(tokens[0].GetUses()) != n || n < len(m.enrolled) {
		t.Fatalf("%d enrolments are noted, the token has %d of %d uses, %d identities are known", n, tokens[0].GetUses(), m.uses, len(m.enrolled))
	}
}

func TestIdentitiesUnderLostRepliesAndCopies(t *testing.T) {
	device, server := authority(t, PurposeDevice), authority(t, PurposeServer)
	rapid.Check(t, func(t *rapid.T) {
		o := open(t, device, server)
		defer o.engine.Close()
		m := &machine{office: o, uses: 2, enrolled: map[string]bool{}}
		m.token = o.token(int32(m.uses), time.Hour).Token
		for _, name := range []string{"a", "b", "c"} {
			m.folders = append(m.folders, &folder{name: name, hardware: name})
		}
		t.Repeat(map[string]func(*rapid.T){
			"enrol": m.enrol, "renew": m.renew, "copy": m.copyFolder, "report": m.report, "": m.check,
			"call": func(t *rapid.T) { m.call(t, m.pick(t, func(f *folder) bool { return f.cert != nil })) },
		})
	})
}

// The story of a cloned machine, in the order in which it happens.
func TestACopyBecomesAnAgentOfItsOwn(t *testing.T) {
	o := newOffice(t)
	r, err := o.Enroll(ctx, "peer", request(t, o.token(1, time.Hour).Token, newKey(t)))
	if err != nil {
		t.Fatal(err)
	}
	shared := leaf(t, r.CertificateChain)
	renew := func(cert *x509.Certificate) *x509.Certificate {
		t.Helper()
		who, err := o.Authenticate(ctx, cert)
		if err != nil {
			t.Fatal(err)
		}
		next, err := o.Renew(ctx, who, &pb.RenewRequest{Csr: csrOf(t, newKey(t)), HardwareHash: []byte("hardware")})
		if err != nil {
			t.Fatal(err)
		}
		return leaf(t, next.CertificateChain)
	}
	source := func(cert *x509.Certificate) string {
		t.Helper()
		who, err := o.Authenticate(ctx, cert)
		if err != nil {
			t.Fatal(err)
		}
		return who.SourceID
	}
	original := renew(shared)
	sources := map[string]bool{source(original): true, source(shared): true}
	contains(t, o.audited(), "agent.conflict")
	clone := renew(shared)
	sources[source(clone)] = true
	if len(sources) != 3 || !sources[r.AgentId] {
		t.Errorf("the original, the copy, and the copy once renewed report as %q", slices.Sorted(maps.Keys(sources)))
	}
	if !o.record(r.AgentId).GetConflicted() || !o.record(clone.Subject.CommonName).GetConflicted() {
		t.Error("not both are marked")
	}
	if got := o.record(clone.Subject.CommonName).GetLabels()["site"]; got != "A" {
		t.Errorf("the copy has lost its labels: %q", got)
	}
	contains(t, o.audited(), "agent.split")
	if got := source(renew(clone)); got != clone.Subject.CommonName {
		t.Errorf("the copy's next certificate reports as %s, want %s", got, clone.Subject.CommonName)
	}
	if got := source(renew(original)); got != r.AgentId {
		t.Errorf("the original's next certificate reports as %s, want %s", got, r.AgentId)
	}
}
