package facts

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	"github.com/rollcall-itam/rollcall/agent/host"
)

// profile is what system_profiler reports: the items of each kind of data, such
// as SPMemoryDataType. Items of items are under _items.
type profile map[string][]proplist.Dict

const (
	profileName  = "_name"
	profileItems = "_items"
	// maxProfileItems and maxProfileDepth bound what is looked at.
	maxProfileItems = 20_000
	maxProfileDepth = 16
)

// profileNests are the keys under which items have items: what is attached to
// them, the units of a FireWire device, and the medium of a USB drive.
var profileNests = []string{profileItems, "units", "Media"}

// profileTitles are the headings of the text form, by which it tells kinds of
// data apart.
var profileTitles = map[string]string{
	"Hardware": "SPHardwareDataType", "Memory": "SPMemoryDataType", "Graphics/Displays": "SPDisplaysDataType", "NVMExpress": "SPNVMeDataType",
	"Serial-ATA": "SPSerialATADataType", "SATA/SATA Express": "SPSerialATADataType", "USB": "SPUSBDataType", "Power": "SPPowerDataType",
	"Printers": "SPPrintersDataType", "Software": "SPSoftwareDataType", "Applications": "SPApplicationsDataType", "Controller": "SPiBridgeDataType",
	"FireWire": "SPFireWireDataType", "Disc Burning": "SPDiscBurningDataType", "Card Reader": "SPCardReaderDataType",
}

// macProfile asks system_profiler by a listed command.
func macProfile(ctx context.Context, h *host.Host, command string) (profile, error) {
	out, err := h.Run(ctx, command)
	if len(out) == 0 && err != nil {
		return nil, err
	}
	p, derr := decodeProfile(out)
	// It fails for kinds of data that a system does not know, after it has told
	// of those that it does.
	if derr == nil && len(p) > 0 {
		return p, nil
	}
	return p, errors.Join(err, derr)
}

// decodeProfile reads what system_profiler prints, as a property list or as the
// text for people.
func decodeProfile(out []byte) (profile, error) {
	trimmed := bytes.TrimSpace(out)
	p := make(profile)
	switch {
	case len(trimmed) == 0:
		return p, nil
	case trimmed[0] != '<' && !bytes.HasPrefix(trimmed, []byte("bplist")):
		return p, p.addText(trimmed)
	}
	v, err := proplist.Decode(trimmed)
	if err != nil {
		return nil, fmt.Errorf("read what system_profiler prints: %w", err)
	}
	for _, kind := range proplist.Dicts(v) {
		name := kind.Text("_dataType")
		p[name] = append(p[name], kind.Dicts(profileItems)...)
	}
	return p, nil
}

// addText reads the text form. A line "Heading:" begins an item, "Key: value"
// lines below belong to it, and deeper headings are items of it.
func (p profile) addText(text []byte) error {
	type level struct {
		indent int
		item   proplist.Dict
	}
	var stack []level
	items := 0
	for line := range strings.Lines(string(text)) {
		content := strings.TrimSpace(line)
		indent := len(line) - len(strings.TrimLeft(line, " "))
		key, value, ok := strings.Cut(content, ": ")
		heading, ends := strings.CutSuffix(content, ":")
		if content == "" || indent == 0 && !ends {
			// Nothing, or another line of a value.
			continue
		}
		for len(stack) > 0 && indent <= stack[len(stack)-1].indent {
			stack = stack[:len(stack)-1]
		}
		switch {
		case ends:
			if items++; items > maxProfileItems || len(stack) >= maxProfileDepth {
				return errors.New("more than system_profiler ever prints: the rest is left out")
			}
			item := proplist.Dict{profileName: strings.TrimSpace(heading)}
			if len(stack) > 0 {
				parent := stack[len(stack)-1].item
				parent[profileItems] = append(parent.List(profileItems), item)
			} else {
				kind := cmp.Or(profileTitles[heading], heading)
				p[kind] = append(p[kind], item)
			}
			stack = append(stack, level{indent, item})
		case ok && len(stack) > 0:
			stack[len(stack)-1].item[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	if items == 0 {
		return errors.New("not what system_profiler prints")
	}
	return nil
}

// each calls fn for every item of some kinds of data, and for the items of
// items, outer ones first. parent is nil for the outermost.
func (p profile) each(fn func(item, parent proplist.Dict), kinds ...string) {
	left := maxProfileItems
	var walk func(items []proplist.Dict, parent proplist.Dict, depth int)
	walk = func(items []proplist.Dict, parent proplist.Dict, depth int) {
		for _, item := range items {
			if left--; left < 0 || depth > maxProfileDepth {
				return
			}
			fn(item, parent)
			for _, key := range profileNests {
				walk(item.Dicts(key), item, depth+1)
			}
		}
	}
	for _, kind := range kinds {
		walk(p[kind], nil, 0)
	}
}

// child returns the item of that name inside of another, nil if there is none.
func child(item proplist.Dict, name string) proplist.Dict {
	for _, c := range item.Dicts(profileItems) {
		if c.Text(profileName) == name {
			return c
		}
	}
	return nil
}

// profileUnits are the units of sizes as system_profiler writes them.
var profileUnits = map[string]float64{
	"bytes": 1, "byte": 1, "kb": 1 << 10, "ko": 1 << 10, "mb": 1 << 20, "mo": 1 << 20, "gb": 1 << 30, "go": 1 << 30, "tb": 1 << 40, "to": 1 << 40,
}

// memorySize returns the bytes of a size as in "16 GB" or "1536 MB", 0 for what
// is none. The units are those of memory, in powers of two.
func memorySize(text string) int64 { return sizeOf(text, 1) }

// diskSize returns the bytes of a size as in "7,34 GB". Where the exact number
// stands beside, as in "500.28 GB (500,277,792,768 bytes)", it is that; the
// units are powers of ten.
func diskSize(text string) int64 {
	if _, exact, ok := strings.Cut(text, "("); ok {
		digits := strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, exact)
		if n, err := strconv.ParseInt(digits, 10, 64); err == nil && strings.Contains(exact, "ytes") {
			return n
		}
	}
	return sizeOf(text, 1000.0/1024)
}

// sizeOf returns the bytes of a number with a unit; thousand corrects each power
// of 1024.
func sizeOf(text string, thousand float64) int64 {
	f := strings.Fields(strings.ReplaceAll(text, "\u00a0", " "))
	if len(f) < 2 {
		return 0
	}
	unit := profileUnits[strings.ToLower(f[1])]
	n := decimal(f[0])
	for u := unit; u > 1; u /= 1 << 10 {
		n *= thousand
	}
	if n *= unit; !(n > 0 && n < 1<<62) {
		return 0
	}
	return int64(math.Round(n))
}

// decimal returns a number written with a point or, in other languages, with a
// comma; 0 for none.
func decimal(text string) float64 {
	n, err := strconv.ParseFloat(strings.Replace(text, ",", ".", 1), 64)
	if err != nil {
		return 0
	}
	return n
}
