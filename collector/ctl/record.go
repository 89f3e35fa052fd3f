package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// historyPage is how many events to ask for at once.
const historyPage = 500

type explainCommand struct {
	Asset string `arg:"" complete:"asset" help:"Id, name or serial number."`
}

// Run says why the records of an asset are one thing.
func (cmd explainCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	id, err := s.find(c, cmd.Asset)
	if err != nil {
		return err
	}
	return fetch(s, assetPath(id)+":explain", nil, func(e *adminpb.AssetExplanation) {
		for _, line := range e.GetSummary() {
			fmt.Fprintln(s.out, clean(line))
		}
	})
}

type historyCommand struct {
	Asset string `arg:"" complete:"asset" help:"Id, name or serial number."`
	Field string `placeholder:"os.version" complete:"field" help:"Only changes of this field, or of those below it; software for software."`
}

// Run tells what happened to an asset, the latest first.
func (cmd historyCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	id, err := s.find(c, cmd.Asset)
	if err != nil {
		return err
	}
	query := pageSize(historyPage)
	if cmd.Field != "" {
		query.Set("field", cmd.Field)
	}
	return printList(s, c.pages(s.ctx, assetPath(id)+":history", "events", query), listing[*adminpb.AssetEvent]{key: "events", columns: historyColumns(), row: s.happened})
}

// happened adds what an event changed.
func (s *session) happened(t *table, e *adminpb.AssetEvent) {
	when, by := s.ago(e.GetAt()), causeOf(e.GetSource(), e.GetSourceId(), e.GetBecause())
	for _, c := range e.GetChanges() {
		t.add(when, c.GetField(), text(c.GetOld()), text(c.GetNew()), by)
	}
	for _, p := range e.GetSoftware() {
		t.add(when, p.GetKind()+" "+p.GetName(), p.GetOldVersion(), p.GetVersion(), by)
	}
	if len(e.GetChanges())+len(e.GetSoftware()) == 0 {
		t.add(when, phrase(e.GetKind(), or(e.GetInto(), e.GetFrom())), "", "", by)
	}
}

func historyColumns() []column {
	return []column{{"WHEN", 0, 0}, {"WHAT", 20, 0}, {"FROM", 12, 1}, {"TO", 12, 1}, {"BY", 10, 2}}
}

// causeOf is who or what brought an event about: an operator by their own name.
func causeOf(source, sourceID, because string) string {
	if source == "operator" {
		return sourceID
	}
	return or(source, because)
}

// text is a value as people read it.
func text(v *structpb.Value) string {
	switch k := v.GetKind().(type) {
	case nil, *structpb.Value_NullValue:
		return ""
	case *structpb.Value_StringValue:
		return k.StringValue
	case *structpb.Value_StructValue:
		var pairs []string
		for name, below := range k.StructValue.GetFields() {
			pairs = append(pairs, name+"="+text(below))
		}
		slices.Sort(pairs)
		return strings.Join(pairs, " ")
	case *structpb.Value_ListValue:
		return fmt.Sprintf("%d items", len(k.ListValue.GetValues()))
	}
	return fmt.Sprint(v.AsInterface())
}

type setCommand struct {
	Asset  string   `arg:"" complete:"asset" help:"Id, name or serial number."`
	Fields []string `arg:"" optional:"" placeholder:"owner.email=ann@example.com" complete:"set" help:"FIELD=VALUE to state it, FIELD= to take it back."`
	Same   []string `name:"same-as" placeholder:"ASSET" complete:"asset" help:"An asset, or a record as SOURCE/ID, that is this same thing; may be repeated."`
	Not    []string `name:"not-same-as" placeholder:"ASSET" complete:"asset" help:"One that is not."`
}

// Run states what an operator knows of an asset.
func (cmd setCommand) Run(s *session) error {
	body, err := cmd.body()
	if err != nil {
		return err
	}
	c, err := s.open()
	if err != nil {
		return err
	}
	id, err := s.find(c, cmd.Asset)
	if err != nil {
		return err
	}
	return send(s, http.MethodPost, assetPath(id)+":assert", body, func(*pb.Asset) {
		s.note("noted; `rollcall history %s` tells it, and FIELD= takes it back", cmd.Asset)
	})
}

func (cmd setCommand) body() (map[string]any, error) {
	set := make(map[string]any)
	var back []string
	for _, f := range cmd.Fields {
		path, value, ok := strings.Cut(f, "=")
		switch {
		case !ok || path == "":
			return nil, fail(exitUsage, "%q: want FIELD=VALUE, such as owner.email=ann@example.com or stage=in_repair", f)
		case value == "":
			back = append(back, path)
		default:
			put(set, strings.Split(path, "."), value)
		}
	}
	body := map[string]any{"clear": back, "same_as": cmd.Same, "not_same_as": cmd.Not}
	if len(set) > 0 {
		body["set"] = set
	}
	return body, nil
}

// put sets a value below groups.
func put(in map[string]any, path []string, value string) {
	for _, name := range path[:len(path)-1] {
		below, ok := in[name].(map[string]any)
		if !ok {
			below = make(map[string]any)
			in[name] = below
		}
		in = below
	}
	in[path[len(path)-1]] = value
}
