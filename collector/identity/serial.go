package identity

import (
	"regexp"
	"strconv"
	"strings"
)

// serial returns the form in which a serial number is compared, empty where it
// cannot be one. Sources write the same one with other case, spaces, hyphens
// and leading zeros, and with what a label's bar code has before it.
func serial(maker, value string) string {
	v := squeeze(upper(value))
	if spreadsheet.MatchString(v) {
		// A spreadsheet took it for a number and kept six digits of it.
		return ""
	}
	switch knownMaker(maker) {
	case "lenovo", "":
		v = withoutModel(v)
	case "apple":
		// The bar code on a Mac's box begins with an S that is not in its serial.
		if rest, ok := strings.CutPrefix(v, "S"); ok && len(rest) == 12 {
			v = rest
		}
	case "dell":
		v = serviceTag(v)
	}
	if allDigits(v) {
		// Spreadsheets drop the zeros that a number begins with.
		if short := strings.TrimLeft(v, "0"); short != "" {
			v = short
		}
	}
	return v
}

var spreadsheet = regexp.MustCompile(`^[0-9][.,][0-9]+E\+?[0-9]{1,2}$`)

// machineType is Lenovo's bar code: 1S, the machine type and model (ten
// characters: 20XW003LGE), and the serial of eight (or seven: IBM's).
var machineType = regexp.MustCompile(`^1S[0-9A-Z]{10}([0-9A-Z]{7,8})$`)

// withoutModel returns the serial proper of a Lenovo: its labels, and some
// systems that read them, put the machine type and model before it.
func withoutModel(v string) string {
	if m := machineType.FindStringSubmatch(v); m != nil {
		return m[1]
	}
	return v
}

// tagLength is the length of Dell's service tags, which are numbers in base 36.
const tagLength = 7

// serviceTag returns Dell's tag, which older labels also print as the same
// number in base 10, the express service code, and from which spreadsheets drop
// the zeros that it begins with.
func serviceTag(v string) string {
	if len(v) == tagLength-1 || len(v) == tagLength-2 {
		return strings.Repeat("0", tagLength-len(v)) + v
	}
	if !allDigits(v) || len(v) < 9 || len(v) > 11 {
		return v
	}
	code, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return v
	}
	if tag := upper(strconv.FormatInt(code, 36)); len(tag) <= tagLength && len(tag) >= tagLength-1 {
		return strings.Repeat("0", tagLength-len(tag)) + tag
	}
	return v
}

// guesses returns what a serial that a list gives without its maker may be
// besides what it says: written as the makers do whose numbers lists spoil. A
// guess that is wrong is nobody's serial.
func guesses(value string) []string {
	v := squeeze(upper(value))
	var out []string
	for _, maker := range []string{"apple", "dell"} {
		if g := serial(maker, value); g != v && (shapes[maker].MatchString(g)) && !allDigits(v) {
			out = append(out, g)
		}
	}
	return out
}

// shapes are the serials that makers of large fleets give: a value that has
// its maker's shape was written in a factory, not left there by a default.
var shapes = map[string]*regexp.Regexp{
	"apple":     regexp.MustCompile(`^[0-9A-Z]{10,12}$`),
	"dell":      regexp.MustCompile(`^[0-9A-Z]{7}$`),
	"hp":        regexp.MustCompile(`^[0-9A-Z]{3}[0-9][0-9A-Z]{6}$`),
	"lenovo":    regexp.MustCompile(`^[A-Z][0-9A-Z]{7}$`),
	"microsoft": regexp.MustCompile(`^[0-9]{11,12}$`),
}

// factoryShape tells whether a serial is one that its maker gives.
func factoryShape(maker string, k Key) bool {
	shape, ok := shapes[maker]
	return ok && k.Kind == Serial && shape.MatchString(k.Value)
}

// makers are the names under which one maker appears in SMBIOS tables, MDMs
// and purchase lists, by the word they begin with; those with more than one
// first word stand more than once.
var makers = map[string]string{
	"acer": "acer", "apple": "apple", "asus": "asus", "asustek": "asus", "cisco": "cisco", "dell": "dell", "emc": "dell",
	"dynabook": "toshiba", "fujitsu": "fujitsu", "framework": "framework", "getac": "getac", "google": "google",
	"hewlett": "hp", "hewlett-packard": "hp", "hp": "hp", "hpe": "hp", "huawei": "huawei", "ibm": "lenovo",
	"lenovo": "lenovo", "lg": "lg", "micro-star": "msi", "microsoft": "microsoft", "msi": "msi", "panasonic": "panasonic",
	"samsung": "samsung", "sony": "sony", "supermicro": "supermicro", "super": "supermicro", "toshiba": "toshiba",
	"xiaomi": "xiaomi", "zebra": "zebra",
}

// knownMaker reduces the ways in which sources write a maker's name to one:
// "Dell Inc.", "DELL" and "dell" are one, "Hewlett-Packard" and "HP" are. It is
// empty for a name that is not known, which then says nothing: small makers'
// boards call themselves by their own name, their reseller's or none.
func knownMaker(name string) string {
	apart := func(r rune) bool { return blank(r) || r == '.' || r == ',' || r == '(' || r == '/' }
	first := strings.TrimLeftFunc(lower(name), apart)
	if end := strings.IndexFunc(first, apart); end >= 0 {
		first = first[:end]
	}
	return makers[first]
}

// hypervisorMaker tells by its SMBIOS strings that a machine is a guest.
func hypervisorMaker(maker, model string) bool {
	maker, model = lower(maker), lower(model)
	for _, name := range []string{"vmware", "qemu", "xen", "innotek", "parallels", "red hat", "nutanix", "amazon ec2", "google compute engine", "bochs", "openstack"} {
		if strings.HasPrefix(maker, name) {
			return true
		}
	}
	for _, name := range []string{"virtual machine", "virtualbox", "vmware", "standard pc", "kvm", "google compute engine", "hvm domu", "ahv", "bhyve"} {
		if strings.HasPrefix(model, name) {
			return true
		}
	}
	return false
}
