package mcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// tools are what assistants may use.
type tools struct {
	server *sdk.Server
	calls  adminpb.AdminServiceClient
	log    *slog.Logger
}

// about is how a tool presents itself.
type about struct {
	name, title, text string
	// ours says that the answer holds nothing that others wrote.
	ours bool
}

// addAll adds every tool there is.
func (t *tools) addAll() error {
	return errors.Join(
		add(t, searchAssets, t.searchAssets), add(t, getAsset, t.getAsset), add(t, assetSoftware, t.assetSoftware),
		add(t, explainAsset, t.explainAsset), add(t, assetHistory, t.assetHistory), add(t, personContext, t.personContext),
		add(t, listFindings, t.listFindings), add(t, searchSoftware, t.searchSoftware), add(t, softwareAssets, t.softwareAssets),
		add(t, groupAssets, t.groupAssets), add(t, fleetSummary, t.fleetSummary), add(t, assetFields, t.assetFields),
	)
}

// choices are the values that arguments may have, by their names, where there are
// few.
var choices = map[string][]any{
	"severity": {"critical", "high", "medium", "low", "info"},
	"state":    {"open", "acknowledged", "waived", "resolved"},
}

// Bounds of limit, which is the number of items that a tool shows at most.
const (
	defaultLimit = 20
	maxLimit     = 50
	maxGroups    = 200
	maxFields    = 60
)

// add adds a tool with arguments In.
func add[In any](t *tools, a about, ask func(context.Context, In) (map[string]any, error)) error {
	schema, err := jsonschema.For[In](nil)
	if err != nil {
		return fmt.Errorf("describe the arguments of %s: %w", a.name, err)
	}
	for name, p := range schema.Properties {
		p.Enum = choices[name]
		switch p.Type {
		case "string":
			p.MaxLength = new(4096)
		case "integer":
			p.Minimum = new(1.0)
		}
	}
	no := false
	tool := &sdk.Tool{Name: a.name, Title: a.title, Description: a.text, InputSchema: schema,
		Annotations: &sdk.ToolAnnotations{Title: a.title, ReadOnlyHint: true, IdempotentHint: true, DestructiveHint: &no, OpenWorldHint: &no}}
	sdk.AddTool(t.server, tool, func(ctx context.Context, _ *sdk.CallToolRequest, in In) (_ *sdk.CallToolResult, out map[string]any, err error) {
		defer func() {
			if r := recover(); r != nil {
				t.log.Error("tool panicked", "tool", a.name, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
				out, err = nil, errors.New("internal error; the collector's log has the details")
			}
		}()
		if out, err = ask(ctx, in); err != nil {
			return nil, nil, explained(err)
		}
		if out, err = fit(out); err == nil && !a.ours {
			out = map[string]any{"untrusted_data": out}
		}
		return nil, out, err
	})
	return nil
}

// limited returns how many items to ask for.
func limited(asked int, otherwise, most int32) (int32, error) {
	switch {
	case asked == 0:
		return otherwise, nil
	case asked < 1 || asked > int(most):
		return 0, fmt.Errorf("limit is %d: ask for 1 to %d, and for more with next_page_token", asked, most)
	}
	return int32(asked), nil
}

// moment reads a time; an empty text is none.
func moment(name, text string) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(form, text); err == nil {
			return timestamppb.New(at), nil
		}
	}
	return nil, fmt.Errorf("%s is %.40q: write a time as 2026-11-25T10:00:00Z, or a day as 2026-11-25", name, text)
}

// masked makes a list of fields one text, or takes others where there is none.
func masked(fields []string, otherwise string) (string, error) {
	if len(fields) > maxFields {
		return "", fmt.Errorf("fields names %d fields: ask for %d at most", len(fields), maxFields)
	}
	for i, f := range fields {
		// A filter has asset.name where a list of fields has name.
		fields[i] = strings.TrimPrefix(strings.TrimSpace(f), "asset.")
	}
	if len(fields) == 0 {
		return otherwise, nil
	}
	return strings.Join(fields, ","), nil
}
