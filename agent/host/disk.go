package host

import (
	"errors"
	"fmt"
	"strings"
)

// Protocols that disks speak.
const (
	DiskATA  = "ata"
	DiskNVMe = "nvme"
	DiskSCSI = "scsi"
)

// ErrAsleep is wrapped by the error for a disk that stands still: it is not
// woken to be asked how it is, and cannot tell for now.
var ErrAsleep = fmt.Errorf("the disk is asleep: %w", errors.ErrUnsupported)

// DiskLog is what a disk has recorded of its own health, as it gives it.
type DiskLog struct {
	// Data is the answer of SMART READ DATA for ATA, the SMART / Health
	// Information log for NVMe, and the page of informational exceptions for SCSI.
	Data []byte `json:"data"`
	// Thresholds is the answer of SMART READ THRESHOLDS, for ATA only and not
	// for all disks.
	Thresholds []byte `json:"thresholds,omitempty"`
	// Exceeded is the answer of SMART RETURN STATUS, for ATA only.
	Exceeded bool `json:"exceeded,omitempty"`
}

// DiskLog asks a disk of a name such as sda for its record of its health. On
// Linux that takes CAP_SYS_RAWIO for ATA and CAP_SYS_ADMIN for NVMe, on others
// it is not to be had. The error wraps errors.ErrUnsupported, of which
// ErrAsleep is one, or fs.ErrPermission.
func (h *Host) DiskLog(name, protocol string) (DiskLog, error) {
	if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return DiskLog{}, fmt.Errorf("ask disk %.32q for its health: that is not the name of a disk", name)
	}
	return ask(h, "health of disk "+name, func() (DiskLog, error) { return readDiskLog(name, protocol) })
}

// Commands of ATA that a disk is asked with (ACS-4, 7).
const (
	ataSmart          = 0xb0
	ataCheckPower     = 0xe5
	smartReadData     = 0xd0
	smartThresholds   = 0xd1
	smartReturnStatus = 0xda
	// smartMiddle and smartHigh are the signature of SMART commands, and the
	// other two what a disk turns them into that found a threshold exceeded.
	smartMiddle, smartHigh       = 0x4f, 0xc2
	exceededMiddle, exceededHigh = 0xf4, 0x2c

	ataSector = 512
)

// ataCommand packs a command for an ATA disk into one of SCSI, ATA PASS-THROUGH
// (16): see SAT-4, 12.2. One that reads gives a sector, the other kind gives
// the disk's registers in its sense data.
func ataCommand(command, feature byte, reads bool) []byte {
	const (
		passThrough          = 0x85
		noData, dataIn       = 3 << 1, 4 << 1
		answerRegisters      = 0x20
		oneSectorFromTheDisk = 0x0e
	)
	c := make([]byte, 16)
	c[0], c[1], c[2] = passThrough, noData, answerRegisters
	if reads {
		c[1], c[2], c[6] = dataIn, oneSectorFromTheDisk, 1
	}
	c[4], c[14] = feature, command
	if command == ataSmart {
		c[10], c[12] = smartMiddle, smartHigh
	}
	return c
}

// ataRegisters are those that a disk answers with.
type ataRegisters struct{ count, middle, high byte }

// decodeSense takes the registers out of sense data, which has two forms: see
// SPC-5, 4.4, and SAT-4, 12.2.2.7.
func decodeSense(sense []byte) (r ataRegisters, ok bool) {
	if len(sense) < 12 {
		return r, false
	}
	switch sense[0] & 0x7f {
	case 0x72, 0x73:
		for at := 8; at+2 <= len(sense); at += 2 + int(sense[at+1]) {
			if d := sense[at:]; d[0] == 0x09 && d[1] == 12 && len(d) >= 14 {
				return ataRegisters{count: d[5], middle: d[9], high: d[11]}, true
			}
		}
	case 0x70, 0x71:
		return ataRegisters{count: sense[6], middle: sense[10], high: sense[11]}, true
	}
	return r, false
}

// asleep tells whether the answer to CHECK POWER MODE is that the disk stands
// still.
func (r ataRegisters) asleep() bool { return r.count == 0 }
