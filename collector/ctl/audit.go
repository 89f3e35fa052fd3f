package main

import (
	"fmt"
	"time"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

type auditCommands struct {
	List   auditListCommand   `cmd:"" default:"withargs" help:"List the entries, the latest first."`
	Verify auditVerifyCommand `cmd:"" help:"Check the whole log; the hash that is printed, noted elsewhere, proves later that nothing before it was changed."`
}

type auditListCommand struct {
	Actor  string        `placeholder:"ACTOR" help:"Only of this actor, as in token:4f2k7q3m."`
	Action string        `placeholder:"ACTION" help:"Only this action, or those that begin with it: token, asset.assert, signin."`
	Last   time.Duration `placeholder:"24h" help:"Only of the last hours."`
	Limit  int           `default:"200" help:"The most entries to list; 0 for all."`
}

// Run lists what was done.
func (cmd auditListCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	query := pageSize(listPage)
	if cmd.Actor != "" {
		query.Set("actor", cmd.Actor)
	}
	if cmd.Action != "" {
		query.Set("action", cmd.Action)
	}
	if cmd.Last > 0 {
		query.Set("since", s.world.now().Add(-cmd.Last).UTC().Format(time.RFC3339))
	}
	pages := upTo(c.pages(s.ctx, "/v1/audit", "entries", query), cmd.Limit)
	return printList(s, pages, listing[*adminpb.AuditEntry]{key: "entries",
		columns: []column{{"#", 0, 3}, {"WHEN", 0, 0}, {"WHO", 12, 0}, {"WHAT", 12, 0}, {"ON", 12, 1}, {"DETAIL", 20, 2}},
		row: func(t *table, e *adminpb.AuditEntry) {
			t.add(fmt.Sprint(e.GetSequence()), s.ago(e.GetAt()), e.GetActor(), e.GetAction(), e.GetTarget(), e.GetDetail())
		}})
}

type auditVerifyCommand struct{}

// Run has the collector check its log.
func (auditVerifyCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	raw, err := c.get(s.ctx, "/v1/audit:verify", nil)
	if err != nil {
		return err
	}
	found := new(adminpb.VerifyAuditResponse)
	if err := decode(raw, found); err != nil {
		return err
	}
	err = printAnswer(s, raw, func(*adminpb.VerifyAuditResponse) {
		if found.GetFault() == "" {
			fmt.Fprintf(s.out, "the audit log is whole: %d entries, the last has the hash %s\n", found.GetEntries(), found.GetHash())
		}
	})
	if err == nil && found.GetFault() != "" {
		return fail(exitError, "%s", found.GetFault())
	}
	return err
}
