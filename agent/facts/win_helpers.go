package facts

import (
	"context"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	helpersKey = `Microsoft\Windows\CurrentVersion\Explorer\Browser Helper Objects`
	// maxHelpers is how many extensions of Internet Explorer are listed.
	maxHelpers = 1_000
)

// learnBrowserHelpers lists the extensions of Internet Explorer, which the mode
// of Edge for old pages loads too: those of the machine and of its 32-bit part.
func learnBrowserHelpers(_ context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	rows := newSoftwareRows("browser_extension")
	found := false
	for _, part := range []struct{ path, architecture string }{{softwareHive, ""}, {softwareHive + wow64, "x86"}} {
		list := r.key(part.path, helpersKey)
		found = found || list.found()
		ids := list.subkeys()
		slices.Sort(ids)
		for _, id := range ids[:min(len(ids), maxHelpers)] {
			if len(id) != len("{00000000-0000-0000-0000-000000000000}") || id[0] != '{' {
				continue
			}
			class := r.key(part.path, `Classes\CLSID\`, id)
			library := r.key(part.path, `Classes\CLSID\`, id, `\InprocServer32`).text("")
			name := class.text("")
			if name == "" {
				name = library[strings.LastIndexAny(library, `\/`)+1:]
			}
			if name == "" {
				// It was removed, and left its name behind.
				continue
			}
			row := rows.add([]byte(name), nil)
			row.ProductId, row.Location = softwareText([]byte(id)), softwareText([]byte(library))
			row.Architecture = part.architecture
		}
	}
	r.bad.add(addSoftware(d, rows.rows))
	return r.err(found, "no extensions of Internet Explorer")
}
