package main

import (
	"fmt"
	"net/http"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

type peopleExplainCommand struct{ onePerson }

// Run says why the records of a person are about one.
func (cmd peopleExplainCommand) Run(s *session) error {
	return fetch(s, cmd.path()+":explain", nil, func(e *adminpb.PersonExplanation) {
		for _, line := range e.GetSummary() {
			fmt.Fprintln(s.out, clean(line))
		}
		for _, st := range e.GetStatements() {
			fmt.Fprintf(s.out, "Statement %s: take it back with DELETE /v1/statements/%s.\n", clean(st.GetId()), clean(st.GetId()))
		}
	})
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
	return printList(s, c.pages(s.ctx, cmd.path()+":history", "events", query), listing[*adminpb.PersonEvent]{key: "events", columns: historyColumns(),
		row: func(t *table, e *adminpb.PersonEvent) {
			when, by := s.ago(e.GetAt()), causeOf(e.GetSource(), e.GetSourceId(), e.GetBecause())
			for _, c := range e.GetChanges() {
				t.add(when, c.GetField(), text(c.GetOld()), text(c.GetNew()), by)
			}
			if len(e.GetChanges()) == 0 {
				t.add(when, phrase(e.GetKind(), or(e.GetInto(), e.GetFrom())), "", "", by)
			}
		}})
}

type peopleAssertCommand struct {
	onePerson
	Fields []string `arg:"" optional:"" placeholder:"department=Sales" help:"FIELD=VALUE to state it, FIELD= to take it back."`
	Same   []string `name:"same-as" placeholder:"PERSON" complete:"person" help:"Somebody, or a record as SOURCE/ID, who is this same person; may be repeated."`
	Not    []string `name:"not-same-as" placeholder:"PERSON" complete:"person" help:"Somebody who is not."`
}

// Run states what an operator knows of a person.
func (cmd peopleAssertCommand) Run(s *session) error {
	body, err := setCommand{Fields: cmd.Fields, Same: cmd.Same, Not: cmd.Not}.body()
	if err != nil {
		return err
	}
	return send(s, http.MethodPost, cmd.path()+":assert", body, func(*adminpb.Person) {
		s.note("noted; `rollcall people explain %s` tells it, and FIELD= takes it back", cmd.Person)
	})
}
