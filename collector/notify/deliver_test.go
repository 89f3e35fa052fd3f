package notify_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/notify"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// findings is a webhook for all findings that open.
func findings(r *receiver) *adminpb.Subscription {
	d := hook("siem", r.URL)
	d.Findings = &adminpb.FindingInterest{}
	return d
}

// A message that is not taken is sent again with the same id and the same text,
// also after restarts, and what happens meanwhile comes after it: nothing is lost
// and nothing is told twice.
func TestRestartInTheMiddle(t *testing.T) {
	w, r := newWorld(t, notify.Options{}), newReceiver(t)
	first, second := w.report("lt-1", ""), w.report("lt-2", "")
	secret := w.create(findings(r))
	r.answers(503)
	w.find("opened", "encrypted", "high", first)
	w.tick()
	before := <-r.calls
	w.until("siem", "failing", func(s *adminpb.SubscriptionStatus) bool { return s.GetFailures() == 1 })
	w.restart()
	w.find("opened", "encrypted", "high", second)
	w.tick()
	again := <-r.calls
	again.verify(t, secret)
	w.until("siem", "failing", func(s *adminpb.SubscriptionStatus) bool { return s.GetFailures() == 2 })
	if before.body != again.body || before.header.Get("Webhook-Id") != again.header.Get("Webhook-Id") {
		t.Errorf("first %s\nthen  %s", before.body, again.body)
	}
	// A stop while the receiver has the message and has not answered: it comes once
	// more, with its id.
	got := make(chan struct{})
	r.mu.Lock()
	r.answer = func(http.ResponseWriter) { <-got }
	r.mu.Unlock()
	w.tick()
	<-r.calls
	w.end()
	close(got)
	r.answers(200)
	w.open()
	w.advance(time.Hour)
	last := <-r.calls
	if last.header.Get("Webhook-Id") != before.header.Get("Webhook-Id") {
		t.Errorf("after the stop comes %s", last.body)
	}
	if b := (<-r.calls).read(t); b.Data.Total != 1 || b.Data.Events[0].Asset.Name != "lt-2" {
		t.Errorf("then comes %+v", b)
	}
	w.until("siem", "up to date", func(s *adminpb.SubscriptionStatus) bool { return s.GetWaiting() == 0 })
	w.restart()
	w.advance(24 * time.Hour)
	w.find("opened", "other", "low", first)
	w.tick()
	if b := (<-r.calls).read(t); b.Data.Total != 1 || b.Data.Events[0].Rule != "other" {
		t.Errorf("after another restart comes %+v", b)
	}
	r.none(t)
}

// A receiver that asks to be left alone is, for as long as it says.
func TestRetryAfter(t *testing.T) {
	w, r := newWorld(t, notify.Options{}), newReceiver(t)
	id := w.report("lt-1", "")
	w.create(findings(r))
	r.answers(429, "Retry-After", "900")
	w.find("opened", "encrypted", "high", id)
	w.tick()
	<-r.calls
	if d := w.tick(); d != 15*time.Minute {
		t.Errorf("it is tried again after %v", d)
	}
	<-r.calls
	if s := w.status("siem"); s.GetFailures() == 0 || !strings.Contains(s.GetError(), "429") {
		t.Errorf("status %v", s)
	}
	r.answers(200)
	w.tick()
	<-r.calls
}

