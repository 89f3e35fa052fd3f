package mapping

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// vocabulary holds the fields whose words are a documented list, as
// proto/rollcall/v1 has them.
var vocabulary = map[protoreflect.FullName][]string{
	"rollcall.v1.Device.class": {"laptop", "desktop", "workstation", "server", "virtual_machine", "cloud_instance", "phone", "tablet", "network", "printer", "display",
		"peripheral", "point_of_sale", "conference_room", "iot", "other"},
	"rollcall.v1.Device.stage":         {"requested", "approved", "ordered", "received", "in_stock", "deployed", "in_repair", "retired", "disposed", "missing"},
	"rollcall.v1.DiskEncryption.state": {"on", "off", "partial", "suspended"},
	"rollcall.v1.Firewall.state":       {"on", "off"},
	"rollcall.v1.ScreenLock.state":     {"on", "off"},
	"rollcall.v1.Patch.auto_update":    {"on", "off", "managed"},
	"rollcall.v1.Profile.status":       {"active", "suspended", "departed"},
	"rollcall.v1.Profile.type":         {"employee", "contractor", "guest", "service"},
}

// words holds the constants of a field to its vocabulary. What a record says
// is held to it when it is read.
func (c *compiler) words(s *spec, name protoreflect.FullName) {
	list := vocabulary[name]
	if list == nil {
		return
	}
	for _, one := range s.any {
		c.words(one, name)
	}
	var given []string
	if s.source.Const != nil {
		given = append(given, s.constant)
	}
	for _, v := range s.values {
		if v != "*" {
			given = append(given, v)
		}
	}
	for _, v := range given {
		if !slices.Contains(list, v) {
			c.errorf(s.source, "%q is none of %s", v, strings.Join(list, ", "))
		}
	}
}

// reading tells how a field is read unless the manifest says otherwise.
func reading(fd protoreflect.FieldDescriptor, name string) string {
	if fd.Kind() == protoreflect.MessageKind && !fd.IsMap() {
		switch fd.Message().FullName() {
		case "google.protobuf.Timestamp":
			return "time"
		case "rollcall.v1.Money":
			return "money"
		}
	}
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return "bool"
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		return "integer"
	case protoreflect.DoubleKind:
		return "number"
	}
	if as, ok := readings[name]; ok {
		return as
	}
	return "text"
}

// readings are the texts that have a form of their own.
var readings = map[string]string{
	"hardware.serial": "serial", "hardware.board_serial": "serial", "hardware.uuid": "uuid", "hardware.firmware.date": "day",
	"network.interfaces.mac": "mac", "network.interfaces.addresses": "prefix", "network.last_address": "address", "network.public_address": "address",
	"owner.email": "email", "primary_user.email": "email",
	"purchase.ordered_at": "day", "purchase.shipped_at": "day", "purchase.received_at": "day", "purchase.lease_end": "day",
	"warranties.start": "day", "warranties.end": "day", "warranty.start": "day", "warranty.end": "day", "financial.as_of": "day",
	"emails": "email", "upn": "email", "start_date": "day", "end_date": "day", "status": "lower", "type": "lower",
	"os.family": "lower", "class": "lower", "stage": "lower",
}

// readable tells whether what `as` gives can be held by a field that is read
// as usual.
func readable(as, usual string) bool {
	kind := func(s string) string {
		switch s {
		case "time", "unix", "unix_ms":
			return "time"
		case "bool", "integer", "number", "money":
			return s
		}
		return "text"
	}
	return kind(as) == kind(usual) || kind(as) == "integer" && kind(usual) == "number"
}
