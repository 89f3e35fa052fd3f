package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

type findingsCommands struct {
	List        findingsCommand            `cmd:"" default:"withargs" help:"List the rules that assets fail."`
	Count       findingsCountCommand       `cmd:"" help:"Count findings by rule, severity, state, or a field of the asset."`
	Waive       findingsWaiveCommand       `cmd:"" help:"Accept that an asset fails a rule, until a day and for a reason."`
	Acknowledge findingsAcknowledgeCommand `cmd:"" help:"Say that somebody looks after a finding."`
	Reopen      findingsReopenCommand      `cmd:"" help:"Take back that a finding was waived or acknowledged."`
}

type findingsCommand struct {
	Asset      string `arg:"" optional:"" complete:"asset" help:"Only of this asset: id, name or serial number."`
	Rule       string `placeholder:"ID" complete:"rule" help:"Only of this rule."`
	Severity   string `placeholder:"high" values:"critical,high,medium,low,info" help:"Only of this severity: critical, high, medium, low or info."`
	State      string `placeholder:"waived" values:"open,acknowledged,waived,resolved" help:"Only of this state: open, acknowledged, waived or resolved. Without it, all but resolved."`
	Owner      string `placeholder:"E-MAIL" complete:"person" help:"Only of assets of this owner."`
	Department string `placeholder:"NAME" help:"Only of assets of this department."`
	Filter     string `placeholder:"CEL" complete:"findings-filter" help:"Condition on finding and asset, as in 'finding.severity == \"high\" && asset.labels.site == \"berlin\"'."`
	OrderBy    string `placeholder:"FIELD" complete:"findings-order" help:"Field of the finding or of the asset to sort by, as in severity or asset.name; \"opened_at desc\" is the latest first."`
}

// Run lists the rules that assets fail.
func (cmd findingsCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	query := pageSize(listPage)
	if cmd.Asset != "" {
		id, err := s.find(c, cmd.Asset)
		if err != nil {
			return err
		}
		query.Set("asset", id)
	}
	for name, value := range map[string]string{"rule": cmd.Rule, "severity": cmd.Severity, "state": cmd.State, "owner": cmd.Owner, "department": cmd.Department, "filter": cmd.Filter, "order_by": cmd.OrderBy} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return printList(s, c.pages(s.ctx, "/v1/findings", "findings", query), listing[*adminpb.Finding]{key: "findings",
		columns: []column{{"ASSET", 12, 0}, {"SEVERITY", 0, 1}, {"RULE", 12, 0}, {"TITLE", 20, 3}, {"SINCE", 0, 1}, {"STATE", 0, 1}, {"DETAIL", 16, 2}},
		row: func(t *table, f *adminpb.Finding) {
			t.add(f.GetAssetName(), f.GetSeverity(), f.GetRule(), f.GetTitle(), s.ago(f.GetOpenedAt()), findingState(f), strings.Join(f.GetDetail(), ", "))
		},
		none: s.nothing("nothing is open")})
}

func findingState(f *adminpb.Finding) string {
	if until := f.GetWaivedUntil(); until != nil {
		return "waived until " + until.AsTime().Format(time.DateOnly)
	}
	return f.GetState()
}

type findingsCountCommand struct {
	By       string `arg:"" complete:"findings-by" help:"rule, severity, state, or a field of the asset such as owner.department or labels.site."`
	Rule     string `placeholder:"ID" complete:"rule" help:"Only of this rule."`
	Severity string `placeholder:"high" values:"critical,high,medium,low,info" help:"Only of this severity."`
	State    string `placeholder:"open" values:"open,acknowledged,waived,resolved" help:"Only of this state: open, acknowledged or waived."`
	Filter   string `placeholder:"CEL" complete:"findings-filter" help:"Condition on finding and asset, as for findings list."`
	Limit    int    `default:"100" help:"The most groups to show."`
}

// Run counts findings.
func (cmd findingsCountCommand) Run(s *session) error {
	query := url.Values{"by": {cmd.By}, "rule": {cmd.Rule}, "severity": {cmd.Severity}, "state": {cmd.State}, "filter": {cmd.Filter}, "limit": {strconv.Itoa(cmd.Limit)}}
	return fetch(s, "/v1/findings:group", query, func(all *adminpb.GroupFindingsResponse) { cmd.tell(s, all) }, "groups")
}

func (cmd findingsCountCommand) tell(s *session, all *adminpb.GroupFindingsResponse) {
	t := &table{columns: []column{{strings.ToUpper(cmd.By), 12, 0}, {"FINDINGS", 0, 0}, {"WAIVED", 0, 0}, {"ASSETS", 0, 0}}}
	for _, g := range all.GetGroups() {
		t.add(g.GetValue(), fmt.Sprint(g.GetCount()), fmt.Sprint(g.GetWaived()), fmt.Sprint(g.GetAssets()))
	}
	s.table(t)
	if all.GetOtherSize() > 0 {
		s.note("%d findings more are in %d groups that are not shown: see --limit", all.GetOtherSize(), int(all.GetTotalGroups())-len(all.GetGroups()))
	}
}

// oneFinding names a finding.
type oneFinding struct {
	Asset string `arg:"" complete:"asset" help:"Id, name or serial number."`
	Rule  string `arg:"" complete:"rule" help:"Id of the rule, as the list has it."`
}

// decide has something hold on a finding.
func (f oneFinding) decide(s *session, verb string, body any) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	id, err := s.find(c, f.Asset)
	if err != nil {
		return err
	}
	return send(s, http.MethodPost, "/v1/findings/"+url.PathEscape(id+"."+f.Rule)+":"+verb, body, func(told *adminpb.Finding) {
		s.note("%s of %s is %s", told.GetRule(), told.GetAssetName(), findingState(told))
	})
}

type findingsWaiveCommand struct {
	oneFinding
	Until  string `required:"" placeholder:"2027-03-31" help:"The first day on which it counts again, or a time with its zone; 90d is in ninety days."`
	Reason string `required:"" help:"Why it is accepted."`
}

// Run waives a finding.
func (cmd findingsWaiveCommand) Run(s *session) error {
	until, err := moment(cmd.Until, s.world.now())
	if err != nil {
		return err
	}
	return cmd.decide(s, "waive", map[string]string{"until": until.Format(time.RFC3339), "reason": cmd.Reason})
}

// moment reads a day, a time, or a time from now.
func moment(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	var l lifetime
	if err := l.UnmarshalText([]byte(text)); err == nil {
		return now.Add(time.Duration(l)).UTC(), nil
	}
	return time.Time{}, fail(exitUsage, "%q is no time: write it like 2027-03-31, 2027-03-31T17:00:00Z or 90d", text)
}

type findingsAcknowledgeCommand struct {
	oneFinding
	Reason string `help:"Who looks after it, a ticket."`
}

// Run acknowledges a finding.
func (cmd findingsAcknowledgeCommand) Run(s *session) error {
	return cmd.decide(s, "acknowledge", map[string]string{"reason": cmd.Reason})
}

type findingsReopenCommand struct{ oneFinding }

// Run takes a decision back.
func (cmd findingsReopenCommand) Run(s *session) error {
	return cmd.decide(s, "reopen", map[string]string{})
}
