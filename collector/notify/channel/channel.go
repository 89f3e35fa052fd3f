// Package channel writes one message for one kind of receiver, and hands it over:
// signed webhooks, Slack, Teams, e-mail.
package channel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Sender hands messages to one receiver. It is safe for use by several goroutines.
type Sender interface {
	// Send hands a message over. It is to be repeated with the same message while it
	// fails; its error may be a *Failure.
	Send(ctx context.Context, m *Message) error
}

// Message is what a receiver is told. It does not change once it is made.
type Message struct {
	// ID is the same however often the message is sent.
	ID string
	// Subscription is why it is sent.
	Subscription string
	// At is when it was composed, Since when the first event happened.
	At, Since time.Time
	Title     string
	// Test says that nothing happened.
	Test bool
	// Total counts the events. Lost says that there were others before them that are
	// not kept any more.
	Total int
	Lost  bool
	// Groups are the events of one kind each, the gravest first; Rest are those in
	// further groups.
	Groups []Group
	Rest   int
	// Events are all events, for programs; people are told the groups.
	Events []Event
	// Link leads to where more is told; empty for nowhere.
	Link string
}

// Group are the events of one kind, and of one rule where they have one.
type Group struct {
	// Kind is finding.opened, finding.resolved or asset. and a kind of change.
	Kind                  string
	Rule, Title, Severity string
	Count                 int
	// Names are the first assets, each once.
	Names []Name
	// More counts the events of further assets.
	More int
	Link string
}

// Name is one asset of a group, with what is to be said of it.
type Name struct {
	ID, Name, Detail string
}

// Event is one thing that happened.
type Event struct {
	// Kind is as a Group has it.
	Kind string
	At   time.Time
	// AssetID and AssetName are of what it happened to, Department and Labels as the
	// asset has them.
	AssetID, AssetName, Department string
	Labels                         map[string]string
	// Rule, Title, Severity and Detail are of a finding.
	Rule, Title, Severity string
	Detail                []string
	// Fields are those that changed, Source and SourceID whose word brought it about,
	// and Other the asset that it became part of or was part of.
	Fields                  []string
	Source, SourceID, Other string
}

// Failure is why a receiver did not take a message.
type Failure struct {
	Err error
	// Refused says that the same message will not be taken later either, and Gone
	// that none will.
	Refused, Gone bool
	// After is how long the receiver wants to be left alone; 0 where it does not say.
	After time.Duration
}

// Error implements error.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns what went wrong.
func (f *Failure) Unwrap() error { return f.Err }

// FailureOf returns what an error of Send tells; nothing but the error where that
// is all.
func FailureOf(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return &Failure{Err: err}
}

// maxName bounds a text that comes from outside, in characters.
const maxName = 120

// plain makes a text from outside one short line without anything that is not
// seen: names come from devices, and those may be hostile.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsGraphic(r):
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, "�"))
	s = strings.TrimSpace(s)
	n := 0
	for i := range s {
		if n++; n > maxName {
			return s[:i] + "…"
		}
	}
	return s
}

// What says a group's kind in words, as in "3 findings opened".
func (g Group) What() string {
	noun, verb, _ := strings.Cut(g.Kind, ".")
	if verb == "software" {
		verb = "changed in software"
	}
	if g.Count != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s %s", g.Count, noun, verb)
}

// Heading is the line above a group's names.
func (g Group) Heading() string {
	h := g.What()
	if g.Rule != "" {
		title := g.Title
		if title == "" {
			title = g.Rule
		}
		h += ": " + plain(title) + " (" + plain(g.Severity) + ")"
	}
	return h
}

// lines are the names of a group, and how many more there are.
func (g Group) lines() []string {
	var out []string
	for _, n := range g.Names {
		line := plain(n.Name)
		if line == "" {
			line = n.ID
		}
		if d := plain(n.Detail); d != "" {
			line += " – " + d
		}
		out = append(out, line)
	}
	if g.More > 0 {
		out = append(out, fmt.Sprintf("and %d more", g.More))
	}
	return out
}

// command is what shows the group on the command line.
func (g Group) command() string {
	switch {
	case g.Rule != "" && g.Kind == "finding.opened":
		return "rollcall findings --rule " + g.Rule
	case g.Rule != "":
		return "rollcall findings --state resolved --rule " + g.Rule
	}
	return ""
}

// notes are what is to be said below the groups.
func (m *Message) notes() []string {
	var out []string
	if m.Rest > 0 {
		out = append(out, fmt.Sprintf("and %d more of other kinds", m.Rest))
	}
	if m.Lost {
		out = append(out, "What happened before is lost: it was older than what is kept.")
	}
	if m.Test {
		out = append(out, "This is a test: nothing happened.")
	}
	return out
}

// foot says who sends the message and why.
func (m *Message) foot() string {
	foot := "Rollcall, subscription " + m.Subscription
	if !m.Since.IsZero() {
		foot += ", since " + m.Since.UTC().Format("2006-01-02 15:04 MST")
	}
	return foot
}
