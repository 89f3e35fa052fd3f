package expr

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// newSoftwareList makes the list that expressions see as software.
func newSoftwareList(s Software) ref.Val {
	rows, ok := s.(Rows)
	if !ok {
		rows = Rows{}
		for r := range s.All() {
			rows = append(rows, r)
		}
	}
	return types.NewDynamicList(rowAdapter{}, []*pb.Software(rows))
}

// rowAdapter makes values of rows without a look at their descriptors.
type rowAdapter struct{}

// NativeToValue implements types.Adapter.
func (rowAdapter) NativeToValue(value any) ref.Val {
	if s, ok := value.(*pb.Software); ok {
		return object{native: s, name: softwareType}
	}
	return types.DefaultTypeAdapter.NativeToValue(value)
}
