package rpmdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Package is what the database says of one installed package.
type Package struct {
	Name    string
	Epoch   uint32
	Version string
	Release string
	Arch    string
	Vendor  string
	// SourceRPM is the file name of the source package: bash-5.1.8-6.el9.src.rpm.
	SourceRPM string
	// InstallTime is in Unix seconds, 0 where it is not said.
	InstallTime int64
	// Size is the bytes of the package's files, negative where it is not said.
	Size int64
}

// EVR returns epoch:version-release as rpm and dnf print it: without the epoch
// where it is 0, which rpm holds equal to none.
func (p Package) EVR() string {
	evr := p.Version
	if p.Release != "" {
		evr += "-" + p.Release
	}
	if p.Epoch > 0 {
		evr = strconv.FormatUint(uint64(p.Epoch), 10) + ":" + evr
	}
	return evr
}

// Source returns the name of the source package and its version-release, without
// the epoch, which file names do not have; empty where the header has no name of
// that form.
func (p Package) Source() (name, version string) {
	file, ok := strings.CutSuffix(p.SourceRPM, ".src.rpm")
	if !ok {
		file, ok = strings.CutSuffix(p.SourceRPM, ".nosrc.rpm")
	}
	release := strings.LastIndexByte(file, '-')
	if !ok || release < 0 {
		return "", ""
	}
	at := strings.LastIndexByte(file[:release], '-')
	if at <= 0 {
		return "", ""
	}
	return file[:at], file[at+1:]
}

// Tags and types of rpm's lib/rpmtag.h.
const (
	tagName        = 1000
	tagVersion     = 1001
	tagRelease     = 1002
	tagEpoch       = 1003
	tagInstallTime = 1008
	tagSize        = 1009
	tagVendor      = 1011
	tagArch        = 1022
	tagSourceRPM   = 1044
	tagLongSize    = 5009

	typeInt32      = 4
	typeInt64      = 5
	typeString     = 6
	typeI18NString = 9
)

// Decode reads the header of one package: a count of index entries and a
// length of data, both big-endian, the entries {tag, type, offset, count} and
// the data. Only the tags that Package has are looked at. Where a tag stands
// twice, the later one counts: that is what was added when the package was
// installed.
func Decode(header []byte) (Package, error) {
	p := Package{Size: -1}
	if len(header) < 8 {
		return p, fmt.Errorf("header of %d bytes: cut short", len(header))
	}
	entries := int64(binary.BigEndian.Uint32(header))
	length := int64(binary.BigEndian.Uint32(header[4:]))
	if total := 8 + 16*entries + length; total > int64(len(header)) {
		return p, fmt.Errorf("header of %d bytes says it has %d: cut short", len(header), total)
	}
	index := header[8 : 8+16*entries]
	data := header[8+16*entries:][:length]
	for ; len(index) > 0; index = index[16:] {
		e := entry{
			tag:    binary.BigEndian.Uint32(index),
			kind:   binary.BigEndian.Uint32(index[4:]),
			offset: binary.BigEndian.Uint32(index[8:]),
			count:  binary.BigEndian.Uint32(index[12:]),
		}
		if err := p.take(e, data); err != nil {
			return p, fmt.Errorf("package %.64q: %w", p.Name, err)
		}
	}
	if p.Name == "" || p.Version == "" {
		return p, fmt.Errorf("package %.64q: header without name or version", p.Name)
	}
	return p, nil
}

type entry struct{ tag, kind, offset, count uint32 }

// take sets the field that an index entry is about, if there is one.
func (p *Package) take(e entry, data []byte) error {
	var text *string
	switch e.tag {
	case tagName:
		text = &p.Name
	case tagVersion:
		text = &p.Version
	case tagRelease:
		text = &p.Release
	case tagArch:
		text = &p.Arch
	case tagVendor:
		text = &p.Vendor
	case tagSourceRPM:
		text = &p.SourceRPM
	case tagEpoch, tagInstallTime, tagSize, tagLongSize:
		return p.takeNumber(e, data)
	default:
		return nil
	}
	if e.kind != typeString && e.kind != typeI18NString || int64(e.offset) >= int64(len(data)) {
		return fmt.Errorf("tag %d is no string of the data", e.tag)
	}
	end := bytes.IndexByte(data[e.offset:], 0)
	if end < 0 {
		return fmt.Errorf("tag %d: string without end", e.tag)
	}
	*text = string(data[e.offset:][:end])
	return nil
}

func (p *Package) takeNumber(e entry, data []byte) error {
	rest := data[min(int64(e.offset), int64(len(data))):]
	var n uint64
	switch {
	case e.count < 1:
		return fmt.Errorf("tag %d without value", e.tag)
	case e.kind == typeInt32 && len(rest) >= 4:
		n = uint64(binary.BigEndian.Uint32(rest))
	case e.kind == typeInt64 && len(rest) >= 8:
		n = binary.BigEndian.Uint64(rest)
	default:
		return fmt.Errorf("tag %d is no number of the data", e.tag)
	}
	switch e.tag {
	case tagEpoch:
		p.Epoch = uint32(n)
	case tagInstallTime:
		p.InstallTime = int64(min(n, 1<<40))
	case tagSize, tagLongSize:
		p.Size = int64(min(n, 1<<62))
	}
	return nil
}
