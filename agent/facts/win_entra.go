package facts

import (
	"context"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	// joinsKey has a key for each directory in the cloud that the machine is
	// joined to, which is named after the certificate that Entra ID gave it; on
	// Windows 365, after the device itself.
	joinsKey = systemHive + `Control\CloudDomainJoin\JoinInfo`
	// ownCertificates has the certificates of the machine by their thumbprints:
	// https://learn.microsoft.com/windows/win32/seccrypto/system-store-locations
	ownCertificates = softwareHive + `Microsoft\SystemCertificates\MY\Certificates`
	// certificateProperty is the number of the property that is the certificate
	// itself, among those that Windows keeps of one: MS-GPEF 2.2.1.1.1.1.
	certificateProperty = 32
)

// learnWinDirectory tells how Entra ID calls the machine, so that what Entra,
// Intune and Defender say of that device is said of this one. People's own
// accounts at work (WorkplaceJoin) are of people, and register another device.
func learnWinDirectory(_ context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	joins := r.key(joinsKey).subkeys()
	for _, join := range joins {
		id := r.joinedAs(join)
		if id == "" {
			r.bad.add(errors.New("the machine is joined to Entra ID, but the certificate that names it is missing: dsregcmd /status tells more"))
			continue
		}
		d.Identifiers = append(d.Identifiers, &pb.Identifier{Kind: "directory", Value: id, Scope: "entra"})
	}
	return r.err(len(joins) > 0, "it is not joined to Entra ID")
}

// joinedAs returns the device id of a join, "" where nothing tells it.
func (r *winreg) joinedAs(join string) string {
	if !isUUID(join) {
		return r.namedBy(join)
	}
	for _, thumbprint := range r.key(ownCertificates).subkeys() {
		if r.namedBy(thumbprint) == strings.ToLower(join) {
			return strings.ToLower(join)
		}
	}
	return ""
}

// namedBy returns the UUID that a certificate of the machine is made out to, ""
// where there is none.
func (r *winreg) namedBy(thumbprint string) string {
	der, ok := storedCertificate(r.key(ownCertificates, `\`, thumbprint).bytes("Blob"))
	if !ok {
		return ""
	}
	name, err := commonName(der)
	if err != nil || !isUUID(name) {
		return ""
	}
	return strings.ToLower(name)
}

// storedCertificate returns the certificate among the properties that Windows
// keeps of one: each has its number, a number that is reserved, its length, all
// of four bytes, and its value.
func storedCertificate(blob []byte) (der []byte, ok bool) {
	const head = 12
	for len(blob) >= head {
		property, length := binary.LittleEndian.Uint32(blob), binary.LittleEndian.Uint32(blob[8:])
		if blob = blob[head:]; uint64(length) > uint64(len(blob)) {
			return nil, false
		}
		if property == certificateProperty {
			return blob[:length], true
		}
		blob = blob[length:]
	}
	return nil, false
}

// commonName returns the name that a certificate is made out to. The library's
// own parser refuses certificates whose serial number is negative, as that of
// one that was drawn at random may be; nothing is proved by this one.
func commonName(der []byte) (string, error) {
	var certificate struct {
		Body struct {
			Version                             int `asn1:"optional,explicit,default:0,tag:0"`
			Serial, Algorithm, Issuer, Validity asn1.RawValue
			Subject                             pkix.RDNSequence
		}
	}
	if _, err := asn1.Unmarshal(der, &certificate); err != nil {
		return "", fmt.Errorf("decode a certificate: %w", err)
	}
	var subject pkix.Name
	subject.FillFromRDNSequence(&certificate.Body.Subject)
	return subject.CommonName, nil
}

// isUUID tells whether text is a UUID as RFC 9562 writes it, in either case, and
// not the one of zeros.
func isUUID(text string) bool {
	if len(text) != 36 || strings.Trim(text, "0-") == "" {
		return false
	}
	for i, c := range []byte(text) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		hex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
		if dash != (c == '-') || !dash && !hex {
			return false
		}
	}
	return true
}
