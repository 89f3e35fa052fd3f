package host

import (
	"errors"
	"io/fs"
	"runtime"
	"testing"
)

// The answers are those of a disk whose thresholds are not exceeded, in both
// forms of sense data.
func TestDecodeSense(t *testing.T) {
	described := []byte{0x72, 0x01, 0x00, 0x1d, 0, 0, 0, 14, 0x09, 0x0c, 0, 0, 0, 0xff, 0, 0, 0, 0x4f, 0, 0xc2, 0, 0x50}
	fixed := []byte{0x70, 0, 1, 0, 0x50, 0, 0xff, 10, 0, 0, 0x4f, 0xc2, 0, 0x1d}
	other := append([]byte{0x72, 1, 0, 0x1d, 0, 0, 0, 18, 0x00, 0x02, 0, 0}, described[8:]...)
	for _, sense := range [][]byte{described, fixed, other} {
		if r, ok := decodeSense(sense); !ok || r != (ataRegisters{0xff, smartMiddle, smartHigh}) || r.asleep() {
			t.Errorf("% x: %+v, %v", sense, r, ok)
		}
	}
	for _, sense := range [][]byte{nil, {0x72}, described[:20], make([]byte, 32), {0x72, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0}} {
		if r, ok := decodeSense(sense); ok {
			t.Errorf("% x: %+v", sense, r)
		}
	}
}

func FuzzDecodeSense(f *testing.F) {
	f.Add([]byte{0x72, 1, 0, 0x1d, 0, 0, 0, 14, 9, 12, 0, 0, 0, 0xff, 0, 0, 0, 0x4f, 0, 0xc2, 0, 0x50})
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := decodeSense(b); !ok && r != (ataRegisters{}) {
			t.Fatalf("%+v", r)
		}
	})
}

func TestDiskLogNames(t *testing.T) {
	for _, name := range []string{"", "../dev/sda", "sda/x", "sd a", "SDA"} {
		if _, err := Live().DiskLog(name, DiskATA); err == nil {
			t.Errorf("%q is no disk", name)
		}
	}
	_, err := Live().DiskLog("nosuchdisk", DiskATA)
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a disk that is not there: %v", err)
	}
	// A terminal is no disk, and says so without harm.
	if runtime.GOOS == "linux" {
		for _, protocol := range []string{DiskATA, DiskNVMe, DiskSCSI, "smoke"} {
			if _, err := readDiskLog("null", protocol); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s of no disk: %v", protocol, err)
			}
		}
	}
}
