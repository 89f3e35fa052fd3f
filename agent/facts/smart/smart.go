// Package smart judges a disk by what it has recorded of itself: the SMART
// data of ATA, the health log of NVMe and the exceptions of SCSI.
package smart

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Health is the state of a disk.
type Health string

// Failing is a disk that says of itself that it fails, or that lost what it was
// made with; Warning one that works, but has lost data or is worn out.
const (
	OK      Health = "ok"
	Warning Health = "warning"
	Failing Health = "failing"
)

// SectorBytes is the length of the structures of ATA and of NVMe's log.
const SectorBytes = 512

// Bits of NVMe's critical warning (NVM Express Base Specification 2.0, 5.16.1.3).
// The one about the temperature is left out: it is about the room, and passes.
const (
	nvmeSpare       = 1 << 0
	nvmeUnreliable  = 1 << 2
	nvmeReadOnly    = 1 << 3
	nvmeBackup      = 1 << 4
	nvmeRegionFault = 1 << 5
)

// NVMe judges the SMART / Health Information log (02h).
func NVMe(log []byte) (Health, error) {
	if len(log) < SectorBytes {
		return "", fmt.Errorf("a health log of %d bytes instead of %d", len(log), SectorBytes)
	}
	warning, spare, threshold, used := log[0], log[3], log[4], log[5]
	// A controller that does not fill the log in leaves it empty; a disk in use
	// has a temperature above absolute zero.
	if binary.LittleEndian.Uint16(log[1:]) == 0 {
		return "", errors.New("an empty health log")
	}
	var mediaErrors bool
	for _, b := range log[160:176] {
		mediaErrors = mediaErrors || b != 0
	}
	switch {
	case warning&(nvmeUnreliable|nvmeReadOnly|nvmeRegionFault) != 0:
		return Failing, nil
	case warning&(nvmeSpare|nvmeBackup) != 0, spare < threshold, used >= 100, mediaErrors:
		return Warning, nil
	}
	return OK, nil
}

// Attributes of ATA whose raw value counts sectors that cannot be read or had
// to be replaced.
const (
	ataReallocated   = 5
	ataPending       = 197
	ataUncorrectable = 198
)

const (
	ataFirst = 2
	ataCount = 30
	ataSize  = 12
	// ataPrefail marks an attribute that foretells a failure, others tell of age.
	ataPrefail = 1
)

// ATA judges the answers of SMART READ DATA and SMART READ THRESHOLDS. Exceeded
// is the answer of SMART RETURN STATUS: that the disk found a threshold
// exceeded. Thresholds may be missing: newer disks no longer give them.
func ATA(data, thresholds []byte, exceeded bool) (Health, error) {
	if exceeded {
		return Failing, nil
	}
	if err := whole(data); err != nil {
		return "", fmt.Errorf("SMART data: %w", err)
	}
	limits := make(map[byte]byte)
	if whole(thresholds) == nil {
		for entry := range entries(thresholds) {
			limits[entry[0]] = entry[1]
		}
	}
	health := OK
	for entry := range entries(data) {
		id, value := entry[0], entry[3]
		limit := limits[id]
		// 0 never fails and 255 always does, which is for tests; values are 1
		// to 253.
		if entry[1]&ataPrefail != 0 && limit != 0 && limit != 255 && value != 0 && value < 254 && value <= limit {
			return Failing, nil
		}
		switch id {
		case ataReallocated, ataPending, ataUncorrectable:
			// Makers put other counts into the upper bytes.
			if binary.LittleEndian.Uint32(entry[5:]) != 0 {
				health = Warning
			}
		}
	}
	return health, nil
}

// whole tells whether a structure of ATA is there: the bytes of one add up to 0.
func whole(sector []byte) error {
	if len(sector) < SectorBytes {
		return fmt.Errorf("%d bytes instead of %d", len(sector), SectorBytes)
	}
	var sum, any byte
	for _, b := range sector[:SectorBytes] {
		sum += b
		any |= b
	}
	if any == 0 {
		return errors.New("empty")
	}
	if sum != 0 {
		return errors.New("its checksum is wrong")
	}
	return nil
}

// entries gives the entries of a table of attributes or thresholds.
func entries(sector []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for i := range ataCount {
			entry := sector[ataFirst+i*ataSize:][:ataSize]
			if entry[0] != 0 && !yield(entry) {
				return
			}
		}
	}
}

// Additional sense codes with which a disk foretells its failure (SPC-5, annex F).
const (
	scsiPageExceptions = 0x2f
	scsiWarning        = 0x0b
	scsiFailure        = 0x5d
)

// SCSI judges the Informational Exceptions log page (2Fh).
func SCSI(page []byte) (Health, error) {
	if len(page) < 10 || page[0]&0x3f != scsiPageExceptions {
		return "", errors.New("not the page of informational exceptions")
	}
	// The first parameter has the number 0 and at least four bytes.
	if binary.BigEndian.Uint16(page[4:]) != 0 || page[7] < 2 {
		return "", errors.New("the page of informational exceptions has no general parameter")
	}
	switch code, qualifier := page[8], page[9]; {
	case code == scsiFailure && qualifier != 0xff: // FFh is a test
		return Failing, nil
	case code == scsiWarning && qualifier != 1: // 01h is the temperature
		return Warning, nil
	}
	return OK, nil
}
