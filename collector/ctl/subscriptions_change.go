package main

import (
	"fmt"
	"net/http"
	"time"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

type subscriptionsTestCommand struct{ oneSubscription }

// Run sends a test. It fails where the receiver does not take it.
func (cmd subscriptionsTestCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	raw, err := c.call(s.ctx, http.MethodPost, cmd.path()+":test", map[string]any{})
	if err != nil {
		return err
	}
	out := new(adminpb.TestSubscriptionResponse)
	if err := decode(raw, out); err != nil {
		return err
	}
	err = printAnswer(s, raw, func(*adminpb.TestSubscriptionResponse) {
		if out.GetError() == "" {
			s.note("%s took the message", cmd.ID)
		}
	})
	if err == nil && out.GetError() != "" {
		return fail(exitError, "%s", out.GetError())
	}
	return err
}

type subscriptionsPauseCommand struct{ oneSubscription }

// Run has a subscription wait.
func (cmd subscriptionsPauseCommand) Run(s *session) error {
	return s.askSubscription(http.MethodPost, cmd.path()+":pause", map[string]any{"paused": true})
}

type subscriptionsResumeCommand struct{ oneSubscription }

// Run has a subscription go on.
func (cmd subscriptionsResumeCommand) Run(s *session) error {
	return s.askSubscription(http.MethodPost, cmd.path()+":pause", map[string]any{"paused": false})
}

type subscriptionsDeleteCommand struct{ oneSubscription }

// Run ends a subscription.
func (cmd subscriptionsDeleteCommand) Run(s *session) error {
	return s.change(http.MethodDelete, cmd.path(), nil, cmd.ID+" is told nothing any more")
}

type subscriptionsRotateCommand struct {
	oneSubscription
	Overlap time.Duration `default:"24h" help:"How long the key before signs as well, at most 168h."`
}

// Run makes a new key and shows it once.
func (cmd subscriptionsRotateCommand) Run(s *session) error {
	body := map[string]any{"overlap": fmt.Sprintf("%gs", cmd.Overlap.Seconds())}
	return send(s, http.MethodPost, cmd.path()+":rotateSecret", body, func(out *adminpb.RotateSubscriptionSecretResponse) {
		fmt.Fprintln(s.out, out.GetSecret())
		s.note("this key is not shown again; until %s the one before signs as well", out.GetOldUntil().AsTime().Local().Format(time.DateTime))
	})
}

type deadLettersCommand struct{ oneSubscription }

// Run lists what was given up.
func (cmd deadLettersCommand) Run(s *session) error {
	return fetch(s, cmd.path()+"/dead-letters", nil, s.deadLetters, "dead_letters")
}

func (s *session) deadLetters(all *adminpb.ListDeadLettersResponse) {
	if len(all.GetDeadLetters()) == 0 {
		s.note("nothing was given up")
		return
	}
	t := &table{columns: []column{{"LETTER", 0, 0}, {"TELLS", 20, 2}, {"EVENTS", 0, 1}, {"GIVEN UP", 0, 0}, {"ATTEMPTS", 0, 3}, {"ERROR", 20, 1}}}
	for _, l := range all.GetDeadLetters() {
		when := s.ago(l.GetGivenUpAt())
		if l.GetRetrying() {
			when = "retrying"
		}
		t.add(l.GetId(), l.GetTitle(), fmt.Sprint(l.GetEvents()), when, fmt.Sprint(l.GetAttempts()), l.GetError())
	}
	s.table(t)
}

type retryCommand struct {
	oneSubscription
	Letters []string `arg:"" optional:"" help:"Ids of the letters; all without."`
}

// Run has letters sent again.
func (cmd retryCommand) Run(s *session) error {
	return send(s, http.MethodPost, cmd.path()+":retry", map[string]any{"letters": cmd.Letters}, func(out *adminpb.RetryDeadLettersResponse) {
		s.note("%d messages are sent again: see rollcall subscriptions dead-letters %s for those that fail", out.GetRetried(), cmd.ID)
	})
}
