package main

import (
	"fmt"
	"net/http"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

type feedsCommands struct {
	List   feedsListCommand   `cmd:"" default:"withargs" help:"List the connected systems and how their reading fares."`
	Run    feedsRunCommand    `cmd:"" help:"Read a system now."`
	Pause  feedsPauseCommand  `cmd:"" help:"Stop reading a system until it is resumed."`
	Resume feedsGoOnCommand   `cmd:"" help:"Go on reading a system."`
	Create feedsCreateCommand `cmd:"" help:"Connect a system."`
	Update feedsUpdateCommand `cmd:"" help:"Change how a system is connected."`
	Delete feedsDeleteCommand `cmd:"" help:"Disconnect a system."`
	Test   feedsTryCommand    `cmd:"" help:"Ask a system for a few records and show what would come of them, and which asset each would join; nothing is stored."`
}

type feedsListCommand struct{}

// Run lists the feeds.
func (feedsListCommand) Run(s *session) error {
	return fetch(s, "/v1/feeds", nil, s.feeds, "feeds")
}

func (s *session) feeds(all *adminpb.ListFeedsResponse) {
	if len(all.GetFeeds()) == 0 {
		s.note("no system is connected: see rollcall feeds create, or feeds in the collector's configuration")
		return
	}
	t := &table{columns: []column{{"FEED", 10, 0}, {"SYSTEM", 10, 3}, {"STATE", 0, 0}, {"LAST SUCCESS", 0, 0}, {"NEXT", 0, 4}, {"RECORDS", 0, 2}, {"PROBLEMS", 0, 1}, {"ERROR", 20, 1}}}
	for _, f := range all.GetFeeds() {
		t.add(f.GetId(), f.GetTitle(), s.feedState(f), s.ago(f.GetLastSuccess()), s.nextPass(f), recordsOf(f), fmt.Sprint(f.GetPass().GetProblemCount()), or(f.GetError(), withheldBy(f)))
	}
	s.table(t)
}

// withheldBy says why nothing is withdrawn, empty where it is.
func withheldBy(f *adminpb.Feed) string {
	if f.GetWithheld() == "" {
		return ""
	}
	return "nothing is withdrawn: " + f.GetWithheld()
}

// feedState tells how a feed fares, and how far a pass has come.
func (s *session) feedState(f *adminpb.Feed) string {
	p := f.GetPass()
	switch {
	case f.GetRunning() && p.GetTotal() > 0:
		// A list may grow while it is read.
		state := fmt.Sprintf("reading %d%%", min(100*p.GetRecords()/p.GetTotal(), 99))
		if p.GetEnds() != nil {
			state += ", " + distance(max(p.GetEnds().AsTime().Sub(s.world.now()), 0)) + " left"
		}
		return state
	case f.GetRunning():
		return "reading"
	case f.GetPaused():
		return "paused"
	case f.GetFailures() > 0:
		return "failing"
	case f.GetLastSuccess() == nil:
		return "new"
	case f.GetWithheld() != "":
		return "withheld"
	}
	return "ok"
}

// nextPass tells when a feed that waits is read next.
func (s *session) nextPass(f *adminpb.Feed) string {
	switch {
	case f.GetRunning() || f.GetPaused() || f.GetNext() == nil:
		return ""
	case f.GetNext().AsTime().Before(s.world.now()):
		return "now"
	}
	return s.ago(f.GetNext())
}

// recordsOf tells how many records were read, and of how many while a pass is
// under way.
func recordsOf(f *adminpb.Feed) string {
	p := f.GetPass()
	if f.GetRunning() && p.GetTotal() > 0 {
		return fmt.Sprintf("%d of %d", p.GetRecords(), p.GetTotal())
	}
	return fmt.Sprint(p.GetRecords())
}

type feedsRunCommand struct {
	Feed    string `arg:"" complete:"feed" help:"Name of the feed."`
	Full    bool   `help:"Read everything, not only what changed."`
	Absence bool   `name:"accept-absences" help:"Withdraw what is no longer listed, however much it is."`
}

// Run has a feed read.
func (cmd feedsRunCommand) Run(s *session) error {
	return s.tellFeed(cmd.Feed, ":run", map[string]any{"full": cmd.Full, "accept_absences": cmd.Absence})
}

type feedsPauseCommand struct {
	Feed string `arg:"" complete:"feed" help:"Name of the feed."`
}

// Run pauses a feed.
func (cmd feedsPauseCommand) Run(s *session) error {
	return s.tellFeed(cmd.Feed, ":pause", map[string]any{"paused": true})
}

type feedsGoOnCommand struct {
	Feed string `arg:"" complete:"feed" help:"Name of the feed."`
}

// Run lets a feed go on.
func (cmd feedsGoOnCommand) Run(s *session) error {
	return s.tellFeed(cmd.Feed, ":pause", map[string]any{"paused": false})
}

func (s *session) tellFeed(name, verb string, body any) error {
	return s.askFeed(http.MethodPost, feedPath(name)+verb, body)
}

// askFeed asks something that is answered with a feed, and prints how it fares.
func (s *session) askFeed(method, path string, body any) error {
	return send(s, method, path, body, func(f *adminpb.Feed) {
		s.note("%s: %s; `rollcall feeds list` tells how it fares", f.GetId(), s.feedState(f))
	})
}
