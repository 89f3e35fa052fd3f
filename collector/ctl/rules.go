package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// maxRuleFile bounds a file of rules that is sent, below what a request may have.
const maxRuleFile = 900 << 10

type rulesCommands struct {
	List   rulesListCommand   `cmd:"" default:"withargs" help:"List the rules that assets are judged by."`
	Try    rulesTryCommand    `cmd:"" help:"Tell what rules of a file would say of the fleet; nothing is changed."`
	Put    rulesPutCommand    `cmd:"" help:"Have a rule of a file hold from now on."`
	Delete rulesDeleteCommand `cmd:"" help:"End a rule that was put."`
}

type rulesListCommand struct{}

// Run lists the rules with how many assets each says what of.
func (rulesListCommand) Run(s *session) error {
	return fetch(s, "/v1/rules", nil, s.rules, "rules")
}

func (s *session) rules(all *adminpb.ListRulesResponse) {
	t := &table{columns: []column{{"RULE", 12, 0}, {"SEVERITY", 0, 1}, {"TITLE", 20, 2}, {"PASS", 0, 0}, {"FAIL", 0, 0}, {"UNKNOWN", 0, 0}, {"FROM", 0, 3}}}
	for _, r := range all.GetRules() {
		if r.GetEnabled() {
			t.add(r.GetId(), r.GetSeverity(), r.GetTitle(), fmt.Sprint(r.GetPass()), fmt.Sprint(r.GetFail()), fmt.Sprint(r.GetUnknown()), r.GetOrigin())
		}
	}
	s.table(t)
}

type rulesTryCommand struct {
	File string `arg:"" complete:"file" help:"File of rules; - reads standard input."`
}

// Run tries rules on the fleet. It fails where they have mistakes.
func (cmd rulesTryCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	content, err := ruleFile(s, cmd.File)
	if err != nil {
		return err
	}
	raw, err := c.call(s.ctx, http.MethodPost, "/v1/rules:try", map[string]string{"content": content})
	if err != nil {
		return err
	}
	tried := new(adminpb.TryRulesResponse)
	if err := decode(raw, tried); err != nil {
		return err
	}
	rows := "rules"
	if len(tried.GetProblems()) > 0 {
		rows = "problems"
	}
	if err := printAnswer(s, raw, func(*adminpb.TryRulesResponse) { cmd.tell(s, tried) }, rows); err != nil {
		return err
	}
	if n := len(tried.GetProblems()); n > 0 {
		return fail(exitError, "%d mistakes in %s: nothing was tried", n, cmd.File)
	}
	return nil
}

func (cmd rulesTryCommand) tell(s *session, tried *adminpb.TryRulesResponse) {
	for _, p := range tried.GetProblems() {
		message := p.GetMessage()
		if p.GetRule() != "" {
			message = "rule " + p.GetRule() + ": " + message
		}
		fmt.Fprintln(s.out, clean(fmt.Sprintf("%s:%d:%d: %s", cmd.File, p.GetLine(), p.GetColumn(), message)))
	}
	for _, r := range tried.GetRules() {
		fmt.Fprintln(s.out, clean(fmt.Sprintf("%s: would fail %d assets, %d unknown, %d pass, of %d", r.GetId(), r.GetFail(), r.GetUnknown(), r.GetPass(), tried.GetAssets())))
		for _, f := range r.GetFailing() {
			fmt.Fprintln(s.out, clean(fmt.Sprintf("  %s %v", f.GetAssetName(), f.GetDetail())))
		}
	}
}

// ruleFile reads a file of rules.
func ruleFile(s *session, name string) (string, error) {
	in := s.world.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", fail(exitUsage, "read the rules: %s", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxRuleFile+1))
	if err != nil {
		return "", fmt.Errorf("read the rules: %w", err)
	}
	if len(b) > maxRuleFile {
		return "", fail(exitUsage, "%s has more than %d KiB: send less at a time, or put the file into rules_dir of the collector", name, maxRuleFile>>10)
	}
	return string(b), nil
}

type rulesPutCommand struct {
	Rule string `arg:"" complete:"rule" help:"Id of the rule."`
	File string `arg:"" complete:"file" help:"File of rules with that rule only; - reads standard input."`
}

// Run has a rule hold.
func (cmd rulesPutCommand) Run(s *session) error {
	content, err := ruleFile(s, cmd.File)
	if err != nil {
		return err
	}
	return s.change(http.MethodPut, "/v1/rules/"+url.PathEscape(cmd.Rule), map[string]string{"content": content},
		"rule "+cmd.Rule+" holds; `rollcall findings --rule "+cmd.Rule+"` tells what fails it")
}

type rulesDeleteCommand struct {
	Rule string `arg:"" complete:"rule" help:"Id of the rule."`
}

// Run ends a rule.
func (cmd rulesDeleteCommand) Run(s *session) error {
	return s.change(http.MethodDelete, "/v1/rules/"+url.PathEscape(cmd.Rule), nil, "rule "+cmd.Rule+" holds no longer")
}
