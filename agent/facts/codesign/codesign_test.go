package codesign

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"
)

// certificate returns one that signs itself.
func certificate(t testing.TB, subject pkix.Name, authority bool) []byte {
	t.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: subject, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<31, 0), IsCA: authority, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(nil, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// signature returns a signature as it ends an executable: a CMS message of
// signed data with certificates, in its wrapper, and the room left behind it.
func signature(t testing.TB, certificates ...[]byte) []byte {
	t.Helper()
	marshal := func(v any) []byte {
		b, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	tagged := func(tag int, content []byte) []byte {
		return marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: content})
	}
	sequence := func(tag int, parts ...[]byte) []byte {
		return marshal(asn1.RawValue{Tag: tag, IsCompound: true, Bytes: slices.Concat(parts...)})
	}
	content := sequence(asn1.TagSequence, marshal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}))
	signed := sequence(asn1.TagSequence, marshal(1), sequence(asn1.TagSet), content, tagged(0, slices.Concat(certificates...)), sequence(asn1.TagSet))
	message := sequence(asn1.TagSequence, marshal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}), tagged(0, signed))
	return embed(message)
}

// embed puts a message into its wrapper, with the room that is left behind it.
func embed(message []byte) []byte {
	out := binary.BigEndian.AppendUint32(slices.Clone(magicMessage), uint32(8+len(message)))
	return slices.Concat([]byte("code"), out, message, make([]byte, 64))
}

// openSignature returns a signature in the form that Apple's codesign writes,
// with lengths left open.
func openSignature(t testing.TB, certificates ...[]byte) []byte {
	t.Helper()
	oid := []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02}
	data := []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01}
	return embed(slices.Concat(
		[]byte{0x30, 0x80}, oid, []byte{0xa0, 0x80}, []byte{0x30, 0x80, 0x02, 0x01, 0x01, 0x31, 0x00},
		[]byte{0x30, 0x80}, data, []byte{0, 0}, []byte{0xa0, 0x80}, slices.Concat(certificates...), []byte{0, 0}, []byte{0x31, 0x00},
		make([]byte, 6),
	))
}

func TestSignerOf(t *testing.T) {
	authority := certificate(t, pkix.Name{CommonName: "Developer ID Certification Authority", Organization: []string{"Apple Inc."}}, true)
	developer := certificate(t, pkix.Name{
		CommonName: "Developer ID Application: Example Ltd (A1B2C3D4E5)", Organization: []string{"Example Ltd"}, OrganizationalUnit: []string{"A1B2C3D4E5"},
	}, false)
	bare := certificate(t, pkix.Name{CommonName: "Apple Development: Ann (X) Example (A1B2C3D4E5)"}, false)
	want := Signer{Name: "Developer ID Application: Example Ltd (A1B2C3D4E5)", Organization: "Example Ltd", Team: "A1B2C3D4E5"}
	for name, tail := range map[string][]byte{
		"authority first": signature(t, authority, developer), "leaf first": signature(t, developer, authority),
		"open lengths":               openSignature(t, authority, developer),
		"of two signatures the last": slices.Concat(signature(t, bare), signature(t, developer)),
	} {
		if got, err := SignerOf(tail); err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if got, err := SignerOf(signature(t, bare)); err != nil || got.Organization != "Ann (X) Example" {
		t.Errorf("without an organization: %+v, %v", got, err)
	}
	for name, tail := range map[string][]byte{
		"nothing": nil, "no signature": make([]byte, 100), "ad hoc": append(slices.Clone(magicMessage), 0, 0, 0, 8), "no leaf": signature(t, authority), "no certificates": signature(t), "no certificates, open": openSignature(t),
	} {
		if _, err := SignerOf(tail); !errors.Is(err, ErrUnsigned) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, tail := range map[string][]byte{
		"too long": append(slices.Clone(magicMessage), 1, 0, 0, 0), "too short": append(slices.Clone(magicMessage), 0, 0, 0, 1),
		"no message": append(slices.Clone(magicMessage), 0, 0, 0, 10, 1, 2), "without an end": embed([]byte{0x30, 0x80, 0x06, 0x01, 0x01}),
		"too deep": embed(bytes.Repeat([]byte{0x30, 0x80}, 1000)), "long length": embed([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff}),
	} {
		if _, err := SignerOf(tail); err == nil || errors.Is(err, ErrUnsigned) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestArchitectures(t *testing.T) {
	fat := []byte{0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 2}
	for _, cpu := range []uint32{0x01000007, 0x0100000c} {
		fat = append(binary.BigEndian.AppendUint32(fat, cpu), make([]byte, 16)...)
	}
	for _, c := range []struct {
		name string
		head []byte
		want []string
	}{
		{"universal", fat, []string{"x86_64", "arm64"}},
		{"arm64", []byte{0xcf, 0xfa, 0xed, 0xfe, 0x0c, 0, 0, 1}, []string{"arm64"}},
		{"old Intel", []byte{0xce, 0xfa, 0xed, 0xfe, 7, 0, 0, 0}, []string{"x86"}},
		{"PowerPC", []byte{0xfe, 0xed, 0xfa, 0xce, 0, 0, 0, 18}, []string{"ppc"}},
		{"of tomorrow", []byte{0xcf, 0xfa, 0xed, 0xfe, 0x77, 0, 0, 1}, nil},
	} {
		if got, err := Architectures(c.head); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	for name, head := range map[string][]byte{
		"nothing": nil, "a script": []byte("#!/bin/sh\n"), "Java": {0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 61}, "cut short": fat[:20],
	} {
		if _, err := Architectures(head); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// No bytes make it panic, and an error comes alone.
func FuzzSignerOf(f *testing.F) {
	f.Add(openSignature(f, certificate(f, pkix.Name{CommonName: "a"}, false)))
	f.Add(signature(f, certificate(f, pkix.Name{CommonName: "a"}, false)))
	f.Fuzz(func(t *testing.T, tail []byte) {
		if got, err := SignerOf(tail); err != nil && got != (Signer{}) {
			t.Fatalf("%+v beside %v", got, err)
		}
	})
}

func FuzzArchitectures(f *testing.F) {
	f.Add([]byte{0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, head []byte) {
		if got, err := Architectures(head); err == nil && len(got) > maxSlices {
			t.Fatalf("%d architectures", len(got))
		}
	})
}
