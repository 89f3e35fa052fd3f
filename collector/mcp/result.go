package mcp

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Bounds of a result, so that it leaves room in what a model can keep in mind.
const (
	// maxResult is the most bytes of JSON.
	maxResult = 40_000
	// maxText is the most bytes of one text among them.
	maxText = 1_500
)

// jsonText writes JSON as the API has it.
var jsonText = protojson.MarshalOptions{UseProtoNames: true}

// tree is an answer as JSON: objects, lists and values.
func tree(m proto.Message) (map[string]any, error) {
	b, err := jsonText.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write the answer as JSON: %w", err)
	}
	out := make(map[string]any)
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, fmt.Errorf("write the answer as JSON: %w", err)
	}
	// None are found is another answer than that nothing is said.
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		name := string(fields.Get(i).Name())
		switch _, has := out[name]; {
		case has:
		case name == "total_size":
			out[name] = 0
		case fields.Get(i).IsList() && (fields.ByName("next_page_token") != nil || fields.ByName("total_size") != nil):
			out[name] = []any{}
		}
	}
	clean(out)
	return out, nil
}

// clean makes what devices and people wrote plain to see: characters that a
// person does not see and a model reads are replaced, and long texts cut.
func clean(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			// Keys are names of fields, and of labels and other maps.
			if shown := plain(key); shown != key {
				delete(v, key)
				key = shown
			}
			v[key] = clean(value)
		}
	case []any:
		for i := range v {
			v[i] = clean(v[i])
		}
	case string:
		return plain(v)
	}
	return v
}

func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		// Joiners are part of how names are written in several scripts.
		if unicode.IsGraphic(r) || r == '\n' || r == '\t' || r == '\u200c' || r == '\u200d' {
			return r
		}
		return unicode.ReplacementChar
	}, s)
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + fmt.Sprintf("... (%d bytes more)", len(s)-maxText)
}

// size is how long something is as JSON.
func size(v any) int {
	b, err := json.Marshal(v)
	if err != nil {
		return maxResult + 1
	}
	return len(b)
}

// fit cuts the longest lists of an answer until it is short enough, and says
// under left_out how much of which is missing.
func fit(out map[string]any) (map[string]any, error) {
	left := make(map[string]any)
	for size(out) > maxResult {
		var longest list
		lists(out, "", &longest)
		if longest.set == nil {
			return nil, fmt.Errorf("the answer is longer than the %d bytes that a tool may return: ask for less of it, with fields where the tool has that", maxResult)
		}
		keep := len(longest.items) / 2
		before, _ := left[longest.path].(int)
		left[longest.path] = before + len(longest.items) - keep
		longest.set(longest.items[:keep])
	}
	if len(left) > 0 {
		out["left_out"] = left
	}
	return out, nil
}

// list is a list inside of an answer.
type list struct {
	path  string
	bytes int
	items []any
	set   func([]any)
}

// lists finds the longest list that has anything in it.
func lists(v any, path string, longest *list) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			at := strings.TrimPrefix(path+"."+key, ".")
			if items, ok := value.([]any); ok && len(items) > 0 {
				if n := size(items); n > longest.bytes || n == longest.bytes && at < longest.path {
					*longest = list{path: at, bytes: n, items: items, set: func(some []any) { v[key] = some }}
				}
			}
			lists(value, at, longest)
		}
	case []any:
		for _, item := range v {
			lists(item, path+"[]", longest)
		}
	}
}

// pages asks for a page of a list, and for shorter ones until one fits: so its
// next_page_token goes on right after what is shown.
func pages[R proto.Message](limit int32, ask func(limit int32) (R, error)) (map[string]any, error) {
	for {
		r, err := ask(limit)
		if err != nil {
			return nil, err
		}
		out, err := tree(r)
		if err != nil || limit == 1 || size(out) <= maxResult {
			return out, err
		}
		limit = max(1, min(limit/2, limit*maxResult/int32(size(out))))
	}
}

// explained tells a model what is wrong with its call, and what to do.
func explained(err error) error {
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	text := st.Message()
	for _, d := range st.Details() {
		if retry, ok := d.(*errdetails.RetryInfo); ok {
			text += fmt.Sprintf("; try again after %s", retry.GetRetryDelay().AsDuration())
		}
	}
	switch st.Code() {
	case codes.NotFound:
		text += " (tools that find ids: search_assets, search_software, list_findings)"
	case codes.InvalidArgument:
		text += " (the tool asset_fields lists the fields)"
	}
	return errors.New(plain(text))
}
