package enroll

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

func annSession() Session {
	return Session{Person: "ann@example.com", Name: "Ann Berg", Subject: "00u1", Role: "operator", Scope: []string{"label.site=berlin"}, Life: time.Hour}
}

func (o *office) signIn(s Session) (string, *storagepb.TokenRecord) {
	o.t.Helper()
	secret, r, err := o.tokens.SignIn(ctx, s)
	if err != nil {
		o.t.Fatal(err)
	}
	return secret, r
}

func TestSessions(t *testing.T) {
	o := newOffice(t)
	o.tokens.UseBasis("one")
	secret, made := o.signIn(annSession())
	r, err := o.tokens.Verify(ctx, secret)
	if err != nil || r.GetId() != made.GetId() || r.GetRole() != "operator" || ActorOf(r) != "user:ann@example.com" || r.GetScope()[0] != "labels.site=berlin" {
		t.Errorf("%v %v", r, err)
	}
	if !strings.HasPrefix(secret, "rcs_") {
		t.Errorf("a session is like %s", secret)
	}
	wantOver := func(why string) {
		t.Helper()
		_, err := o.tokens.Verify(ctx, secret)
		wantIs(t, err, ErrSessionOver)
		if err != nil && !strings.Contains(err.Error(), why) {
			t.Errorf("error %q, want %q", err, why)
		}
	}
	o.clock = epoch.Add(time.Hour)
	wantOver("ended 2026-11-24T13:00:00Z")
	o.clock = epoch
	o.tokens.UseBasis("two")
	wantOver("who may sign in was changed")
	o.tokens.UseBasis("")
	wantOver("no oidc")
	o.tokens.UseBasis("one")
	err = o.tokens.store.Update(ctx, func(tx *store.Tx) error {
		made.Person = "[erased]"
		return tx.PutToken(made)
	})
	if err != nil {
		t.Fatal(err)
	}
	wantOver("erased")
	secret, made = o.signIn(annSession())
	if err := o.tokens.Revoke(ctx, "user:ann@example.com", made.GetId()); err != nil {
		t.Fatal(err)
	}
	wantOver("was ended")
	contains(t, o.audited(), "session.create")
	contains(t, o.audited(), "session.revoke")
	secret, _ = o.signIn(annSession())
	err = o.tokens.store.Update(ctx, func(tx *store.Tx) error {
		_, err := o.tokens.consume(tx, secret)
		return err
	})
	wantIs(t, err, ErrUnknownToken) // a session enrols no device
}

func TestSessionsOfOnePerson(t *testing.T) {
	o := newOffice(t)
	o.tokens.UseBasis("one")
	var secrets []string
	for i := range maxOwnSessions + 1 {
		o.clock = epoch.Add(time.Duration(i) * time.Second)
		secret, _ := o.signIn(annSession())
		secrets = append(secrets, secret)
	}
	bob := annSession()
	bob.Person = "bob@example.com"
	bobs, _ := o.signIn(bob)
	for i, secret := range secrets {
		if _, err := o.tokens.Verify(ctx, secret); (err != nil) != (i == 0) {
			t.Errorf("session %d: %v", i, err)
		}
	}
	if n, err := o.tokens.RevokeSessions(ctx, "test", "Ann@example.com"); err != nil || n != maxOwnSessions {
		t.Errorf("ended %d: %v", n, err)
	}
	if n, err := o.tokens.RevokeSessions(ctx, "test", "ann@example.com"); err != nil || n != 0 {
		t.Errorf("ended %d more: %v", n, err)
	}
	if _, err := o.tokens.Verify(ctx, secrets[3]); err == nil {
		t.Error("a session that was ended is good")
	}
	if _, err := o.tokens.Verify(ctx, bobs); err != nil {
		t.Errorf("somebody else's session: %v", err)
	}
	// What is long over is forgotten, tokens are not.
	o.token(1, time.Minute)
	o.clock = epoch.Add(sessionKept + 2*time.Hour)
	o.signIn(bob)
	left, err := o.tokens.List(ctx, "", 100)
	if err != nil || len(left) != 2 {
		t.Errorf("%d are left: %v", len(left), err)
	}
}

func TestSessionsAreCheckedWhenMade(t *testing.T) {
	o := newOffice(t)
	for name, change := range map[string]func(*Session){
		"nobody":     func(s *Session) { s.Person = "" },
		"two lines":  func(s *Session) { s.Person = "ann\nbob" },
		"erased":     func(s *Session) { s.Person = "[erased]" },
		"long name":  func(s *Session) { s.Name = strings.Repeat("x", maxName+1) },
		"no role":    func(s *Session) { s.Role = "god" },
		"bent scope": func(s *Session) { s.Scope = []string{"x"} },
		"no time":    func(s *Session) { s.Life = 0 },
	} {
		s := annSession()
		change(&s)
		if _, _, err := o.tokens.SignIn(ctx, s); err == nil {
			t.Errorf("%s: a session was made", name)
		}
	}
	if got := o.audited(); len(got) != 0 {
		t.Errorf("refused sessions left %v in the audit log", fmt.Sprint(got))
	}
}
