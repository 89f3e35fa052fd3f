package api

import (
	"bytes"
	_ "embed" // for the page
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
)

//go:embed docs.html
var docsPage string

// The description of the API, as far as the page shows it.
type (
	described struct {
		Info       struct{ Title, Version, Description string }
		Paths      map[string]map[string]describedCall
		Components struct{ Schemas map[string]describedSchema }
	}
	describedCall struct {
		Method, Path, Summary, Description string
		OperationID                        string `json:"operationId"`
		Parameters                         []struct {
			Name, In, Description string
			Required              bool
			Schema                describedSchema
		}
		RequestBody struct{ Content map[string]describedContent } `json:"requestBody"`
		Responses   map[string]struct{ Content map[string]describedContent }
	}
	describedContent struct{ Schema describedSchema }
	describedSchema  struct {
		Ref                              string `json:"$ref"`
		Type, Format, Title, Description string
		Properties                       map[string]describedSchema
		Items, AdditionalProperties      *describedSchema
		AllOf                            []describedSchema `json:"allOf"`
	}
)

// UnmarshalJSON reads a schema, which may be a mere yes or no.
func (s *describedSchema) UnmarshalJSON(b []byte) error {
	if string(b) == "true" || string(b) == "false" {
		return nil
	}
	type plain describedSchema
	return json.Unmarshal(b, (*plain)(s))
}

// Says tells the type of a value as people read it, and which schema has more
// of it.
func (s describedSchema) Says() string {
	switch {
	case s.Ref != "":
		return s.Links()
	case len(s.AllOf) > 0:
		return s.AllOf[0].Says()
	case s.Type == "array" && s.Items != nil:
		return "list of " + s.Items.Says()
	case s.AdditionalProperties != nil && s.Type == "object":
		return "map of " + s.AdditionalProperties.Says()
	case s.Format != "":
		return s.Format
	}
	return s.Type
}

// Links returns the name of the schema that a value leads to, empty for none.
func (s describedSchema) Links() string {
	switch {
	case s.Ref != "":
		return s.Ref[strings.LastIndex(s.Ref, "/")+1:]
	case len(s.AllOf) > 0:
		return s.AllOf[0].Links()
	case s.Items != nil:
		return s.Items.Links()
	case s.AdditionalProperties != nil:
		return s.AdditionalProperties.Links()
	}
	return ""
}

// renderDocs makes the description of the API a page that needs no script and
// nothing from elsewhere.
func renderDocs(openAPI []byte) ([]byte, error) {
	var d described
	if err := json.Unmarshal(openAPI, &d); err != nil {
		return nil, fmt.Errorf("read the description of the API: %w", err)
	}
	var calls []describedCall
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[path])) {
			c := d.Paths[path][method]
			c.Method, c.Path = strings.ToUpper(method), path
			calls = append(calls, c)
		}
	}
	t, err := template.New("docs").Parse(docsPage)
	if err != nil {
		return nil, fmt.Errorf("read the page of the API: %w", err)
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{"Info": d.Info, "Calls": calls, "Schemas": d.Components.Schemas})
	if err != nil {
		return nil, fmt.Errorf("make the page of the API: %w", err)
	}
	return b.Bytes(), nil
}
