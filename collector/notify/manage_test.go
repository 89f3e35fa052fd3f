package notify_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rollcall-itam/rollcall/collector/notify"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// What cannot be is refused with what to do, and nothing is stored of it.
func TestDefinitionsAreChecked(t *testing.T) {
	w := newWorld(t, notify.Options{})
	good := func() *adminpb.Subscription {
		d := hook("x", "https://example.com/in")
		d.Findings = &adminpb.FindingInterest{}
		return d
	}
	for want, change := range map[string]func(d *adminpb.Subscription){
		"id":                  func(d *adminpb.Subscription) { d.Id = "a b" },
		"it asks for nothing": func(d *adminpb.Subscription) { d.Findings = nil },
		`"sever" is none of: critical, high, medium, low, info`: func(d *adminpb.Subscription) { d.Findings.Severities = []string{"sever"} },
		`findings.filter: column 8: there is no field "severty" here: did you mean severity?`: func(d *adminpb.Subscription) {
			d.Findings.Filter = `finding.severty == "high"`
		},
		"findings.filter: record is known to rules only": func(d *adminpb.Subscription) { d.Findings.Filter = `record.disk_full_at < now` },
		`there is no field "stge": did you mean stage?`: func(d *adminpb.Subscription) {
			d.Assets = &adminpb.AssetInterest{Fields: []string{"stge"}}
		},
		"assets.fields are of assets that changed": func(d *adminpb.Subscription) {
			d.Assets = &adminpb.AssetInterest{Fields: []string{"stage"}, Kinds: []string{"created"}}
		},
		`"finding" is not known`:       func(d *adminpb.Subscription) { d.Assets = &adminpb.AssetInterest{Filter: `finding.rule == "x"`} },
		"is none of: webhook":          func(d *adminpb.Subscription) { d.Receiver.Kind = "pager" },
		"receiver.url is missing":      func(d *adminpb.Subscription) { d.Receiver.Url = "" },
		"must begin with https://":     func(d *adminpb.Subscription) { d.Receiver.Url, d.Receiver.AllowPrivate = "http://example.com", false },
		"without a name and password":  func(d *adminpb.Subscription) { d.Receiver.Url = "https://a:b@example.com" },
		"whsec_ and the base64":        func(d *adminpb.Subscription) { d.Receiver.Secret = "hunter2" },
		"receiver.to is of email only": func(d *adminpb.Subscription) { d.Receiver.To = []string{"a@example.com"} },
		"there is no mail server": func(d *adminpb.Subscription) {
			d.Receiver = &adminpb.Receiver{Kind: "email", To: []string{"a@example.com"}}
		},
		"pace.window: want 10s to 24h0m0s": func(d *adminpb.Subscription) { d.Pace = &adminpb.Pace{Window: durationpb.New(time.Second)} },
		"window and daily do not go": func(d *adminpb.Subscription) {
			d.Pace = &adminpb.Pace{Window: durationpb.New(time.Hour), Daily: "08:00"}
		},
		`"25:00" is no time like 08:00`:      func(d *adminpb.Subscription) { d.Pace = &adminpb.Pace{Daily: "25:00"} },
		`"Mars/Olympus" is not known`:        func(d *adminpb.Subscription) { d.Pace = &adminpb.Pace{Daily: "08:00", TimeZone: "Mars/Olympus"} },
		"pace.per_hour is -1":                func(d *adminpb.Subscription) { d.Pace = &adminpb.Pace{PerHour: -1} },
		"receiver.secret is of webhooks":     func(d *adminpb.Subscription) { d.Receiver.Kind, d.Receiver.Secret = "slack", "whsec_x" },
		"findings.rules: \"\" is no id of a": func(d *adminpb.Subscription) { d.Findings.Rules = []string{""} },
	} {
		d := good()
		change(d)
		if _, err := w.n.Create(t.Context(), "token:t", d); !errors.Is(err, notify.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s\ngot  %v", want, err)
		}
	}
	if all, err := w.n.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("there are %v %v", all, err)
	}
	w.create(good())
	if _, err := w.n.Create(t.Context(), "token:t", good()); !errors.Is(err, notify.ErrTaken) {
		t.Errorf("an id that is taken: %v", err)
	}
}

// An address of a private network is refused where it is not allowed, whatever
// name leads there.
func TestPrivateAddressesAreRefused(t *testing.T) {
	w := newWorld(t, notify.Options{})
	d := hook("x", "https://localhost:1/in")
	d.Findings, d.Receiver.AllowPrivate = &adminpb.FindingInterest{}, false
	w.create(d)
	if err := w.n.Test(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "private network") {
		t.Errorf("a private address: %v", err)
	}
}

