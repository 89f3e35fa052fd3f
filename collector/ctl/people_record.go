package main

import (
	"fmt"
	"net/http"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

type peopleExplainCommand struct{ onePerson }

// Run says why the records of a person are about one.
func (cmd peopleExplainCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	raw, err := c.get(s.ctx, cmd.path()+":explain", nil)
	if err != nil {
		return err
	}
	if s.format != formatTable {
		return s.printObject(raw)
	}
	e := new(adminpb.PersonExplanation)
	if err := decode(raw, e); err != nil {
		return err
	}
	for _, line := range e.GetSummary() {
		fmt.Fprintln(s.out, clean(line))
	}
	for _, st := range e.GetStatements() {
		fmt.Fprintf(s.out, "Statement %s: take it back with DELETE /v1/statements/%s.\n", clean(st.GetId()), clean(st.GetId()))
	}
	return nil
}

type peopleHistoryCommand struct {
	onePerson
	Field string `placeholder:"department" help:"Only changes of this field, or of those below it."`
}

// Run tells what happened to the record of a person, the latest first.
func (cmd peopleHistoryCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	query := pageSize(historyPage)
	if cmd.Field != "" {
		query.Set("field", cmd.Field)
	}
	pages := c.pages(s.ctx, cmd.path()+":history", "events", query)
	if s.format != formatTable {
		return s.printList("events", pages)
	}
	t := historyTable()
	err = each(pages, func() *adminpb.PersonEvent { return new(adminpb.PersonEvent) }, func(e *adminpb.PersonEvent) {
		when, by := s.ago(e.GetAt()), causeOf(e.GetSource(), e.GetSourceId(), e.GetBecause())
		for _, c := range e.GetChanges() {
			t.add(when, c.GetField(), text(c.GetOld()), text(c.GetNew()), by)
		}
		if len(e.GetChanges()) == 0 {
			t.add(when, phrase(e.GetKind(), or(e.GetInto(), e.GetFrom())), "", "", by)
		}
	})
	if err != nil {
		return err
	}
	t.write(s.out, s.world.columns)
	return nil
}

type peopleAssertCommand struct {
	onePerson
	Fields []string `arg:"" optional:"" placeholder:"department=Sales" help:"FIELD=VALUE to state it, FIELD= to take it back."`
	Same   []string `name:"same-as" placeholder:"PERSON" help:"Somebody, or a record as SOURCE/ID, who is this same person; may be repeated."`
	Not    []string `name:"not-same-as" placeholder:"PERSON" help:"Somebody who is not."`
}

// Run states what an operator knows of a person.
func (cmd peopleAssertCommand) Run(s *session) error {
	body, err := setCommand{Fields: cmd.Fields, Same: cmd.Same, Not: cmd.Not}.body()
	if err != nil {
		return err
	}
	c, err := s.open()
	if err != nil {
		return err
	}
	raw, err := c.call(s.ctx, http.MethodPost, cmd.path()+":assert", body)
	if err != nil {
		return err
	}
	if s.format != formatTable {
		return s.printObject(raw)
	}
	s.note("noted; `rollcall people explain %s` tells it, and FIELD= takes it back", cmd.Person)
	return nil
}
