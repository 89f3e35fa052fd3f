package report

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
)

func trusted(c *collector) []*x509.Certificate { return certificates(c.ca) }

func certificates(a *authority) []*x509.Certificate { return []*x509.Certificate{a.cert} }

// once lets one call of a method succeed at the collector and its answer be
// lost.
func (c *collector) loseReply(method string) {
	c.after = func(m string) error {
		if m != method {
			return nil
		}
		c.after = nil
		return errLost
	}
}

func TestLostReplyOfAnEnrolmentCostsNothing(t *testing.T) {
	for _, restart := range []bool{false, true} {
		c := newCollector(t)
		b := newBench(t, c)
		a := b.start()
		c.loseReply("Enroll")
		if _, err := a.Exchange(t.Context(), b.pack(device(1))); err == nil || a.ID() != "" || Permanent(err) {
			t.Fatalf("error %v, agent %q", err, a.ID())
		}
		if restart {
			a = b.start()
		}
		b.exchange(a, device(1))
		if len(c.byID) != 1 {
			t.Errorf("restart %v: %d agents, want 1", restart, len(c.byID))
		}
		if sum, err := Summarise(b.dir); err != nil || sum.AwaitsAnswer {
			t.Errorf("summary %+v, %v: want nothing awaited", sum, err)
		}
	}
}

func TestTokens(t *testing.T) {
	c := newCollector(t)
	b := newBench(t, c)
	b.token = ""
	if _, err := b.start().Exchange(t.Context(), b.pack(device(1))); !errors.Is(err, ErrNoToken) {
		t.Errorf("without a token: %v", err)
	}
	b.token = "rce_unknown"
	_, err := b.start().Exchange(t.Context(), b.pack(device(1)))
	if !errors.Is(err, ErrToken) || !Permanent(err) || strings.Contains(err.Error(), b.token) {
		t.Errorf("with a wrong token: %v", err)
	}
	for _, m := range b.logged.messages {
		if strings.Contains(m, b.token) {
			t.Errorf("the token is logged: %s", m)
		}
	}
}

func TestRenewal(t *testing.T) {
	c := newCollector(t)
	b := newBench(t, c)
	a, d := b.start(), device(1)
	b.exchange(a, d)
	id, first := a.ID(), a.id.Key
	ends := a.id.ends()

	b.clock = b.clock.Add(c.life/2 - time.Hour)
	if b.exchange(a, d); a.id.Key != first {
		t.Error("renewed before half of its life")
	}
	// The answer is lost, the agent restarts, the request is repeated.
	b.clock = b.clock.Add(2 * time.Hour)
	c.loseReply("Renew")
	b.exchange(a, d)
	if a.id.Sequence != 1 || len(c.byID[id].keys) != 2 {
		t.Fatalf("sequence %d with %d keys at the collector, want the answer to be lost", a.id.Sequence, len(c.byID[id].keys))
	}
	a = b.start()
	b.exchange(a, d)
	if a.ID() != id || a.id.Sequence != 2 || a.id.Key == first || !a.id.ends().After(ends) || len(c.byID[id].keys) != 2 {
		t.Errorf("agent %s, sequence %d, ends %v, %d keys", a.ID(), a.id.Sequence, a.id.ends(), len(c.byID[id].keys))
	}
	if len(c.reports) != 1 {
		t.Errorf("%d reports: a renewal is no reason to report", len(c.reports))
	}
	// The next one has another key again, and a restart finds it.
	b.clock = b.clock.Add(c.life/2 + 36*time.Hour)
	b.exchange(a, d)
	a = b.start()
	if b.exchange(a, d); a.id.Sequence != 3 || len(c.byID[id].keys) != 3 {
		t.Errorf("sequence %d, %d keys, want 3", a.id.Sequence, len(c.byID[id].keys))
	}
}

// A renewal that fails loses no report, and is tried again before the end.
func TestReportsGoOnWhileARenewalFails(t *testing.T) {
	c := newCollector(t)
	b := newBench(t, c)
	a, d := b.start(), device(1)
	b.exchange(a, d)
	tries := 0
	c.before = func(method string) error {
		if method != "Renew" {
			return nil
		}
		tries++
		return grpcstatus.Error(codes.FailedPrecondition, "later")
	}
	b.clock = b.clock.Add(c.life/2 + 48*time.Hour)
	for range 24 {
		b.exchange(a, d)
		b.clock = b.clock.Add(5 * time.Minute)
	}
	if tries < 2 || tries > 3 {
		t.Errorf("%d tries in two hours, want about one an hour", tries)
	}
}

func TestCertificateThatHasEnded(t *testing.T) {
	c := newCollector(t)
	b := newBench(t, c)
	a, d := b.start(), device(1)
	b.exchange(a, d)
	id := a.ID()
	b.clock, b.token = b.clock.Add(c.life+time.Minute), ""
	for _, a := range []*Agent{a, b.start()} {
		_, err := a.Exchange(t.Context(), b.pack(d))
		if !errors.Is(err, ErrExpired) || !errors.Is(err, ErrNoToken) {
			t.Errorf("error %v, want the end and what is missing", err)
		}
	}
	b.token = "rce_two"
	if b.exchange(a, d); a.ID() == id || len(c.reports[len(c.reports)-1].GetSections()) != 9 {
		t.Error("did not enrol anew and send all")
	}
}

