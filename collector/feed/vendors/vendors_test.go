package vendors_test

import (
	"testing"

	"github.com/rollcall-itam/rollcall/collector/feed/mapping"
	"github.com/rollcall-itam/rollcall/collector/feed/vendors"
)

func TestManifestsCompile(t *testing.T) {
	for _, name := range vendors.Names() {
		m, err := vendors.Load(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if m.Name != name {
			t.Errorf("%s.yaml describes %s", name, m.Name)
		}
		for i := range m.Streams {
			if _, err := mapping.Compile(&m.Streams[i], nil); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
