package history

import (
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Value returns one side of a FieldChange of an asset as the API's JSON has it,
// null for an absent field.
func Value(path string, encoded []byte) (*structpb.Value, error) {
	return value(path, encoded, new(pb.Asset))
}

// PersonValue does so for a person.
func PersonValue(path string, encoded []byte) (*structpb.Value, error) {
	return value(path, encoded, new(adminpb.Person))
}

func value(path string, encoded []byte, a proto.Message) (*structpb.Value, error) {
	if len(encoded) == 0 {
		return structpb.NewNullValue(), nil
	}
	if err := proto.Unmarshal(encoded, a); err != nil {
		return nil, fmt.Errorf("read what %s was: %w", path, err)
	}
	b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("read what %s was: %w", path, err)
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, fmt.Errorf("read what %s was: %w", path, err)
	}
	for name := range strings.SplitSeq(path, ".") {
		group, _ := v.(map[string]any)
		v = group[name]
	}
	out, err := structpb.NewValue(v)
	if err != nil {
		return nil, fmt.Errorf("read what %s was: %w", path, err)
	}
	return out, nil
}
