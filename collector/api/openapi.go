package api

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rollcall-itam/rollcall/pkg/buildinfo"
)

// object is a piece of JSON whose keys are of a description of the API.
type object = map[string]any

// openAPI3 returns the description of the API as OpenAPI 3, made of that in
// version 2 which the generator of the gateway writes.
func openAPI3(swagger []byte) ([]byte, error) {
	var two object
	if err := json.Unmarshal(swagger, &two); err != nil {
		return nil, fmt.Errorf("read the description of the API: %w", err)
	}
	relink(two)
	paths, _ := two["paths"].(object)
	for _, path := range paths {
		for _, operation := range path.(object) {
			modernise(operation.(object))
		}
	}
	paths[pushPath] = object{"post": push3}
	three := object{
		"openapi": "3.0.3",
		"info": object{"title": "Rollcall", "version": buildinfo.Version(),
			"description": "Which devices, software and people there are, and what is known of them. Errors are google.rpc.Status, with a message that says what to do."},
		"servers":  []any{object{"url": "/"}},
		"security": []any{object{"token": []any{}}},
		"tags":     []any{object{"name": tagOf}},
		"paths":    paths,
		"components": object{
			"schemas":         two["definitions"],
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "description": "An API token, rca_..., as `rollcall token create` makes."}},
		},
	}
	b, err := json.MarshalIndent(three, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the description of the API: %w", err)
	}
	return b, nil
}

const tagOf = "AdminService"

// push3 describes the one call that is not translated.
var push3 = object{
	"operationId": "PushObservations", "tags": []any{tagOf},
	"summary":     "Hands in observations, one or any number of lines.",
	"requestBody": object{"required": true, "content": object{"application/x-ndjson": object{"schema": object{"type": "string"}}}},
	"responses":   object{"200": object{"description": "For each line {line, asset_id | error}, in order.", "content": object{"application/x-ndjson": object{"schema": object{"type": "string"}}}}, "default": problem},
}

var problem = object{"description": "What is wrong, and what to do.", "content": jsonContent(object{"$ref": "#/components/schemas/rpcStatus"})}

func jsonContent(schema any) object { return object{"application/json": object{"schema": schema}} }

// relink points references at where version 3 has schemas.
func relink(v any) {
	switch v := v.(type) {
	case object:
		if ref, ok := v["$ref"].(string); ok {
			v["$ref"] = strings.Replace(ref, "#/definitions/", "#/components/schemas/", 1)
			if len(v) > 1 { // in version 3.0 nothing may stand beside a reference
				inner := object{"$ref": v["$ref"]}
				delete(v, "$ref")
				v["allOf"] = []any{inner}
			}
		}
		for _, below := range v {
			relink(below)
		}
	case []any:
		for _, below := range v {
			relink(below)
		}
	}
}

// modernise makes an operation of version 2 one of version 3.
func modernise(op object) {
	if id, ok := op["operationId"].(string); ok {
		op["operationId"] = strings.TrimPrefix(id, tagOf+"_")
	}
	var kept []any
	parameters, _ := op["parameters"].([]any)
	for _, p := range parameters {
		p := p.(object)
		if p["in"] == "body" {
			op["requestBody"] = object{"required": true, "content": jsonContent(p["schema"])}
			continue
		}
		schema := object{}
		for _, key := range []string{"type", "format", "items", "enum", "pattern"} {
			if v, ok := p[key]; ok {
				schema[key] = v
				delete(p, key)
			}
		}
		if delete(p, "collectionFormat"); schema["type"] == "array" {
			p["style"], p["explode"] = "form", true
		}
		p["schema"] = schema
		kept = append(kept, p)
	}
	if op["requestBody"] != nil {
		kept = append(kept, object{"name": idempotencyKey, "in": "header", "schema": object{"type": "string", "maxLength": maxIdempotencyKey},
			"description": "A text of your choice: the call that is repeated with it is not done twice."})
	}
	if delete(op, "parameters"); kept != nil {
		op["parameters"] = kept
	}
	responses, _ := op["responses"].(object)
	for code, r := range responses {
		if code == "default" {
			responses[code] = problem
			continue
		}
		r := r.(object)
		r["content"] = jsonContent(r["schema"])
		if kinds := streams[op["operationId"].(string)]; kinds != nil {
			content := object{}
			for _, kind := range kinds {
				content[kind] = object{"schema": object{"type": "string"}}
			}
			r["content"] = content
		}
		delete(r, "schema")
	}
}

// streams are the calls whose answers are no JSON objects.
var streams = map[string][]string{
	"WatchChanges": {"text/event-stream"},
	"ExportAssets": {"application/x-ndjson", "text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
}
