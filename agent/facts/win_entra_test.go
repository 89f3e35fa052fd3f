package facts

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // Windows names certificates by it
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const entraID = "4f6f1e0c-9d1b-4a53-8f57-2f0b3a9c1d77"

// certificate makes a certificate such as Entra ID gives devices.
func certificate(t testing.TB, name string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issued := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, NotAfter: time.Unix(1<<31, 0)}
	issuer := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "MS-Organization-Access"}}
	der, err := x509.CreateCertificate(rand.Reader, issued, issuer, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// property is one of those that Windows keeps of a certificate.
func property(number uint32, value []byte) []byte {
	head := binary.LittleEndian.AppendUint32(nil, number)
	head = binary.LittleEndian.AppendUint32(head, 1)
	return append(binary.LittleEndian.AppendUint32(head, uint32(len(value))), value...)
}

// stored is the key of a certificate of the machine, and its name.
func stored(t testing.TB, der []byte) (thumbprint, key string) {
	t.Helper()
	sum := sha1.Sum(der) //nolint:gosec // see above
	blob := bytes.Join([][]byte{property(3, sum[:]), property(2, []byte("key")), property(32, der)}, nil)
	var text strings.Builder
	for i, b := range blob {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, "%02x", b)
	}
	thumbprint = strings.ToUpper(hex.EncodeToString(sum[:]))
	return thumbprint, "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\SystemCertificates\\MY\\Certificates\\" + thumbprint + "]\n\"Blob\"=hex:" + text.String() + "\n"
}

func join(name string) string {
	return "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\CloudDomainJoin\\JoinInfo\\" + name + "]\n\"TenantId\"=\"0f6d1f2e-0000-4000-8000-00000000000f\"\n\"UserEmail\"=\"ann@example.com\"\n"
}

func TestEntraDeviceID(t *testing.T) {
	thumbprint, own := stored(t, certificate(t, strings.ToUpper(entraID)))
	foreign, other := stored(t, certificate(t, "laptop.example.com"))
	for name, tc := range map[string]struct {
		registry string
		want     []string
		err      string
	}{
		"joined":                    {join(thumbprint) + own + other, []string{entraID}, ""},
		"windows 365":               {join(entraID) + other + own, []string{entraID}, ""},
		"not joined":                {own + other, nil, errors.ErrUnsupported.Error()},
		"left again":                {"[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\CloudDomainJoin\\JoinInfo]\n" + own, nil, errors.ErrUnsupported.Error()},
		"certificate is gone":       {join(thumbprint) + other, nil, "dsregcmd /status"},
		"windows 365, is gone":      {join(entraID) + other, nil, "dsregcmd /status"},
		"another's certificate":     {join(foreign) + own + other, nil, "dsregcmd /status"},
		"two, one of them in order": {join(thumbprint) + join(foreign) + own + other, []string{entraID}, "dsregcmd /status"},
		"blob is text":              {join("AA") + "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\SystemCertificates\\MY\\Certificates\\AA]\n\"Blob\"=\"x\"\n", nil, "dsregcmd /status"},
	} {
		t.Run(name, func(t *testing.T) {
			d := new(pb.Device)
			err := learnWinDirectory(t.Context(), winMachine(t, tc.registry, nil), d)
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			var got []string
			for _, i := range d.GetIdentifiers() {
				if i.GetKind() != "directory" || i.GetScope() != "entra" {
					t.Errorf("identifier %v", i)
				}
				got = append(got, i.GetValue())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("ids (-want +got):\n%s", diff)
			}
		})
	}
}

// Serial numbers that are negative, which Go's parser refuses, do no harm here.
func TestCertificatesOfAnySerialNumber(t *testing.T) {
	der := certificate(t, entraID)
	if !bytes.Contains(der, []byte{2, 1, 7}) {
		t.Fatal("the serial number is not where it was put")
	}
	negative := bytes.Replace(der, []byte{2, 1, 7}, []byte{2, 1, 0x87}, 1)
	if name, err := commonName(negative); err != nil || name != entraID {
		t.Errorf("%q, %v", name, err)
	}
	if _, err := commonName(der[:60]); err == nil {
		t.Error("half a certificate has a name")
	}
}

func TestUUIDs(t *testing.T) {
	for text, want := range map[string]bool{
		entraID: true, strings.ToUpper(entraID): true, "00000000-0000-0000-0000-000000000000": false, entraID + "0": false,
		"4f6f1e0c-9d1b-4a53-8f57-2f0b3a9c1d7g": false, "4f6f1e0c09d1b-4a53-8f57-2f0b3a9c1d77": false, "4f6f1e0c-9d1b-4a53-8f57--f0b3a9c1d77": false, "": false,
	} {
		if isUUID(text) != want {
			t.Errorf("isUUID(%q) is %v", text, !want)
		}
	}
}

func FuzzStoredCertificate(f *testing.F) {
	der := certificate(f, entraID)
	f.Add(append(property(3, []byte("hash")), property(32, der)...))
	f.Add(property(32, der)[:40])
	f.Add([]byte{32, 0, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, blob []byte) {
		if der, ok := storedCertificate(blob); ok {
			if name, err := commonName(der); err == nil && len(name) > len(blob)*4 {
				t.Errorf("a name of %d bytes from %d", len(name), len(blob))
			}
		}
	})
}
