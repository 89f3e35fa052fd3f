package report

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// identity is who the agent is to its collector, as the state folder keeps it.
type identity struct {
	AgentID string `json:"agent_id"`
	// Sequence counts the certificates that the collector issued, from 1.
	Sequence int64  `json:"renewal_sequence"`
	Key      string `json:"key"`
	// Chain and Authorities are DER, the leaf first.
	Chain       [][]byte    `json:"certificate_chain"`
	Authorities [][]byte    `json:"ca_bundle"`
	Machine     fingerprint `json:"machine"`
	// Trust is the sum of the configured trust at the enrolment.
	Trust []byte `json:"trust"`
	// RenewAt is when to ask for the next certificate: half its life, with
	// jitter drawn once.
	RenewAt time.Time `json:"renew_at"`

	certificate *tls.Certificate
	roots       []*x509.Certificate
}

// pending is a request whose answer has not come: it is repeated as it was, so
// that a lost reply costs no token and makes no second certificate.
type pending struct {
	Key     string      `json:"key"`
	CSR     []byte      `json:"csr"`
	Machine fingerprint `json:"machine"`
	// Sequence is that of the certificate to be renewed; 0 for an enrolment.
	Sequence int64 `json:"renewal_sequence"`
	// AgentID is whose certificate is renewed; empty for an enrolment.
	AgentID string `json:"agent_id"`
}

// check validates what was decoded and fills what is derived.
func (id *identity) check() error {
	if id.AgentID == "" || len(id.AgentID) > 128 || id.Sequence < 1 {
		return errors.New("agent id or renewal sequence is missing")
	}
	if id.Machine.Hashes == nil || len(id.Machine.Salt) < 8 {
		return errors.New("the machine's hashes are missing")
	}
	key, err := parseKey(id.Key)
	if err != nil {
		return err
	}
	chain, err := parseCertificates(id.Chain)
	if err != nil {
		return fmt.Errorf("certificate chain: %w", err)
	}
	if id.roots, err = parseCertificates(id.Authorities); err != nil {
		return fmt.Errorf("CA bundle: %w", err)
	}
	pub, ok := chain[0].PublicKey.(*ecdsa.PublicKey)
	if !ok || !pub.Equal(&key.PublicKey) {
		return errors.New("the certificate is not for the device key")
	}
	id.certificate = &tls.Certificate{Certificate: id.Chain, PrivateKey: key, Leaf: chain[0]}
	return nil
}

// ends is when the certificate does.
func (id *identity) ends() time.Time { return id.certificate.Leaf.NotAfter }

// knows tells whether one of the authorities is in the agent's bundle.
func (id *identity) knows(authorities []*x509.Certificate) bool {
	for _, a := range authorities {
		for _, r := range id.roots {
			if bytes.Equal(a.RawSubjectPublicKeyInfo, r.RawSubjectPublicKeyInfo) {
				return true
			}
		}
	}
	return false
}

// halfLife returns the time at which to renew a certificate that was issued
// now: half its life, 10 % earlier or later by a number in [0, 1).
func halfLife(now, ends time.Time, jitter float64) time.Time {
	return now.Add(time.Duration(float64(ends.Sub(now)) * (0.45 + 0.1*jitter)))
}

// memory is what the agent remembers of its last exchanges. It can be lost:
// the next check-in then finds out what the collector holds.
type memory struct {
	// AgentID is whose memory it is; after an enrolment the old one is void.
	AgentID    string `json:"agent_id"`
	Generation int64  `json:"generation"`
	// Stated is, by section, what was acknowledged last.
	Stated map[string]stated `json:"sections,omitempty"`
	// Problems is the digest of the list that was acknowledged last.
	Problems    []byte    `json:"problems,omitempty"`
	LastContact time.Time `json:"last_contact,omitzero"`
	LastReport  time.Time `json:"last_report,omitzero"`
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	// Collection is what the last reading of the machine cost.
	Collection *Collection `json:"collection,omitempty"`
}

// stated is one section as the collector was told.
type stated struct {
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Digest is that of the payload that the collector holds, nil where it
	// never had one.
	Digest []byte `json:"digest,omitempty"`
}
