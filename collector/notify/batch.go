package notify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/collector/compliance"
	"github.com/rollcall-itam/rollcall/collector/notify/channel"
	"github.com/rollcall-itam/rollcall/collector/policy"
)

// Bounds of a message.
const (
	maxGroups = 100
	maxNames  = 10
	// maxEvents is how many events one call of a webhook tells. Programs are told
	// each event, so what is beyond goes into the next call.
	maxEvents = 500
)

// Kinds of events, as receivers see them.
const (
	findingKind = "finding."
	assetKind   = "asset."
)

// batch gathers events into a message. Its size has a bound however many events
// there are.
type batch struct {
	// all says that each event is told, and not only the groups.
	all    bool
	groups map[string]*channel.Group
	events []channel.Event
	total  int
	rest   int
	since  time.Time
	// lost says that there were events before these which are not kept any more.
	lost bool
}

func newBatch(all bool) *batch { return &batch{all: all, groups: make(map[string]*channel.Group)} }

// full tells that no more events fit.
func (b *batch) full() bool { return b.all && len(b.events) >= maxEvents }

func (b *batch) add(e channel.Event) {
	if b.total == 0 || e.At.Before(b.since) {
		b.since = e.At
	}
	b.total++
	if b.all {
		b.events = append(b.events, e)
	}
	key := e.Kind + "\x00" + e.Rule
	g := b.groups[key]
	if g == nil {
		if len(b.groups) == maxGroups {
			b.rest++
			return
		}
		g = &channel.Group{Kind: e.Kind, Rule: e.Rule, Title: e.Title, Severity: e.Severity}
		b.groups[key] = g
	}
	g.Count++
	switch {
	case slices.ContainsFunc(g.Names, func(n channel.Name) bool { return n.ID == e.AssetID }):
	case len(g.Names) < maxNames:
		g.Names = append(g.Names, channel.Name{ID: e.AssetID, Name: e.AssetName, Detail: detailOf(e)})
	default:
		g.More++
	}
}

// detailOf is what is said of one event beside the asset's name.
func detailOf(e channel.Event) string {
	var parts []string
	if e.Department != "" {
		parts = append(parts, e.Department)
	}
	return strings.Join(append(parts, append(slices.Clone(e.Detail), e.Fields...)...), ", ")
}

// message makes a message of what was gathered.
func (b *batch) message(id, subscription, link string, at time.Time) *channel.Message {
	m := &channel.Message{ID: id, Subscription: subscription, At: at, Since: b.since, Total: b.total, Rest: b.rest, Lost: b.lost, Events: b.events, Link: link}
	for _, g := range b.groups {
		g := *g
		if link != "" && g.Rule != "" {
			g.Link = link + "/v1/findings?rule=" + g.Rule
			if g.Kind == findingKind+compliance.ResolvedByData {
				g.Link += "&state=resolved"
			}
		}
		m.Groups = append(m.Groups, g)
	}
	slices.SortFunc(m.Groups, compareGroups)
	m.Title = titleOf(m)
	return m
}

func compareGroups(a, b channel.Group) int {
	rank := func(g channel.Group) int {
		i := slices.Index(policy.Severities, policy.Severity(g.Severity))
		if i < 0 {
			i = len(policy.Severities)
		}
		return i
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.Kind, b.Kind), cmp.Compare(b.Count, a.Count), strings.Compare(a.Rule, b.Rule))
}

// titleOf says in one line what a message tells.
func titleOf(m *channel.Message) string {
	if len(m.Groups) == 1 && m.Rest == 0 {
		if g := m.Groups[0]; g.Count == 1 && len(g.Names) == 1 {
			return g.Heading() + " on " + cmp.Or(g.Names[0].Name, g.Names[0].ID)
		}
		return m.Groups[0].Heading()
	}
	counts := make(map[string]int)
	for _, g := range m.Groups {
		counts[g.Kind] += g.Count
	}
	var parts []string
	for _, kind := range sortedKeys(counts) {
		parts = append(parts, channel.Group{Kind: kind, Count: counts[kind]}.What())
	}
	if m.Rest > 0 {
		parts = append(parts, fmt.Sprintf("%d other events", m.Rest))
	}
	if len(parts) == 0 {
		return "events that are no longer kept"
	}
	return strings.Join(parts, ", ")
}