// Secrets are kept sealed, and shown to nobody; every change is audited without
// them.
func TestSecretsAndAudit(t *testing.T) {
	w, r := newWorld(t, notify.Options{}), newReceiver(t)
	d := findings(r)
	d.Receiver.Url += "/in?key=topsecret"
	secret := w.create(d)
	chat := &adminpb.Subscription{Id: "chat", Assets: &adminpb.AssetInterest{}, Receiver: &adminpb.Receiver{Kind: "slack", Url: "https://hooks.slack.com/services/topsecret"}}
	w.create(chat)
	next, until, err := w.n.Rotate(t.Context(), "token:t", "siem", notify.DefaultOverlap)
	if err != nil || !until.Equal(w.Now().Add(24*time.Hour)) {
		t.Fatal(until, err)
	}
	if _, _, err := w.n.Rotate(t.Context(), "token:t", "chat", 0); !errors.Is(err, notify.ErrInvalid) {
		t.Errorf("a key for Slack: %v", err)
	}
	if err := errors.Join(w.n.Pause(t.Context(), "token:t", "siem", true), w.n.Pause(t.Context(), "token:t", "siem", false), w.n.Delete(t.Context(), "token:t", "chat")); err != nil {
		t.Fatal(err)
	}
	all, err := w.n.List(t.Context())
	if err != nil || len(all) != 1 || all[0].GetReceiver().GetUrl() != r.URL+"/in" || all[0].GetOrigin() != "api" || all[0].GetCreatedBy() != "token:t" {
		t.Errorf("listed %v %v", all, err)
	}
	told := fmt.Sprint(all)
	var actions []string
	err = w.st.View(t.Context(), func(tx *store.Tx) error {
		return tx.ScanAudit(func(a *storagepb.AuditRecord) error {
			actions = append(actions, strings.TrimPrefix(a.GetAction(), "subscription."))
			told += fmt.Sprint(a)
			return nil
		})
	})
	if want := "[create create rotate_secret pause resume delete]"; err != nil || fmt.Sprint(actions) != want {
		t.Errorf("audited %v %v, want %s", actions, err, want)
	}
	for _, s := range []string{secret, next, "topsecret"} {
		if strings.Contains(told, s) {
			t.Errorf("%s is told in %s", s, told)
		}
	}
	if err := w.n.Test(t.Context(), "siem"); err != nil {
		t.Fatal(err)
	}
	c := <-r.calls
	c.verify(t, next)
	c.verify(t, secret)
	w.restart()
	w.advance(25 * time.Hour)
	if err := w.n.Test(t.Context(), "siem"); err != nil {
		t.Fatal(err)
	}
	c = <-r.calls
	if c.verify(t, next); c.signedBy(t, secret) {
		t.Error("the old key signs for ever")
	}
}

// What happens while a subscription is paused is told once it goes on, and one
// that is deleted is told nothing.
func TestPauseAndDelete(t *testing.T) {
	w, r := newWorld(t, notify.Options{}), newReceiver(t)
	id := w.report("lt-1", "")
	w.create(findings(r))
	if err := w.n.Pause(t.Context(), "token:t", "siem", true); err != nil {
		t.Fatal(err)
	}
	w.find("opened", "encrypted", "high", id)
	w.restart()
	w.advance(time.Hour)
	r.none(t)
	if err := w.n.Pause(t.Context(), "token:t", "siem", false); err != nil {
		t.Fatal(err)
	}
	if b := (<-r.calls).read(t); b.Data.Total != 1 {
		t.Errorf("told %+v", b)
	}
	if err := w.n.Delete(t.Context(), "token:t", "siem"); err != nil {
		t.Fatal(err)
	}
	if w.n.FollowsFindings() {
		t.Error("findings are logged for nobody")
	}
	w.find("opened", "encrypted", "high", id)
	w.advance(time.Hour)
	r.none(t)
	if err := w.n.Pause(t.Context(), "token:t", "siem", true); !errors.Is(err, notify.ErrUnknown) {
		t.Errorf("one that is none: %v", err)
	}
}

// A subscription of the configuration cannot be changed here; once it is no more,
// what is kept of it goes.
func TestConfigured(t *testing.T) {
	r := newReceiver(t)
	d := findings(r)
	d.Receiver.Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	w := newWorld(t, notify.Options{Configured: []*adminpb.Subscription{d}})
	id := w.report("lt-1", "")
	w.find("opened", "encrypted", "high", id)
	w.tick()
	(<-r.calls).verify(t, d.GetReceiver().GetSecret())
	if err := w.n.Delete(t.Context(), "token:t", "siem"); !errors.Is(err, notify.ErrConfigured) {
		t.Errorf("delete: %v", err)
	}
	if _, err := w.n.Create(t.Context(), "token:t", findings(r)); !errors.Is(err, notify.ErrConfigured) {
		t.Errorf("create: %v", err)
	}
	if s, err := w.n.Get(t.Context(), "siem"); err != nil || s.GetOrigin() != "configuration" || s.GetReceiver().GetSecret() != "" || strings.Contains(fmt.Sprint(s), "whsec_") {
		t.Errorf("shown %v %v", s, err)
	}
	w.o.Configured = nil
	w.restart()
	states := 0
	err := w.st.View(context.Background(), func(tx *store.Tx) error {
		return tx.ScanSubscriptionStates(func(*storagepb.SubscriptionState) error { states++; return nil })
	})
	if err != nil || states != 0 {
		t.Errorf("%d states are kept, %v", states, err)
	}
}
