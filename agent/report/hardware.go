package report

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"
)

// Machine is what the agent needs to know of where it runs.
type Machine struct {
	Hostname string
	// BootID changes with every start of the machine.
	BootID string
	// IDs are the identifiers by which a copied state folder is told from its
	// original: HardwareID keys to what could be read.
	IDs map[string]string
}

// Keys of Machine.IDs. Those of the hardware decide where both sides know one;
// the machine id, which an image may carry, only where they do not.
const (
	IDSystemUUID  = "system_uuid"
	IDSerial      = "serial"
	IDBoardSerial = "board_serial"
	IDMachine     = "machine_id"
)

// fingerprint is what the state folder remembers of the machine it belongs to:
// salted hashes, so that the file does not tell a serial.
type fingerprint struct {
	Salt   []byte            `json:"salt"`
	Hashes map[string][]byte `json:"hashes"`
}

func newFingerprint(ids map[string]string) (fingerprint, error) {
	f := fingerprint{Salt: make([]byte, 16), Hashes: map[string][]byte{}}
	if _, err := rand.Read(f.Salt); err != nil {
		return f, fmt.Errorf("make a salt: %w", err)
	}
	for kind, id := range ids {
		if id != "" {
			f.Hashes[kind] = f.hash(id)
		}
	}
	return f, nil
}

func (f fingerprint) hash(id string) []byte {
	mac := hmac.New(sha256.New, f.Salt)
	mac.Write([]byte(id))
	return mac.Sum(nil)
}

// sum is what the collector sees: one hash over all, the same as long as the
// agent keeps its identity.
func (f fingerprint) sum() []byte {
	h := sha256.New()
	h.Write(f.Salt)
	for _, kind := range []string{IDSystemUUID, IDSerial, IDBoardSerial, IDMachine} {
		fmt.Fprintf(h, "%s=%x;", kind, f.Hashes[kind])
	}
	return h.Sum(nil)
}

// matches tells whether ids are of the machine that the fingerprint was taken
// of. One hardware identifier that both know and agree on is enough, since a
// repair changes some and an unprivileged agent reads none.
func (f fingerprint) matches(ids map[string]string) bool {
	same := func(kind string) (comparable, equal bool) {
		have, ok := f.Hashes[kind]
		if !ok || ids[kind] == "" {
			return false, false
		}
		return true, slices.Equal(have, f.hash(ids[kind]))
	}
	decided := false
	for _, kind := range []string{IDSystemUUID, IDSerial, IDBoardSerial} {
		comparable, equal := same(kind)
		if equal {
			return true
		}
		decided = decided || comparable
	}
	if decided {
		return false
	}
	comparable, equal := same(IDMachine)
	// Nothing to compare is no evidence of a copy.
	return equal || !comparable
}
