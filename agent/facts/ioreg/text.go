package ioreg

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
)

const (
	maxDepth  = 32
	maxValues = 1 << 20
)

// decodeText reads the tree for people: a line "+-o Name <class X, ...>" begins
// an entry, and with -l a line "{" its properties, each as `"key" = value`, up
// to a line "}".
func decodeText(out []byte) ([]proplist.Dict, error) {
	var all []proplist.Dict
	var entry proplist.Dict
	values := maxValues
	for line := range bytes.Lines(out) {
		text := strings.TrimLeft(strings.TrimRight(string(line), "\r\n"), " |")
		if head, ok := strings.CutPrefix(text, "+-o "); ok {
			if len(all) >= maxEntries {
				return all, fmt.Errorf("more than %d entries: the rest is left out", maxEntries)
			}
			entry = headOf(head)
			all = append(all, entry)
			continue
		}
		if entry == nil || !strings.HasPrefix(text, `"`) {
			continue
		}
		v := &valueReader{text: text, values: values}
		key, err := v.quoted()
		if err == nil && v.takeWord(" = ") {
			entry[key], err = v.value(0)
		}
		if err != nil {
			return all, fmt.Errorf("read %.60q: %w", text, err)
		}
		values = v.values
	}
	if len(all) == 0 {
		return nil, errors.New("not what ioreg prints")
	}
	return all, nil
}

// headOf returns an entry of its line, "Name@place  <class X, id 1, ...>".
func headOf(head string) proplist.Dict {
	name, detail, _ := strings.Cut(head, "<")
	name, _, _ = strings.Cut(strings.TrimSpace(name), "@")
	entry := proplist.Dict{KeyName: name}
	if class, ok := strings.CutPrefix(detail, "class "); ok {
		class, _, _ = strings.Cut(class, ",")
		entry[KeyClass] = strings.Trim(class, " >")
	}
	return entry
}

// valueReader reads a value: "text", 12, <0a0b>, Yes, (1,2) or {"k"=1}.
type valueReader struct {
	text   string
	values int
}

func (v *valueReader) take(prefix string) bool {
	rest, ok := strings.CutPrefix(v.text, prefix)
	if ok {
		v.text = rest
	}
	return ok
}

func (v *valueReader) takeWord(word string) bool {
	return v.take(word) || v.take(strings.TrimSpace(word))
}

// until returns what stands before the first of some marks.
func (v *valueReader) until(marks string) string {
	at := strings.IndexAny(v.text, marks)
	if at < 0 {
		at = len(v.text)
	}
	word := v.text[:at]
	v.text = v.text[at:]
	return word
}

// quoted returns a text in quotes; ioreg escapes nothing in it, so that one
// ends where something can follow.
func (v *valueReader) quoted() (string, error) {
	if !v.take(`"`) {
		return "", errors.New("text without a quote")
	}
	for i := range len(v.text) {
		if v.text[i] != '"' {
			continue
		}
		rest := v.text[i+1:]
		if rest == "" || strings.IndexByte(",)}= ", rest[0]) >= 0 {
			text := v.text[:i]
			v.text = rest
			return text, nil
		}
	}
	return "", errors.New("text without an end")
}

func (v *valueReader) value(depth int) (any, error) {
	v.values--
	if depth > maxDepth || v.values < 0 {
		return nil, errors.New("more than anything has")
	}
	switch {
	case strings.HasPrefix(v.text, `"`):
		return v.quoted()
	case v.take("<"):
		word := v.until(">")
		v.take(">")
		if b, err := hex.DecodeString(strings.ReplaceAll(word, " ", "")); err == nil {
			return b, nil
		}
		// ioreg shows data that is text as <"text">.
		return strings.Trim(word, `"`), nil
	case v.take("("):
		return v.list(depth)
	case v.take("{"):
		return v.dict(depth)
	}
	return plainValue(strings.TrimSpace(v.until(",)}"))), nil
}

// plainValue returns the value of a word: a number, a truth, or itself.
func plainValue(word string) any {
	switch word {
	case "Yes":
		return true
	case "No":
		return false
	}
	if n, err := strconv.ParseInt(word, 0, 64); err == nil {
		return n
	}
	// Negative numbers are shown as if they had no sign.
	if n, err := strconv.ParseUint(word, 0, 64); err == nil {
		return int64(n)
	}
	return word
}

func (v *valueReader) list(depth int) (any, error) {
	out := []any{}
	for !v.take(")") {
		e, err := v.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
		if !v.take(",") && !strings.HasPrefix(v.text, ")") {
			return nil, errors.New("list without an end")
		}
	}
	return out, nil
}

func (v *valueReader) dict(depth int) (any, error) {
	out := proplist.Dict{}
	for !v.take("}") {
		key, err := v.quoted()
		if err != nil {
			return nil, err
		}
		if !v.take("=") {
			return nil, errors.New("key without a value")
		}
		if out[key], err = v.value(depth + 1); err != nil {
			return nil, err
		}
		if !v.take(",") && !strings.HasPrefix(v.text, "}") {
			return nil, errors.New("dictionary without an end")
		}
	}
	return out, nil
}
