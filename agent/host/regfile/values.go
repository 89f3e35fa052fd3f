package regfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// value reads a value, which may go on over the lines that follow.
func (p *parser) value(line string) error {
	name, rest, err := p.valueName(line)
	if err != nil {
		return err
	}
	text, isText := strings.CutPrefix(rest, `"`)
	v := Value{Name: name, Type: TypeString}
	switch {
	case strings.TrimSpace(rest) == "-":
		return p.unset(name)
	case isText:
		text, _, err := p.quoted(text)
		if err != nil {
			return fmt.Errorf("value %.60q: %w", name, err)
		}
		v.Data = Text(text)
	default:
		if v.Type, v.Data, err = p.coded(rest); err != nil {
			return fmt.Errorf("value %.60q: %w", name, err)
		}
	}
	return p.set(v)
}

// valueName splits a value into its name and what follows the equals sign.
func (p *parser) valueName(line string) (name, rest string, err error) {
	if line[0] == '@' {
		rest = line[1:]
	} else if name, rest, err = p.quoted(line[1:]); err != nil {
		return "", "", fmt.Errorf("the name of a value: %w", err)
	}
	rest, ok := strings.CutPrefix(strings.TrimLeft(rest, " \t"), "=")
	if !ok {
		return "", "", fmt.Errorf("value %.60q has no equals sign", name)
	}
	if strings.ContainsAny(name, "\r\n") {
		return "", "", fmt.Errorf("value %.60q has a name of several lines", name)
	}
	return name, strings.TrimLeft(rest, " \t"), nil
}

// quoted reads a text up to its closing quote, and what follows that on its
// line. Line ends stand in it as they are.
func (p *parser) quoted(s string) (text, rest string, err error) {
	var b strings.Builder
	for {
		for i := 0; i < len(s); i++ {
			switch {
			case s[i] == '"':
				return b.String(), s[i+1:], nil
			case s[i] == '\\' && i+1 < len(s):
				i++
			}
			b.WriteByte(s[i])
		}
		if b.Len() > maxValue {
			return "", "", errors.New("longer than a value can be")
		}
		next, ok := p.lines.peek()
		// An unclosed text must not swallow the keys that follow it.
		if !ok || strings.HasPrefix(next, "[HKEY_") || strings.HasPrefix(next, "[-HKEY_") {
			return "", "", errors.New("a text has no end")
		}
		b.WriteString("\r\n")
		s, _ = p.lines.next()
	}
}

// coded reads dword: and hex: values.
func (p *parser) coded(s string) (kind uint32, data []byte, err error) {
	form, digits, ok := strings.Cut(s, ":")
	if !ok {
		return 0, nil, fmt.Errorf("neither text nor number: %.60q", s)
	}
	switch form = strings.ToLower(form); {
	case form == "dword":
		digits, _, _ = strings.Cut(digits, ";")
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 16, 32)
		if err != nil {
			return 0, nil, fmt.Errorf("a dword: %w", err)
		}
		return TypeDWord, binary.LittleEndian.AppendUint32(nil, uint32(n)), nil
	case form == "hex":
		kind = TypeBinary
	case strings.HasPrefix(form, "hex(") && strings.HasSuffix(form, ")"):
		n, err := strconv.ParseUint(form[4:len(form)-1], 16, 32)
		if err != nil {
			return 0, nil, fmt.Errorf("the type of a value: %w", err)
		}
		kind = uint32(n)
	default:
		return 0, nil, fmt.Errorf("a value in the form %.60q", form)
	}
	if data, err = p.hex(digits); err != nil {
		return 0, nil, err
	}
	if p.ansi && (kind == TypeExpand || kind == TypeMulti) {
		data = utf16le(latin(data))
	}
	return kind, data, nil
}

// hex reads bytes with commas between them, over lines that end with a
// backslash.
func (p *parser) hex(s string) ([]byte, error) {
	var out []byte
	for {
		s, _, _ = strings.Cut(s, ";")
		s = strings.TrimSpace(s)
		line, goesOn := strings.CutSuffix(s, `\`)
		for digits := range strings.SplitSeq(line, ",") {
			if digits = strings.TrimSpace(digits); digits == "" {
				continue
			}
			b, err := strconv.ParseUint(digits, 16, 8)
			if err != nil {
				return nil, fmt.Errorf("bytes in hex: %w", err)
			}
			out = append(out, byte(b))
		}
		if len(out) > maxValue {
			return nil, errors.New("longer than a value can be")
		}
		if !goesOn {
			return out, nil
		}
		var ok bool
		if s, ok = p.lines.peek(); !ok || strings.HasPrefix(strings.TrimSpace(s), "[") {
			return nil, errors.New("bytes in hex that go on nowhere")
		}
		p.lines.next()
	}
}
