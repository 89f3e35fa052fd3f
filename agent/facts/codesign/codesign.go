// Package codesign reads from a Mach-O executable for which processors it was
// built and in whose name it was signed.
package codesign

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

const (
	// HeadSize is how much of the start of an executable Architectures needs.
	HeadSize = 4 << 10
	// TailSize is how much of the end of an executable SignerOf needs: the
	// signed message is the last part of the last signature, and codesign
	// leaves some 18 KiB for it.
	TailSize = 48 << 10

	maxSlices       = 16
	maxCertificates = 16
)

// Magic numbers of mach-o/loader.h and mach-o/fat.h, as the first four bytes in
// big-endian.
const (
	magicFat   = 0xcafebabe
	magicFat64 = 0xcafebabf
)

// cpuNames are the names of the CPU types of mach/machine.h.
var cpuNames = map[uint32]string{7: "x86", 0x01000007: "x86_64", 12: "arm", 0x0100000c: "arm64", 18: "ppc", 0x01000012: "ppc64"}

// Architectures returns the processors that an executable was built for, in the
// order of the file; head is its first HeadSize bytes, or all of a shorter one.
func Architectures(head []byte) ([]string, error) {
	if len(head) < 8 {
		return nil, errors.New("executable is cut short")
	}
	magic, first := binary.BigEndian.Uint32(head), binary.BigEndian.Uint32(head[4:])
	size := 20
	switch magic {
	case magicFat:
	case magicFat64:
		size = 32
	case 0xfeedface, 0xfeedfacf:
		return names(first), nil
	case 0xcefaedfe, 0xcffaedfe:
		return names(binary.LittleEndian.Uint32(head[4:])), nil
	default:
		return nil, fmt.Errorf("not a Mach-O file: it begins with %#x", magic)
	}
	// A class file of Java begins alike, with its version where the count is.
	if first > maxSlices || len(head) < 8+int(first)*size {
		return nil, fmt.Errorf("executable of %d parts", first)
	}
	var out []string
	for i := range int(first) {
		out = append(out, names(binary.BigEndian.Uint32(head[8+i*size:]))...)
	}
	return out, nil
}

func names(cpu uint32) []string {
	if name, ok := cpuNames[cpu]; ok {
		return []string{name}
	}
	return nil
}

// Signer is in whose name something was signed.
type Signer struct {
	// Name is that of the certificate, such as
	// "Developer ID Application: Example Ltd (A1B2C3D4E5)".
	Name string
	// Organization is who the certificate was issued to.
	Organization string
	// Team is Apple's identifier of the developer.
	Team string
}

// ErrUnsigned is returned for executables that nobody's certificate signed.
var ErrUnsigned = errors.New("not signed with a certificate")

// magicMessage begins the part of a signature that holds a CMS message
// (CSMAGIC_BLOBWRAPPER of xnu's cs_blobs.h); its length follows.
var magicMessage = []byte{0xfa, 0xde, 0x0b, 0x01}

// SignerOf returns who signed an executable, from the last TailSize bytes of
// it. It tells what the signature says and does not verify it, which takes all
// of the file and is the system's own duty at each start.
func SignerOf(tail []byte) (Signer, error) {
	at := bytes.LastIndex(tail, magicMessage)
	if at < 0 || len(tail) < at+8 {
		return Signer{}, ErrUnsigned
	}
	size := binary.BigEndian.Uint32(tail[at+4:])
	if size < 8 || uint64(size) > uint64(len(tail)-at) {
		return Signer{}, fmt.Errorf("signature of %d bytes is cut short", size)
	}
	if size == 8 {
		// Signed "ad hoc": for this machine, by nobody.
		return Signer{}, ErrUnsigned
	}
	certificates, err := messageCertificates(tail[at+8 : at+int(size)])
	if err != nil {
		return Signer{}, fmt.Errorf("signature: %w", err)
	}
	return leaf(certificates)
}

// messageCertificates returns the certificates in a CMS message of signed data
// (RFC 5652, 5.1), one after the other: ContentInfo holds SignedData behind a
// tag 0, and that the certificates behind another.
func messageCertificates(message []byte) ([]byte, error) {
	const sequence, tagged = 0x30, 0xa0
	for _, tag := range []byte{sequence, tagged, sequence, tagged} {
		e, err := find(message, tag)
		if err != nil {
			return nil, fmt.Errorf("read the message: %w", err)
		}
		message = e.body
	}
	return message, nil
}

// leaf returns the one of several certificates that is no authority's.
func leaf(der []byte) (Signer, error) {
	for range maxCertificates {
		e, rest, err := next(der, 0)
		if err != nil {
			break
		}
		der = rest
		c, err := x509.ParseCertificate(e.full)
		if err != nil || c.IsCA {
			continue
		}
		s := Signer{Name: c.Subject.CommonName, Organization: first(c.Subject.Organization), Team: first(c.Subject.OrganizationalUnit)}
		if s.Organization == "" {
			s.Organization = holder(s.Name)
		}
		return s, nil
	}
	return Signer{}, fmt.Errorf("no signer's certificate: %w", ErrUnsigned)
}

func first(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return all[0]
}

// holder returns the name in "Developer ID Application: Name (TEAM)".
func holder(common string) string {
	_, name, ok := strings.Cut(common, ": ")
	if !ok {
		return ""
	}
	if at := strings.LastIndex(name, " ("); at > 0 {
		name = name[:at]
	}
	return name
}
