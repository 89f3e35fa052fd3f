package manifest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// JSONSchema returns the JSON Schema (2020-12) of a manifest, by which editors
// complete and check one while it is written.
func JSONSchema() ([]byte, error) {
	g := schemaWriter{defs: make(map[string]any)}
	root := g.structure(reflect.TypeFor[Manifest]())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Rollcall feed manifest"
	root["$defs"] = g.defs
	root["required"] = []string{"schema", "name", "title", "kind", "streams"}
	b, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the schema of manifests: %w", err)
	}
	return append(b, '\n'), nil
}

// schemaWriter describes each struct once, under $defs.
type schemaWriter struct{ defs map[string]any }

func (g schemaWriter) of(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[Field]():
		return g.field()
	case reflect.TypeFor[Duration]():
		return map[string]any{"type": "string", "pattern": `^([0-9.]+(ms|s|m|h))+$`}
	case reflect.TypeFor[Values]():
		one := map[string]any{"type": []string{"string", "number", "boolean"}}
		return map[string]any{"oneOf": []any{one, map[string]any{"type": "array", "items": one}}}
	case reflect.TypeFor[Template]():
		return map[string]any{"type": []string{"string", "number", "boolean"}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.of(t.Elem())
	case reflect.Struct:
		return g.ref(t, g.structure)
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": g.of(t.Elem())}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": g.of(t.Elem())}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Interface:
		return map[string]any{}
	}
	return map[string]any{"type": []string{"string", "number", "boolean"}}
}

// ref describes a type under $defs, once, and returns a reference to it.
func (g schemaWriter) ref(t reflect.Type, describe func(reflect.Type) map[string]any) map[string]any {
	if _, ok := g.defs[t.Name()]; !ok {
		g.defs[t.Name()] = nil // ends the recursion of types that hold themselves
		g.defs[t.Name()] = describe(t)
	}
	return map[string]any{"$ref": "#/$defs/" + t.Name()}
}

func (g schemaWriter) structure(t reflect.Type) map[string]any {
	properties := make(map[string]any)
	for key, f := range fields(t) {
		p := g.of(f.Type)
		if doc := f.Tag.Get("doc"); doc != "" {
			p["description"] = doc
		}
		if words := f.Tag.Get("enum"); words != "" {
			p["enum"] = strings.Split(words, ",")
			delete(p, "type")
		}
		properties[key] = p
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}

// field describes the three forms of a field.
func (g schemaWriter) field() map[string]any {
	self := g.ref(reflect.TypeFor[Field](), g.structure)
	return map[string]any{"oneOf": []any{
		map[string]any{"type": "string"}, self, map[string]any{"type": "array", "items": map[string]any{"oneOf": []any{map[string]any{"type": "string"}, self}}}}}
}
