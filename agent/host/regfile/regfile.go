// Package regfile reads and writes the text in which Windows' registry editor
// exports keys.
package regfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Types of values, as winnt.h numbers them.
const (
	TypeNone      = 0
	TypeString    = 1
	TypeExpand    = 2
	TypeBinary    = 3
	TypeDWord     = 4
	TypeBigEndian = 5
	TypeLink      = 6
	TypeMulti     = 7
	TypeQWord     = 11
)

// Bounds of a file. The whole SOFTWARE hive of a large machine has some 60 MiB
// as text; what one agent asks for is a hundredth of it.
const (
	// MaxBytes is the longest file that Parse takes.
	MaxBytes = 128 << 20
	// maxValue is the longest value; the registry itself keeps 1 MiB.
	maxValue = 4 << 20
	// maxDeletions bounds what in a file can cost more than its length.
	maxDeletions = 1000
	// maxFaults is how many faults an error lists.
	maxFaults = 10
)

// Key is one section of a file.
type Key struct {
	// Path is as written, so "HKEY_LOCAL_MACHINE\SOFTWARE\Vendor".
	Path string
	// Written is when the key was changed last, where a comment says so; the
	// registry editor does not.
	Written time.Time
	// Failed is the text of the error with which the key answered, where a
	// comment says so.
	Failed string
	// Values are in the order of the file.
	Values []Value
}

// Value is a value of a key.
type Value struct {
	// Name is empty for the key's default value.
	Name string
	Type uint32
	// Data is in the registry's own form: text in UTF-16LE with its final NUL,
	// numbers with the low byte first.
	Data []byte
}

// Comments behind the line of a key that carry what the format has no place for.
const (
	commentWritten = ";written="
	commentFailed  = ";failed="
)

// Parse reads a file of version 5.00 or REGEDIT4, in UTF-16LE or UTF-8 with or
// without byte order mark, or in Windows-1252. Deletions in it are carried out
// on what stands before them. It goes on behind a line that cannot be read: the
// error tells of the first ten of them, and what was good comes with it.
func Parse(data []byte) ([]Key, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("a registry file of %d bytes, longer than %d", len(data), MaxBytes)
	}
	p := parser{lines: lines{text: decode(data)}, at: map[string]int{}}
	if err := p.header(); err != nil {
		return nil, err
	}
	for {
		line, ok := p.lines.next()
		if !ok {
			break
		}
		if err := p.line(line); err != nil {
			p.fault(err)
		}
	}
	keys := p.keys[:0]
	for _, k := range p.keys {
		if k.Path != "" {
			keys = append(keys, k)
		}
	}
	return keys, errors.Join(p.faults...)
}

// parser is the state of one Parse.
type parser struct {
	lines lines
	// ansi tells that text in hex has one byte a character, as in REGEDIT4.
	ansi bool
	keys []Key
	// at has the places in keys, by path in lower case.
	at map[string]int
	// current is the place of the key whose values follow, -1 for none.
	current int
	// names has the places of the current key's values, by name in lower case.
	names     map[string]int
	deletions int
	faults    []error
}

func (p *parser) fault(err error) {
	if len(p.faults) < maxFaults {
		p.faults = append(p.faults, fmt.Errorf("line %d: %w", p.lines.number, err))
	}
}

// header finds the line that names the format.
func (p *parser) header() error {
	p.current = -1
	for {
		line, ok := p.lines.next()
		switch line = strings.TrimSpace(line); {
		case !ok:
			return errors.New("not a registry file: it is empty")
		case line == "":
			continue
		case line == "REGEDIT4":
			p.ansi = true
			return nil
		case line == versionLine:
			return nil
		default:
			return fmt.Errorf("not a registry file: it begins with %.60q", line)
		}
	}
}

// line reads what begins on a line.
func (p *parser) line(line string) error {
	line = strings.TrimLeft(line, " \t")
	switch {
	case strings.TrimSpace(line) == "":
		return nil
	case line[0] == ';':
		return p.comment(strings.TrimSpace(line))
	case strings.HasPrefix(line, "[-"):
		p.current = -1
		path, err := keyPath(line[2:])
		if err != nil {
			return err
		}
		return p.remove(path)
	case line[0] == '[':
		p.current = -1
		path, err := keyPath(line[1:])
		if err != nil {
			return err
		}
		p.open(path)
		return nil
	case line[0] == '"' || line[0] == '@':
		return p.value(line)
	}
	return fmt.Errorf("neither key nor value: %.60q", line)
}

func (p *parser) comment(line string) error {
	if p.current < 0 {
		return nil
	}
	k := &p.keys[p.current]
	if text, ok := strings.CutPrefix(line, commentWritten); ok {
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return fmt.Errorf("time of a key: %w", err)
		}
		k.Written = at.UTC()
	}
	if text, ok := strings.CutPrefix(line, commentFailed); ok {
		k.Failed = oneLine.Replace(text)
	}
	return nil
}

func keyPath(rest string) (string, error) {
	end := strings.LastIndexByte(rest, ']')
	if end < 0 {
		return "", errors.New("the name of a key has no end")
	}
	path := strings.Trim(rest[:end], `\`)
	if path == "" || strings.ContainsAny(path, "\r\n") {
		return "", errors.New("a key without a name, or with one that is none")
	}
	return path, nil
}

// open makes a key the current one; a second section of it adds to the first.
func (p *parser) open(path string) {
	lower := strings.ToLower(path)
	i, ok := p.at[lower]
	if !ok {
		i = len(p.keys)
		p.keys = append(p.keys, Key{Path: path})
		p.at[lower] = i
	}
	p.current, p.names = i, make(map[string]int, len(p.keys[i].Values))
	for n, v := range p.keys[i].Values {
		p.names[strings.ToLower(v.Name)] = n
	}
}

// delete counts a deletion.
func (p *parser) delete() error {
	if p.deletions++; p.deletions > maxDeletions {
		return fmt.Errorf("more than %d deletions", maxDeletions)
	}
	return nil
}

// remove deletes a key and all below it.
func (p *parser) remove(path string) error {
	if err := p.delete(); err != nil {
		return err
	}
	lower := strings.ToLower(path)
	for name, i := range p.at {
		if rest, ok := strings.CutPrefix(name, lower); ok && (rest == "" || rest[0] == '\\') {
			p.keys[i] = Key{}
			delete(p.at, name)
		}
	}
	return nil
}

// set gives the current key a value in place of that of the same name.
func (p *parser) set(v Value) error {
	if p.current < 0 {
		return fmt.Errorf("value %.60q belongs to no key", v.Name)
	}
	k, lower := &p.keys[p.current], strings.ToLower(v.Name)
	if i, ok := p.names[lower]; ok {
		k.Values[i] = v
		return nil
	}
	p.names[lower] = len(k.Values)
	k.Values = append(k.Values, v)
	return nil
}

// unset takes a value from the current key.
func (p *parser) unset(name string) error {
	lower := strings.ToLower(name)
	i, ok := p.names[lower]
	if !ok || p.current < 0 {
		return nil
	}
	if err := p.delete(); err != nil {
		return err
	}
	k := &p.keys[p.current]
	k.Values = slices.Delete(k.Values, i, i+1)
	delete(p.names, lower)
	for n, at := range p.names {
		if at > i {
			p.names[n] = at - 1
		}
	}
	return nil
}
