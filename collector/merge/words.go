package merge

// Classes and Stages are the vocabularies of the fields of that name.
var (
	Classes = []string{"laptop", "desktop", "workstation", "server", "virtual_machine", "cloud_instance", "phone", "tablet", "network", "printer",
		"display", "peripheral", "point_of_sale", "conference_room", "iot", "other"}
	Stages = []string{"requested", "approved", "ordered", "received", "in_stock", "deployed", "in_repair", "retired", "disposed", "missing"}
)

// Repeats tells whether sources of a kind say again and again what they know, so
// that their silence says something.
func Repeats(kind string) bool { return !lasting[kind] }