// A clock that is right again makes a certificate good again.
func TestClockThatWasWrong(t *testing.T) {
	c := newCollector(t)
	b := newBench(t, c)
	a, d := b.start(), device(1)
	b.exchange(a, d)
	b.token = ""
	b.clock = b.clock.AddDate(10, 0, 0)
	if _, err := a.Exchange(t.Context(), b.pack(d)); !errors.Is(err, ErrExpired) {
		t.Fatal(err)
	}
	b.clock = b.clock.AddDate(-10, 0, 0)
	b.exchange(a, d)
}

func TestCopiedStateFolder(t *testing.T) {
	c := newCollector(t)
	b := newBench(t, c)
	a, d := b.start(), device(1)
	b.exchange(a, d)
	id := a.ID()
	b.ids, b.token = map[string]string{IDSystemUUID: "u2", IDMachine: "m1"}, ""
	if _, err := b.start().Exchange(t.Context(), b.pack(d)); !errors.Is(err, ErrOtherMachine) || !errors.Is(err, ErrNoToken) {
		t.Errorf("without a token: %v", err)
	}
	b.token = "rce_two"
	a = b.start()
	if b.exchange(a, d); a.ID() == id || len(c.byID) != 2 {
		t.Errorf("the copy reports as %s, like its original", a.ID())
	}
	if a = b.start(); a.ID() == id {
		t.Error("the copy forgot who it is")
	}
	b.exchange(a, d)
}

func TestAnotherCollectorIsConfigured(t *testing.T) {
	first, second := newCollector(t), newCollector(t)
	b := newBench(t, first)
	a, d := b.start(), device(1)
	b.exchange(a, d)
	b.c, b.trust.Authorities = second, trusted(second)
	second.now = first.now
	a = b.start()
	b.exchange(a, d)
	b.held(a, d)
	b.token = ""
	if b.exchange(b.start(), d); len(second.byID) != 1 {
		t.Errorf("%d agents", len(second.byID))
	}
}

// Whatever becomes of the identity on the disk, the agent says so or enrols
// anew, and never fails to start.
func TestIdentityThatWasDamaged(t *testing.T) {
	c := newCollector(t)
	b := newBench(t, c)
	a, d := b.start(), device(1)
	b.exchange(a, d)
	path := filepath.Join(b.dir, identityFile)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the identity has mode %v, %v", st.Mode(), err)
	}
	b.token = ""
	damage := map[string]string{
		"empty": "", "half": string(good[:len(good)/2]), "zeros": string(make([]byte, len(good))), "twice": string(good) + string(good),
		"other key":   strings.Replace(string(good), "MIGH", "MIGG", 1),
		"no id":       strings.Replace(string(good), a.ID(), "", 1),
		"new field":   strings.Replace(string(good), `"agent_id"`, `"surprise": 1, "agent_id"`, 1),
		"far too big": string(good[:len(good)-3]) + strings.Repeat(" ", maxStateBytes) + "}",
	}
	for name, text := range damage {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := b.start().Exchange(t.Context(), b.pack(d))
		if err == nil || !strings.Contains(err.Error(), identityFile) && !strings.Contains(err.Error(), "identity") || !errors.Is(err, ErrNoToken) {
			t.Errorf("%s: %v, want the file and the missing token", name, err)
		}
	}
	b.token = "rce_two"
	b.exchange(b.start(), d)
	if len(c.byID) != 2 {
		t.Errorf("%d agents, want a second", len(c.byID))
	}
}

func TestFolderThatCannotBeUsed(t *testing.T) {
	if os.Getuid() == 0 {
		t.Log("runs as root, for whom every folder is writable: only the file in place of a folder is tried")
	}
	c := newCollector(t)
	b := newBench(t, c)
	file := filepath.Join(b.dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.dir = file
	if _, err := b.open(); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("error %v, want one that names %s", err, file)
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"agent_id":"a","renewal_sequence":1,"key":"","certificate_chain":["AA=="],"ca_bundle":[],"machine":{"salt":"AA==","hashes":{}}}`))
	f.Add([]byte(`{"generation":1,"sections":{"os":{"state":"complete"}}}`))
	f.Add([]byte(`{"key":"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n","csr":"AA=="}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		id := new(identity)
		if decodeStrict(b, id) == nil && id.check() == nil {
			if id.AgentID == "" || id.certificate == nil || id.certificate.PrivateKey == nil || len(id.roots) == 0 {
				t.Errorf("an identity without what it needs: %+v", id)
			}
		}
		_ = decodeStrict(b, new(memory))
		p := new(pending)
		if decodeStrict(b, p) == nil {
			_, _ = parseKey(p.Key)
		}
	})
}
