package winetest

import (
	"bytes"
	"encoding/binary"
)

// prngLibrary assembles the file bcryptprimitives.dll, which programs of Go
// take their random numbers from and Wine before 9 does not have. It has no code: a
// table of exports with one name, ProcessPrng, that stands for what Wine has
// under another one. See the PE format, sections "Optional Header" and "Export
// Directory Table".
func prngLibrary() []byte {
	const (
		align      = 0x200 // of sections in the file
		page       = 0x1000
		directory  = 40
		dataOffset = page + directory
	)
	le := binary.LittleEndian
	// The section: directory, one address, one name, one ordinal, the texts.
	texts := []byte("bcryptprimitives.dll\x00ProcessPrng\x00advapi32.SystemFunction036\x00")
	const address, names, ordinals, text = dataOffset, dataOffset + 4, dataOffset + 8, dataOffset + 10
	function, forward := uint32(text+bytes.Index(texts, []byte("Process"))), uint32(text+bytes.Index(texts, []byte("advapi32")))
	var s []byte
	for _, n := range []uint32{0, 0, 0, text, 1, 1, 1, address, names, ordinals, forward, function} {
		s = le.AppendUint32(s, n)
	}
	s = append(le.AppendUint16(s, 0), texts...)
	size := uint32(len(s))
	s = append(s, make([]byte, align-len(s))...)

	h := make([]byte, align)
	copy(h, "MZ")
	le.PutUint32(h[0x3c:], 0x40)
	pe := h[0x40:]
	copy(pe, "PE\x00\x00")
	le.PutUint16(pe[4:], 0x8664)  // machine: x86-64
	le.PutUint16(pe[6:], 1)       // sections
	le.PutUint16(pe[20:], 240)    // size of the optional header
	le.PutUint16(pe[22:], 0x2022) // executable, large addresses, a library
	opt := pe[24:]
	le.PutUint16(opt, 0x20b) // 64-bit
	le.PutUint64(opt[24:], 0x180000000)
	le.PutUint32(opt[32:], page) // alignment of sections in memory
	le.PutUint32(opt[36:], align)
	le.PutUint16(opt[40:], 6) // version of the system, and of the subsystem
	le.PutUint16(opt[48:], 6)
	le.PutUint32(opt[56:], 2*page) // size in memory
	le.PutUint32(opt[60:], align)  // size of the headers
	le.PutUint16(opt[68:], 3)      // subsystem: console
	le.PutUint16(opt[70:], 0x100)  // data need not be executable
	le.PutUint32(opt[108:], 16)    // directories, of which the first is that of exports
	le.PutUint32(opt[112:], page)
	le.PutUint32(opt[116:], size)
	section := opt[240:]
	copy(section, ".rdata")
	le.PutUint32(section[8:], size)
	le.PutUint32(section[12:], page)
	le.PutUint32(section[16:], align)
	le.PutUint32(section[20:], align)
	le.PutUint32(section[36:], 0x40000040) // readable, initialised data
	return append(h, s...)
}
