package main

import (
	"fmt"
	"strings"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

type findingsCommand struct {
	Asset    string `arg:"" optional:"" help:"Only of this asset: id, name or serial number."`
	Rule     string `placeholder:"ID" help:"Only of this rule."`
	Severity string `placeholder:"high" help:"Only of this severity: critical, high, medium, low or info."`
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
	for name, value := range map[string]string{"rule": cmd.Rule, "severity": cmd.Severity} {
		if value != "" {
			query.Set(name, value)
		}
	}
	pages := c.pages(s.ctx, "/v1/findings", "findings", query)
	if s.format != formatTable {
		return s.printList("findings", pages)
	}
	t := &table{columns: []column{{"ASSET", 12, 0}, {"SEVERITY", 0, 1}, {"RULE", 12, 0}, {"TITLE", 20, 3}, {"SINCE", 0, 1}, {"DETAIL", 16, 2}}}
	err = each(pages, func() *pb.Finding { return new(pb.Finding) }, func(f *pb.Finding) {
		t.add(f.GetAssetName(), f.GetSeverity(), f.GetRule(), f.GetTitle(), s.ago(f.GetOpenedAt()), strings.Join(f.GetDetail(), ", "))
	})
	if err != nil {
		return err
	}
	if len(t.rows) == 0 {
		s.note("nothing is open")
		return nil
	}
	t.write(s.out, s.world.columns)
	return nil
}

type rulesCommand struct{}

// Run lists the rules with how many assets each says what of.
func (rulesCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	raw, err := c.get(s.ctx, "/v1/rules", nil)
	if err != nil {
		return err
	}
	if s.format != formatTable {
		return s.printObject(raw)
	}
	all := new(pb.ListRulesResponse)
	if err := decode(raw, all); err != nil {
		return err
	}
	t := &table{columns: []column{{"RULE", 12, 0}, {"SEVERITY", 0, 1}, {"TITLE", 20, 2}, {"PASS", 0, 0}, {"FAIL", 0, 0}, {"UNKNOWN", 0, 0}}}
	for _, r := range all.GetRules() {
		if r.GetEnabled() {
			t.add(r.GetId(), r.GetSeverity(), r.GetTitle(), fmt.Sprint(r.GetPass()), fmt.Sprint(r.GetFail()), fmt.Sprint(r.GetUnknown()))
		}
	}
	t.write(s.out, s.world.columns)
	return nil
}
