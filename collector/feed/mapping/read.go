package mapping

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// raw returns what a spec finds, before it is read.
func (s *spec) raw(r, e any) (any, error) {
	switch {
	case s.source.Const != nil:
		return s.constant, nil
	case s.cel != nil:
		return eval(s.cel, r, e)
	}
	return s.path.Get(e), nil
}

// every returns all values of a spec for a list; a list within one is opened.
func (s *spec) every(r, e any) []any {
	for _, one := range s.any {
		if all := one.every(r, e); len(all) > 0 {
			return all
		}
	}
	if s.any != nil {
		return nil
	}
	found := s.path.All(e)
	if s.source.Const != nil || s.cel != nil {
		v, err := s.raw(r, e)
		if err != nil {
			return nil
		}
		found = []any{v}
	}
	var all []any
	for _, v := range found {
		if list, ok := v.([]any); ok {
			all = append(all, list...)
		} else if v != nil {
			all = append(all, v)
		}
	}
	return all
}

// text returns the value as text, of the first alternative that states one.
func (s *spec) text(r, e any) (string, bool, error) {
	var failed error
	for _, one := range s.any {
		v, ok, err := one.text(r, e)
		if ok && err == nil {
			return v, true, nil
		}
		failed = firstError(failed, err)
	}
	if s.any != nil {
		return "", false, failed
	}
	v, err := s.raw(r, e)
	if err != nil {
		return "", false, err
	}
	return s.read(v)
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// narrow applies match and values to a text.
func (s *spec) narrow(v any) (any, error) {
	if s.match == nil && s.values == nil {
		return v, nil
	}
	t, ok, err := text(v, s.none)
	if err != nil || !ok {
		// A word that states nothing elsewhere may mean something here.
		if word, known := s.values[strings.ToLower(t)]; err == nil && known {
			return word, nil
		}
		return nil, err
	}
	if s.match != nil {
		if t = firstGroup(s.match, t); t == "" {
			return nil, nil
		}
	}
	if s.values == nil {
		return t, nil
	}
	word, known := s.values[strings.ToLower(t)]
	if !known {
		word = s.values["*"]
	}
	switch word {
	case "*":
		return t, nil
	case "":
		return nil, nil
	}
	return word, nil
}

// read makes a text of a found value.
func (s *spec) read(v any) (string, bool, error) {
	v, err := s.narrow(v)
	if err != nil || v == nil {
		return "", false, err
	}
	switch s.as {
	case "serial":
		return serial(v, s.none)
	case "uuid":
		return uuid(v, s.none)
	case "mac":
		return mac(v, s.none)
	case "email":
		return email(v, s.none)
	case "address":
		return address(v, s.none)
	case "prefix":
		return prefix(v, s.none)
	case "day":
		return parseDay(v, s)
	}
	t, ok, err := text(v, s.none)
	switch s.as {
	case "lower":
		t = strings.ToLower(t)
	case "upper":
		t = strings.ToUpper(t)
	}
	return t, ok, err
}

// value returns the value for a field that is no list.
func (s *spec) value(fd protoreflect.FieldDescriptor, r, e any) (protoreflect.Value, bool, error) {
	var failed error
	for _, one := range s.any {
		v, ok, err := one.value(fd, r, e)
		if ok && err == nil {
			return v, true, nil
		}
		failed = firstError(failed, err)
	}
	if s.any != nil {
		return protoreflect.Value{}, false, failed
	}
	found, err := s.raw(r, e)
	if err != nil || found == nil {
		return protoreflect.Value{}, false, err
	}
	if fd.Kind() == protoreflect.StringKind {
		t, ok, err := s.read(found)
		if ok && err == nil {
			err = inVocabulary(fd, t)
		}
		return protoreflect.ValueOfString(t), ok, err
	}
	if found, err = s.narrow(found); err != nil || found == nil {
		return protoreflect.Value{}, false, err
	}
	return s.typed(fd, found, e)
}

// typed reads a value that is no text.
func (s *spec) typed(fd protoreflect.FieldDescriptor, found, e any) (protoreflect.Value, bool, error) {
	none := protoreflect.Value{}
	switch fd.Kind() {
	case protoreflect.BoolKind:
		b, ok, err := boolean(found, s.none)
		return protoreflect.ValueOfBool(b), ok, err
	case protoreflect.DoubleKind:
		f, ok, err := decimal(found, s.none)
		return protoreflect.ValueOfFloat64(f), ok, err
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		n, ok, err := whole(found, s.unit, s.none)
		if err != nil || !ok {
			return none, false, err
		}
		if fd.Kind() == protoreflect.Int32Kind {
			return int32Value(n)
		}
		// A machine with no memory or disk is one that was not asked.
		return protoreflect.ValueOfInt64(n), n != 0 || !strings.HasSuffix(string(fd.Name()), "_bytes"), nil
	case protoreflect.MessageKind:
		return s.message(fd, found, e)
	}
	return none, false, fmt.Errorf("fields of kind %s are not mapped", fd.Kind())
}

func (s *spec) message(fd protoreflect.FieldDescriptor, found, e any) (protoreflect.Value, bool, error) {
	if fd.Message().FullName() == "google.protobuf.Timestamp" {
		t, ok, err := parseTime(found, s)
		return protoreflect.ValueOfMessage(timestamppb.New(t).ProtoReflect()), ok, err
	}
	currency := s.currency
	if s.currencyAt != nil {
		code, _, err := text(s.currencyAt.Get(e), nil)
		if err != nil {
			return protoreflect.Value{}, false, err
		}
		currency = strings.ToUpper(code)
	}
	m, ok, err := money(found, currency, s.none)
	return protoreflect.ValueOfMessage(m.ProtoReflect()), ok, err
}

// inVocabulary holds a word of a record to the list of its field.
func inVocabulary(fd protoreflect.FieldDescriptor, word string) error {
	if list := vocabulary[fd.FullName()]; list != nil && !slices.Contains(list, word) {
		return fmt.Errorf("%q is none of %s: name its meaning under values", word, strings.Join(list, ", "))
	}
	return nil
}
