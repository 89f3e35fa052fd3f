package catalog

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// ErrInvalid is wrapped by errors that tell what is wrong with an observation.
var ErrInvalid = errors.New("invalid observation")

// Bounds of what one observation may hold besides software, which has bounds
// of its own.
const (
	maxText  = 8 << 10
	maxItems = 10_000
	maxDepth = 12
)

// Check tells what is wrong with an observation: no name, a text or list over
// its bound, or a character that cannot be kept.
func Check(o *pb.Observation) error {
	ref := store.Ref{Source: o.GetSource(), ID: o.GetSourceId()}
	if err := ref.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if o.GetObservedAt() == nil {
		return fmt.Errorf("%w: observed_at is missing", ErrInvalid)
	}
	return CheckMessage(o.ProtoReflect())
}

// CheckMessage holds every text and list within a message to its bound;
// software rows are left to the store.
func CheckMessage(m protoreflect.Message) error {
	if err := checkMessage(m, "", 0); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

func checkMessage(m protoreflect.Message, path string, depth int) (err error) {
	if depth > maxDepth {
		return fmt.Errorf("%s is nested more than %d deep", path, maxDepth)
	}
	if name := m.Descriptor().FullName(); name == "google.protobuf.Timestamp" {
		return checkTime(m, path)
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		at := string(fd.Name())
		if path != "" {
			at = path + "." + at
		}
		err = checkField(fd, v, at, depth)
		return err == nil
	})
	return err
}

func checkField(fd protoreflect.FieldDescriptor, v protoreflect.Value, path string, depth int) (err error) {
	switch {
	case fd.IsMap():
		if v.Map().Len() > maxItems {
			return fmt.Errorf("%s has %d entries, at most %d are kept", path, v.Map().Len(), maxItems)
		}
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			if err = checkText(k.String(), path); err == nil {
				err = checkValue(fd.MapValue(), v, path, depth)
			}
			return err == nil
		})
		return err
	case fd.IsList():
		list := v.List()
		if fd.Name() == "software" {
			return nil
		}
		if list.Len() > maxItems {
			return fmt.Errorf("%s has %d items, at most %d are kept", path, list.Len(), maxItems)
		}
		for i := range list.Len() {
			if err := checkValue(fd, list.Get(i), path, depth); err != nil {
				return err
			}
		}
		return nil
	}
	return checkValue(fd, v, path, depth)
}

func checkValue(fd protoreflect.FieldDescriptor, v protoreflect.Value, path string, depth int) error {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return checkText(v.String(), path)
	case protoreflect.MessageKind:
		return checkMessage(v.Message(), path, depth+1)
	}
	return nil
}

func checkText(s, path string) error {
	if len(s) > maxText {
		return fmt.Errorf("%s has %d bytes, at most %d are kept", path, len(s), maxText)
	}
	if strings.IndexByte(s, 0) >= 0 {
		return fmt.Errorf("%s holds a NUL character", path)
	}
	return nil
}

// checkTime refuses times that RFC 3339, and so the API, cannot write.
func checkTime(m protoreflect.Message, path string) error {
	fields := m.Descriptor().Fields()
	seconds, nanos := m.Get(fields.ByNumber(1)).Int(), m.Get(fields.ByNumber(2)).Int()
	if seconds < -62135596800 || seconds > 253402300799 || nanos < 0 || nanos > 999_999_999 {
		return fmt.Errorf("%s lies outside the years 1 to 9999", path)
	}
	return nil
}
