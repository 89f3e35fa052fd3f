package main

import (
	"fmt"
	"iter"
	"net/url"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Formats of the output. This file and those of the formats are the only ones
// that ask which is wanted: a command says what it has and how a person reads it.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatYAML  = "yaml"
	formatCSV   = "csv"
)

// encoder writes what the API answers for programs, in one format.
type encoder interface {
	// object writes a whole answer; CSV has a row for each record that stands
	// under rows in it, or one for the answer itself where rows is empty.
	object(raw []byte, rows []string) error
	// item writes the next record of a list, and end what belongs after the last;
	// total is how many the list has, 0 where that is not known.
	item(raw []byte) error
	end(total int) error
	// event writes a record of a stream that may have no end.
	event(raw []byte) error
}

// encoder returns what writes answers, nil where a person reads them. key is the
// name of the list in the API. of describes the answer, or one record of a list;
// nil is an answer whose fields are those that it has.
func (s *session) encoder(key string, of protoreflect.MessageDescriptor, columns []string) encoder {
	switch s.format {
	case formatJSON:
		return &jsonEncoder{out: s.out, key: key}
	case formatYAML:
		return &yamlEncoder{out: s.out, key: key}
	case formatCSV:
		return newCSVEncoder(s.out, of, columns)
	}
	return nil
}

// note tells a person something that is no part of the output.
func (s *session) note(format string, args ...any) {
	if s.format == formatTable {
		fmt.Fprintln(s.world.stderr, clean(fmt.Sprintf(format, args...)))
	}
}

// inColumns tells whether the output has columns, for which a few fields of a
// large record have to be chosen.
func (s *session) inColumns() bool { return s.format == formatTable || s.format == formatCSV }

// exportFormat returns what -o means for a file that the collector writes: nothing
// where it says nothing, false where there is no such file.
func (s *session) exportFormat() (format string, ok bool) {
	switch s.format {
	case formatJSON:
		return "ndjson", true
	case formatCSV:
		return "csv", true
	}
	return "", s.format == formatTable
}

// message is a message of type T.
type message[T any] interface {
	*T
	proto.Message
}

func descriptor[T any, M message[T]]() protoreflect.MessageDescriptor {
	return M(new(T)).ProtoReflect().Descriptor()
}

// fetch asks for something and prints the answer, as printAnswer does.
func fetch[T any, M message[T]](s *session, path string, query url.Values, person func(M), rows ...string) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	raw, err := c.get(s.ctx, path, query)
	if err != nil {
		return err
	}
	return printAnswer(s, raw, person, rows...)
}

// send makes a call and prints the answer, as printAnswer does.
func send[T any, M message[T]](s *session, method, path string, body any, person func(M)) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	raw, err := c.call(s.ctx, method, path, body)
	if err != nil {
		return err
	}
	return printAnswer(s, raw, person)
}

// printAnswer prints an answer of the API as it is, or has person show it; as
// CSV, the records that stand under rows in it.
func printAnswer[T any, M message[T]](s *session, raw []byte, person func(M), rows ...string) error {
	of := descriptor[T, M]()
	if len(rows) > 0 {
		of = of.Fields().ByName(protoreflect.Name(rows[0])).Message()
	}
	if e := s.encoder("", of, nil); e != nil {
		return e.object(raw, rows)
	}
	m := M(new(T))
	if err := decode(raw, m); err != nil {
		return err
	}
	person(m)
	return nil
}

// printDone prints an answer that has little to say, or tells a person what was
// done.
func (s *session) printDone(raw []byte, done string) error {
	if e := s.encoder("", nil, nil); e != nil {
		return e.object(raw, nil)
	}
	fmt.Fprintln(s.out, clean(done))
	return nil
}

// change sends a request and tells what was done.
func (s *session) change(method, path string, body any, done string) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	raw, err := c.call(s.ctx, method, path, body)
	if err != nil {
		return err
	}
	return s.printDone(raw, done)
}

// listing is how a list is printed.
type listing[M any] struct {
	// key is its name in the API.
	key string
	// fields are the columns of CSV, as paths; nil is every field.
	fields []string
	// columns and row make the table for people.
	columns []column
	row     func(*table, M)
	// none is called instead where there is nothing; nil prints the titles alone.
	none func() error
}

// printList prints a list page by page, so that a large fleet needs no memory; a
// person gets a table.
func printList[T any, M message[T]](s *session, pages iter.Seq2[page, error], l listing[M]) error {
	if e := s.encoder(l.key, descriptor[T, M](), l.fields); e != nil {
		return encodeList(e, pages)
	}
	t := &table{columns: l.columns}
	if err := each(pages, func(m M) { l.row(t, m) }); err != nil {
		return err
	}
	if len(t.rows) == 0 && l.none != nil {
		return l.none()
	}
	s.table(t)
	return nil
}

func encodeList(e encoder, pages iter.Seq2[page, error]) error {
	total := 0
	for p, err := range pages {
		if err != nil {
			return err
		}
		total = p.total
		for _, raw := range p.items {
			if err := e.item(raw); err != nil {
				return err
			}
		}
	}
	return e.end(total)
}

// nothing returns a listing's none that tells why there is nothing.
func (s *session) nothing(format string, args ...any) func() error {
	return func() error {
		s.note(format, args...)
		return nil
	}
}

// sheet prints a record for people.
func (s *session) sheet(sh *sheet) { sh.write(s.out, s.world.screen) }

// table prints a table for people.
func (s *session) table(t *table) { t.write(s.out, s.world.screen) }

// decode reads an object of the API. What it says that this program does not
// know yet is left out, so that an older one can ask a newer collector.
func decode(raw []byte, into proto.Message) error {
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read the collector's answer: %w", err)
	}
	return nil
}

// each calls f with the items of a list, each read into a message of its own.
func each[T any, M message[T]](pages iter.Seq2[page, error], f func(M)) error {
	for p, err := range pages {
		if err != nil {
			return err
		}
		for _, raw := range p.items {
			m := M(new(T))
			if err := decode(raw, m); err != nil {
				return err
			}
			f(m)
		}
	}
	return nil
}
