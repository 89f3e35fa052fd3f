package identity

import (
	_ "embed"
	"regexp"
	"strconv"
	"strings"
	"sync"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

//go:embed pnp.txt
var pnpFile string

// displayMaker is a maker of displays.
type displayMaker struct{ word, name string }

// displayMakers are the makers by their letters in an EDID.
var displayMakers = sync.OnceValue(func() map[string]displayMaker {
	list := make(map[string]displayMaker)
	for line := range strings.Lines(pnpFile) {
		if fields := strings.Split(strings.TrimSpace(line), "\t"); len(fields) == 3 && !strings.HasPrefix(line, "#") {
			list[fields[0]] = displayMaker{fields[1], fields[2]}
		}
	}
	return list
})

// MakerName returns the name of a maker by the letters that a display's EDID has
// for it, the letters where it is not known.
func MakerName(letters string) string {
	if m, ok := displayMakers()[upper(letters)]; ok {
		return m.name
	}
	return letters
}

// PartScope is the namespace of the serial numbers of what is attached to a
// machine: the maker, who writes them on the cases of all its displays. The same
// maker appears by its letters in a report and by its name on an order.
func PartScope(name string) string {
	if m, ok := displayMakers()[upper(strings.TrimSpace(name))]; ok {
		return m.word
	}
	if m := knownMaker(name); m != "" {
		return m
	}
	word, _, _ := strings.Cut(strings.TrimSpace(lower(name)), " ")
	return strings.Trim(word, ".,()/")
}

// isAttached tells of a record that is about a display or another thing which is
// attached to machines and is none itself. Its serial number says nothing of a
// machine that has the same: displays, docks and computers are numbered apart.
func isAttached(d *pb.Device) bool {
	return d.GetClass() == "display" || d.GetClass() == "peripheral"
}

// attached takes the identifiers of such a thing. What is stated as one of kind
// part says more than the serial number among the fields, and stands for it.
func (r *reading) attached(d *pb.Device, stated []*pb.Identifier) {
	hw := d.GetHardware()
	own := false
	for _, id := range stated {
		switch id.GetKind() {
		case Part:
			own = true
			r.add(Part, id.GetScope(), id.GetValue())
		case Serial:
			r.add(Part, PartScope(id.GetScope()), id.GetValue())
		default:
			r.add(id.GetKind(), id.GetScope(), id.GetValue())
		}
	}
	if !own {
		r.add(Part, PartScope(hw.GetManufacturer()), hw.GetSerial())
	}
	r.add(UUID, "", hw.GetUuid())
	r.add(AssetTag, "", hw.GetAssetTag())
	if id := upper(hw.GetModelId()); productID.MatchString(id) {
		r.weak = append(r.weak, Key{Product, "", id})
	}
}

// productID is the number of a model in the form in which machines read it: of a
// display the maker's letters and four digits (DEL40A1), on the USB vendor and
// product (17EF:A391).
var productID = regexp.MustCompile(`^([A-Z]{3}[0-9A-F]{4}|[0-9A-F]{4}:[0-9A-F]{4})$`)

// attachedSerial is a serial number of such a thing as it is compared.
func attachedSerial(scope, value string) string {
	v := squeeze(upper(value))
	if spreadsheet.MatchString(v) {
		return ""
	}
	if maker, _, _ := strings.Cut(scope, ":"); maker == "lenovo" {
		v = withoutModel(v)
	}
	if allDigits(v) {
		if short := strings.TrimLeft(v, "0"); short != "" {
			v = short
		}
	}
	return v
}

// NumberScope is the namespace of the number in a display's EDID, which makers
// count anew for each model and, many of them, each year. It is no serial number
// of the maker's: see Numbered.
func NumberScope(letters, product string, year int32) string {
	return PartScope(letters) + ":" + lower(product) + ":" + strconv.Itoa(int(year))
}

// minNumber is the least number in an EDID that can be one display's own: below
// are those that makers put into all of a model.
const minNumber = 1000

// Numbered tells whether the number in a display's EDID may be that display's
// own. Many makers put the same into all, or four characters of the serial that
// is printed on the case, which thousands share.
func Numbered(n uint32) bool {
	text := true
	for i := range 4 {
		c := byte(n >> (8 * i))
		text = text && (c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z')
	}
	same := byte(n) == byte(n>>8) && byte(n) == byte(n>>16) && byte(n) == byte(n>>24)
	return n >= minNumber && !text && !same
}

// UsableSerial tells whether a serial number in a namespace may be that of one
// thing: it is no placeholder.
func UsableSerial(scope, value string) bool {
	k, ok := normalise(Part, scope, value)
	return ok && junk(k) == ""
}