// While a receiver is down for days the messages are few and further and further
// apart; those that are given up are kept, and sent again when that is asked for.
func TestDownForDays(t *testing.T) {
	w, r := newWorld(t, notify.Options{}), newReceiver(t)
	id := w.report("lt-1", "")
	w.create(findings(r))
	r.answers(500)
	w.find("opened", "encrypted", "high", id)
	began, attempts := w.Now(), 0
	ids := make(map[string]bool)
	for w.Now().Sub(began) < 60*time.Hour && w.status("siem").GetDeadLetters() < 2 {
		w.advance(15 * time.Minute)
		select {
		case c := <-r.calls:
			attempts++
			ids[c.header.Get("Webhook-Id")] = true
			if len(ids) == 1 && attempts == 5 {
				w.find("opened", "later", "high", id)
			}
		case <-time.After(3 * time.Millisecond):
		}
	}
	if len(ids) != 2 || attempts < 40 || attempts > 140 {
		t.Errorf("%d attempts for %d messages in %v", attempts, len(ids), w.Now().Sub(began))
	}
	dead, err := w.n.Letters(t.Context(), "siem")
	if err != nil || len(dead) != 2 || dead[0].GetEvents() != 1 || !strings.Contains(dead[0].GetError(), "500") || dead[0].GetTitle() != "1 finding opened: Disk encryption is on (high)" {
		t.Fatalf("dead letters %v %v", dead, err)
	}
	w.restart()
	if _, err := w.n.Retry(t.Context(), "token:t", "siem", []string{"msg_none"}); !errors.Is(err, notify.ErrNoLetter) {
		t.Errorf("a letter that is none: %v", err)
	}
	r.answers(200)
	if n, err := w.n.Retry(t.Context(), "token:t", "siem", nil); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	for _, l := range dead {
		c := <-r.calls
		if c.header.Get("Webhook-Id") != l.GetId() || c.read(t).Data.Total != 1 {
			t.Errorf("retried %s", c.body)
		}
	}
	w.find("opened", "after", "low", id)
	w.tick()
	if b := (<-r.calls).read(t); b.Data.Events[0].Rule != "after" {
		t.Errorf("then %+v", b)
	}
	w.until("siem", "done", func(s *adminpb.SubscriptionStatus) bool { return s.GetDeadLetters() == 0 && s.GetSent() == 3 })
	series := 0
	families, err := w.registry.Gather()
	for _, f := range families {
		series += len(f.GetMetric())
	}
	if err != nil || len(families) != 4 || series != 16 {
		t.Errorf("%d series of %d metrics, %v", series, len(families), err)
	}
}

// What a receiver says is wrong is given up soon, and what it wants no more of
// pauses the subscription until somebody has it go on.
func TestRefusedAndGone(t *testing.T) {
	w, r := newWorld(t, notify.Options{}), newReceiver(t)
	id := w.report("lt-1", "")
	w.create(findings(r))
	r.answers(422)
	w.find("opened", "encrypted", "high", id)
	for range 3 {
		w.tick()
		<-r.calls
	}
	w.until("siem", "behind it", func(s *adminpb.SubscriptionStatus) bool { return s.GetDeadLetters() == 1 })
	r.answers(410)
	w.find("opened", "next", "high", id)
	w.tick()
	gone := <-r.calls
	w.until("siem", "paused", func(s *adminpb.SubscriptionStatus) bool { return s.GetProblem() != "" })
	w.advance(48 * time.Hour)
	r.none(t)
	r.answers(200)
	if err := w.n.Pause(t.Context(), "token:t", "siem", false); err != nil {
		t.Fatal(err)
	}
	if c := <-r.calls; c.header.Get("Webhook-Id") != gone.header.Get("Webhook-Id") {
		t.Errorf("it goes on with %s", c.body)
	}
}

// A message is never sent on to where the receiver redirects.
func TestRedirectsAreNotFollowed(t *testing.T) {
	w, r, thief := newWorld(t, notify.Options{}), newReceiver(t), newReceiver(t)
	w.create(findings(r))
	r.answers(307, "Location", thief.URL)
	err := w.n.Test(t.Context(), "siem")
	if err == nil || !strings.Contains(err.Error(), "redirects") {
		t.Errorf("a redirect: %v", err)
	}
	thief.none(t)
	r.answers(200)
	if err := w.n.Test(t.Context(), "siem"); err != nil {
		t.Error(err)
	}
	<-r.calls
	if c := <-r.calls; c.read(t).Type != "rollcall.test" {
		t.Errorf("a test is %s", c.body)
	}
}
