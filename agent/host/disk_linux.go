package host

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	sgIO = 0x2285 // SG_IO of scsi/sg.h
	// sgFromDevice and sgNoData are SG_DXFER_FROM_DEV and SG_DXFER_NONE.
	sgFromDevice, sgNoData = -3, -1
	// nvmeAdmin is NVME_IOCTL_ADMIN_CMD of linux/nvme_ioctl.h.
	nvmeAdmin = 0xc0484e41
	// diskPatience is how long a disk may take to answer, in milliseconds.
	diskPatience = 5_000
)

// sgHeader is struct sg_io_hdr of scsi/sg.h.
type sgHeader struct {
	interfaceID, direction              int32
	commandLength, senseMax             uint8
	vectors                             uint16
	length                              uint32
	data, command, sense                unsafe.Pointer
	timeout, flags                      uint32
	packID                              int32
	user                                unsafe.Pointer
	status, masked, message, senseBytes uint8
	hostStatus, driverStatus            uint16
	residue                             int32
	duration, info                      uint32
}

// nvmeCommand is struct nvme_admin_cmd of linux/nvme_ioctl.h.
type nvmeCommand struct {
	opcode, flags          uint8
	_                      uint16
	namespace, _, _        uint32
	metadata, address      uint64
	metadataLength, length uint32
	words                  [6]uint32
	timeout, result        uint32
}

// readDiskLog asks a disk of this machine. The commands only read, and the file
// is open for reading only.
func readDiskLog(name, protocol string) (DiskLog, error) {
	f, err := os.OpenFile("/dev/"+name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return DiskLog{}, err
	}
	defer f.Close()
	fd := f.Fd()
	switch protocol {
	case DiskATA:
		return askATA(fd)
	case DiskNVMe:
		return askNVMe(fd)
	case DiskSCSI:
		return askSCSI(fd)
	}
	return DiskLog{}, fmt.Errorf("protocol %q: %w", protocol, errors.ErrUnsupported)
}

func askATA(fd uintptr) (DiskLog, error) {
	var log DiskLog
	_, sense, err := sendSCSI(fd, ataCommand(ataCheckPower, 0, false), 0)
	if err != nil {
		return log, fmt.Errorf("check power mode: %w", err)
	}
	if r, ok := decodeSense(sense); ok && r.asleep() {
		return log, ErrAsleep
	}
	data, sense, err := sendSCSI(fd, ataCommand(ataSmart, smartReadData, true), ataSector)
	if err != nil {
		return log, fmt.Errorf("read SMART data: %w", err)
	}
	if len(sense) > 0 {
		return log, fmt.Errorf("the disk has no SMART data, or it is switched off: %w", errors.ErrUnsupported)
	}
	log.Data = data
	if limits, sense, err := sendSCSI(fd, ataCommand(ataSmart, smartThresholds, true), ataSector); err == nil && len(sense) == 0 {
		log.Thresholds = limits
	}
	_, sense, err = sendSCSI(fd, ataCommand(ataSmart, smartReturnStatus, false), 0)
	if err != nil {
		return log, fmt.Errorf("ask for the SMART status: %w", err)
	}
	r, ok := decodeSense(sense)
	log.Exceeded = ok && r.middle == exceededMiddle && r.high == exceededHigh
	return log, nil
}

func askSCSI(fd uintptr) (DiskLog, error) {
	const (
		logSense   = 0x4d
		cumulative = 0x40
		exceptions = 0x2f
		room       = 252
	)
	page, sense, err := sendSCSI(fd, []byte{logSense, 0, cumulative | exceptions, 0, 0, 0, 0, 0, room, 0}, room)
	switch {
	case err != nil:
		return DiskLog{}, fmt.Errorf("read the page of exceptions: %w", err)
	case len(sense) > 0:
		return DiskLog{}, fmt.Errorf("the disk has no page of exceptions: %w", errors.ErrUnsupported)
	}
	return DiskLog{Data: page}, nil
}

// sendSCSI gives a command to a SCSI disk, or what passes for one, and returns
// the bytes that it answered with and its sense data, where it has any.
func sendSCSI(fd uintptr, command []byte, size int) (data, sense []byte, err error) {
	data, sense = make([]byte, size+1), make([]byte, 64)
	header := &sgHeader{
		interfaceID: 'S', direction: sgNoData, commandLength: uint8(len(command)), senseMax: uint8(len(sense)), length: uint32(size),
		command: unsafe.Pointer(&command[0]), sense: unsafe.Pointer(&sense[0]), timeout: diskPatience,
	}
	if size > 0 {
		header.direction, header.data = sgFromDevice, unsafe.Pointer(&data[0])
	}
	if err := control(fd, sgIO, unsafe.Pointer(header)); err != nil {
		return nil, nil, err
	}
	if header.hostStatus != 0 {
		return nil, nil, fmt.Errorf("its controller answers with error %d", header.hostStatus)
	}
	return data[:max(size-int(max(header.residue, 0)), 0)], sense[:min(int(header.senseBytes), len(sense))], nil
}

func askNVMe(fd uintptr) (DiskLog, error) {
	const (
		getLogPage    = 0x02
		healthLog     = 0x02
		allNamespaces = 0xffffffff
		bytes         = 512
	)
	data := make([]byte, bytes)
	// The kernel is told the address as a number, which keeps nothing in place.
	var pinned runtime.Pinner
	pinned.Pin(&data[0])
	defer pinned.Unpin()
	command := &nvmeCommand{
		opcode: getLogPage, namespace: allNamespaces, address: uint64(uintptr(unsafe.Pointer(&data[0]))), length: bytes, timeout: diskPatience,
	}
	command.words[0] = healthLog | (bytes/4-1)<<16
	if err := control(fd, nvmeAdmin, unsafe.Pointer(command)); err != nil {
		return DiskLog{}, fmt.Errorf("read the health log: %w", err)
	}
	return DiskLog{Data: data}, nil
}

// control makes an ioctl.
func control(fd uintptr, request uint, argument unsafe.Pointer) error {
	for {
		status, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, uintptr(request), uintptr(argument))
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.ENOTTY, errno == unix.EINVAL:
			return fmt.Errorf("%w: %w", errno, errors.ErrUnsupported)
		case errno != 0:
			return errno
		case status != 0:
			// NVMe gives the status of the command.
			return fmt.Errorf("the disk answers with status %#x", status)
		}
		return nil
	}
}
