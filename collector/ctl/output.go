package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Formats of the output.
const (
	formatTable = "table"
	formatJSON  = "json"
)

// printObject prints an object of the API as it is, as JSON or YAML.
func (s *session) printObject(raw []byte) error {
	if s.format == formatJSON {
		return writeJSON(s.out, raw, "")
	}
	node, err := yamlNode(raw)
	if err != nil {
		return err
	}
	return writeYAML(s.out, node)
}

// printLine prints an object of a stream: a line of JSON, or a YAML document.
func (s *session) printLine(raw []byte) error {
	if s.format == formatJSON {
		var b bytes.Buffer
		if err := json.Compact(&b, raw); err != nil {
			return fmt.Errorf("read the collector's answer: %w", err)
		}
		fmt.Fprintln(s.out, b.String())
		return nil
	}
	fmt.Fprintln(s.out, "---")
	return s.printObject(raw)
}

// printList prints a list as the API has it, under its key, page by page, so
// that a large fleet needs no memory.
func (s *session) printList(key string, pages iter.Seq2[page, error]) error {
	n, total := 0, 0
	for p, err := range pages {
		if err != nil {
			return err
		}
		total = p.total
		for _, item := range p.items {
			if err := s.printItem(key, n, item); err != nil {
				return err
			}
			n++
		}
	}
	switch {
	case s.format == formatJSON && n == 0:
		fmt.Fprintf(s.out, "{\n  %q: []", key)
	case s.format == formatJSON:
		fmt.Fprint(s.out, "\n  ]")
	case n == 0:
		fmt.Fprintf(s.out, "%s: []\n", key)
	}
	if s.format == formatJSON {
		if total > 0 {
			fmt.Fprintf(s.out, ",\n  \"total_size\": %d", total)
		}
		fmt.Fprint(s.out, "\n}\n")
	} else if total > 0 {
		fmt.Fprintf(s.out, "total_size: %d\n", total)
	}
	return nil
}

// printItem prints the n-th item of a list.
func (s *session) printItem(key string, n int, item []byte) error {
	if s.format == formatJSON {
		if n == 0 {
			fmt.Fprintf(s.out, "{\n  %q: [\n    ", key)
		} else {
			fmt.Fprint(s.out, ",\n    ")
		}
		return indentJSON(s.out, item, "    ")
	}
	if n == 0 {
		fmt.Fprintf(s.out, "%s:\n", key)
	}
	node, err := yamlNode(item)
	if err != nil {
		return err
	}
	return writeYAML(s.out, &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{node}})
}

func writeJSON(w *bufio.Writer, raw []byte, prefix string) error {
	if err := indentJSON(w, raw, prefix); err != nil {
		return err
	}
	return w.WriteByte('\n')
}

func indentJSON(w io.Writer, raw []byte, prefix string) error {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(raw), prefix, "  "); err != nil {
		return fmt.Errorf("read the collector's answer: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
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

// decode reads an object of the API. What it says that this program does not
// know yet is left out, so that an older one can ask a newer collector.
func decode(raw []byte, into proto.Message) error {
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read the collector's answer: %w", err)
	}
	return nil
}

// each calls f with the items of a list, each read into a message of its own.
func each[M proto.Message](pages iter.Seq2[page, error], empty func() M, f func(M)) error {
	for p, err := range pages {
		if err != nil {
			return err
		}
		for _, raw := range p.items {
			m := empty()
			if err := decode(raw, m); err != nil {
				return err
			}
			f(m)
		}
	}
	return nil
}
