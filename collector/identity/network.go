package identity

import (
	_ "embed"
	"encoding/hex"
	"strings"
	"sync"
)

// canonicalMAC reads the forms in which a MAC address is written: with colons,
// hyphens, Cisco's dots, or nothing between.
func canonicalMAC(value string) (string, bool) {
	b, err := hex.DecodeString(strings.Map(func(r rune) rune {
		switch r {
		case ':', '-', '.', ' ':
			return -1
		}
		return r
	}, value))
	if err != nil || len(b) != 6 {
		return "", false
	}
	h := hex.EncodeToString(b)
	return h[:2] + ":" + h[2:4] + ":" + h[4:6] + ":" + h[6:8] + ":" + h[8:10] + ":" + h[10:], true
}

//go:embed adapters.txt
var adapterFile string

// adapters lists the prefixes of adapters.txt.
var adapters = sync.OnceValue(func() []string {
	var list []string
	for line := range strings.Lines(adapterFile) {
		if prefix, _, ok := strings.Cut(line, "\t"); ok && !strings.HasPrefix(line, "#") {
			list = append(list, prefix)
		}
	}
	return list
})

// sharedMAC tells why an address does not stay with one machine, empty where
// it may have been burnt into a part of it. Of the first octet, bit 0 marks
// groups and bit 1 addresses that software made up (IEEE 802, 8.2).
func sharedMAC(mac string) string {
	b, err := hex.DecodeString(mac[:2])
	switch {
	case err != nil:
		return "not an address"
	case oneCharacter(strings.ReplaceAll(mac, ":", "")):
		return "one character repeated"
	case b[0]&1 != 0:
		return "an address of a group"
	case b[0]&2 != 0:
		return "made up by software, which may change it"
	}
	for _, prefix := range adapters() {
		if strings.HasPrefix(mac, prefix) {
			return "of a dock or an adapter that moves between machines, or of software"
		}
	}
	return ""
}

// genericName tells of host names that many machines have because nobody gave
// them one.
func genericName(name string) bool {
	switch name {
	case "localhost", "localhost6", "unknown", "none", "host", "pc", "computer", "laptop", "desktop", "server", "ubuntu",
		"debian", "fedora", "raspberrypi", "kali", "android", "iphone", "ipad", "macbook", "macbook-pro", "macbook-air",
		"mac", "imac", "mac-mini", "windows", "admin", "test", "template", "vm", "default", "user", "minint":
		return true
	}
	return false
}
