package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// jsonEncoder writes JSON; the events of a stream are a line each.
type jsonEncoder struct {
	out   *bufio.Writer
	key   string
	items int
}

func (e *jsonEncoder) object(raw []byte, _ []string) error {
	if err := indentJSON(e.out, raw, ""); err != nil {
		return err
	}
	return e.out.WriteByte('\n')
}

func (e *jsonEncoder) item(raw []byte) error {
	if e.items++; e.items == 1 {
		fmt.Fprintf(e.out, "{\n  %q: [\n    ", e.key)
	} else {
		fmt.Fprint(e.out, ",\n    ")
	}
	return indentJSON(e.out, raw, "    ")
}

func (e *jsonEncoder) end(total int) error {
	if e.items == 0 {
		fmt.Fprintf(e.out, "{\n  %q: []", e.key)
	} else {
		fmt.Fprint(e.out, "\n  ]")
	}
	if total > 0 {
		fmt.Fprintf(e.out, ",\n  \"total_size\": %d", total)
	}
	_, err := e.out.WriteString("\n}\n")
	return err
}

func (e *jsonEncoder) event(raw []byte) error {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return fmt.Errorf("read the collector's answer: %w", err)
	}
	b.WriteByte('\n')
	_, err := e.out.Write(b.Bytes())
	return err
}

func indentJSON(w io.Writer, raw []byte, prefix string) error {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(raw), prefix, "  "); err != nil {
		return fmt.Errorf("read the collector's answer: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// yamlEncoder writes YAML; the events of a stream are a document each.
type yamlEncoder struct {
	out   *bufio.Writer
	key   string
	items int
}

func (e *yamlEncoder) object(raw []byte, _ []string) error {
	node, err := yamlNode(raw)
	if err != nil {
		return err
	}
	return writeYAML(e.out, node)
}

func (e *yamlEncoder) item(raw []byte) error {
	if e.items++; e.items == 1 {
		fmt.Fprintf(e.out, "%s:\n", e.key)
	}
	node, err := yamlNode(raw)
	if err != nil {
		return err
	}
	return writeYAML(e.out, &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{node}})
}

func (e *yamlEncoder) end(total int) error {
	if e.items == 0 {
		fmt.Fprintf(e.out, "%s: []\n", e.key)
	}
	if total > 0 {
		fmt.Fprintf(e.out, "total_size: %d\n", total)
	}
	return nil
}

func (e *yamlEncoder) event(raw []byte) error {
	fmt.Fprintln(e.out, "---")
	return e.object(raw, nil)
}

func writeYAML(w io.Writer, node *yaml.Node) error {
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(node); err != nil {
		return fmt.Errorf("write the answer as YAML: %w", err)
	}
	return e.Close()
}

// yamlNode translates JSON and keeps the order of the keys.
func yamlNode(raw []byte) (*yaml.Node, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	node, err := nextNode(d)
	if err != nil {
		return nil, fmt.Errorf("read the collector's answer: %w", err)
	}
	return node, nil
}

func nextNode(d *json.Decoder) (*yaml.Node, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	node := new(yaml.Node)
	switch v := t.(type) {
	case json.Delim:
		if node.Kind = yaml.SequenceNode; v == '{' {
			node.Kind = yaml.MappingNode
		}
		for d.More() { // for an object a key is a token like its value
			child, err := nextNode(d)
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, child)
		}
		_, err = d.Token()
		return node, err
	case json.Number:
		node.Kind, node.Value = yaml.ScalarNode, v.String()
	default:
		err = node.Encode(v)
	}
	return node, err
}
