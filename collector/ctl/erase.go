package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

type peopleEraseCommand struct {
	onePerson
	Reason string   `placeholder:"TEXT" help:"Why, such as the number of the request; it is kept, so it must not name the person."`
	Also   []string `sep:"none" placeholder:"NAME" help:"A further name, address or account that the person had; may be repeated."`
	Yes    bool     `help:"Erase; without it, only what would go is shown."`
}

// Run shows what would be erased, and erases it.
func (cmd peopleEraseCommand) Run(s *session) error {
	if cmd.Yes && cmd.Reason == "" {
		return fail(exitUsage, "say why with --reason, such as the number of the request")
	}
	request := map[string]any{"reason": cmd.Reason, "also": cmd.Also, "dry_run": !cmd.Yes}
	return send(s, http.MethodPost, cmd.path()+":erase", request, func(e *adminpb.Erasure) { cmd.tell(s, e) })
}

func (cmd peopleEraseCommand) tell(s *session, e *adminpb.Erasure) {
	sh := new(sheet)
	sh.row("State", e.GetState())
	sh.row("ID", e.GetId())
	for _, kind := range slices.Sorted(maps.Keys(e.GetCounts())) {
		sh.row(kind, fmt.Sprint(e.GetCounts()[kind]))
	}
	sh.row("Assets", list(e.GetAssets()...))
	for _, what := range e.GetKept() {
		sh.row("Stays", what)
	}
	s.sheet(sh)
	if !cmd.Yes {
		s.note("nothing is erased yet: repeat the command with --reason and --yes. It cannot be undone; backups made before still hold the person")
	}
}

type peopleErasuresCommand struct{}

// Run lists the erasures.
func (peopleErasuresCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	return printList(s, c.pages(s.ctx, "/v1/erasures", "erasures", pageSize(listPage)), listing[*adminpb.Erasure]{key: "erasures",
		columns: []column{{"ID", 36, 0}, {"WHEN", 0, 0}, {"STATE", 0, 1}, {"BY", 10, 2}, {"REFUSED", 0, 1}, {"REASON", 16, 0}},
		row: func(t *table, e *adminpb.Erasure) {
			t.add(e.GetId(), s.ago(e.GetAt()), e.GetState(), e.GetBy(), fmt.Sprint(e.GetRefused()), e.GetReason())
		}})
}

type peopleReadmitCommand struct {
	Erasure string `arg:"" complete:"erasure" help:"Id of the erasure, as rollcall people erasures lists it."`
}

// Run deletes an erasure.
func (cmd peopleReadmitCommand) Run(s *session) error {
	if strings.ContainsAny(cmd.Erasure, "/?#") {
		return fmt.Errorf("%q is no id of an erasure: list them with rollcall people erasures", cmd.Erasure)
	}
	return s.change(http.MethodDelete, "/v1/erasures/"+cmd.Erasure, nil, "the person is taken in again once a source states them; what was erased does not come back")
}
