package facts

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

const maxMountinfo = 8 << 20

// mount is one line of /proc/<pid>/mountinfo.
type mount struct {
	// device is the major and minor number: 8:1.
	device string
	// root is the folder of the file system that is mounted.
	root string
	// point is where it is mounted.
	point          string
	fstype, source string
}

// key is the same for mounts of one file system.
func (m mount) key() string {
	if strings.HasPrefix(m.device, "0:") && strings.HasPrefix(m.source, "/dev/") {
		// Subvolumes of one btrfs can have numbers of their own.
		return m.source
	}
	return m.device
}

// bound tells whether only a part of a file system is mounted: a folder or file
// that is shown a second time, or to a container. Subvolumes of btrfs are parts
// too, but what people mount.
func (m mount) bound() bool { return m.root != "/" && m.fstype != "btrfs" }

// decodeMountinfo reads mountinfo, whose lines are described in proc(5). A line
// that is none is left out, with an error.
func decodeMountinfo(data []byte) ([]mount, error) {
	var out []mount
	bad := new(faults)
	for line := range bytes.Lines(data) {
		f := strings.Fields(string(line))
		if len(f) == 0 {
			continue
		}
		// Optional fields end at a hyphen.
		end := slices.Index(f, "-")
		if end < 6 || len(f) < end+3 {
			bad.add(fmt.Errorf("mountinfo: line %.80q is not understood", line))
			continue
		}
		out = append(out, mount{device: f[2], root: f[3], point: unescapeMount(f[4]), fstype: softwareText([]byte(f[end+1])), source: unescapeMount(f[end+2])})
	}
	return out, bad.err()
}

// unescapeMount takes back the octal escapes of blanks and backslashes.
func unescapeMount(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, ok := octal(s[i+1 : i+4]); ok {
				b = append(b, n)
				i += 3
				continue
			}
		}
		b = append(b, s[i])
	}
	return softwareText(b)
}

// octal returns the byte of three octal digits.
func octal(s string) (byte, bool) {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '7' {
			return 0, false
		}
		n = n*8 + int(s[i]-'0')
	}
	return byte(n), n < 256
}
