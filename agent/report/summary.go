package report

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// Summary is what a state folder tells of its agent.
type Summary struct {
	// AgentID is empty where the agent has not enrolled.
	AgentID         string
	CertificateEnds time.Time
	// RenewalDue is from when on the agent asks for the next certificate.
	RenewalDue       time.Time
	RenewalSequence  int64
	LastContact      time.Time
	LastReport       time.Time
	LastError        string
	LastErrorAt      time.Time
	Generation       int64
	AwaitsAnswer     bool
	SectionsReported int
	// Collection is zero before the first exchange.
	Collection Collection
}

// Summarise reads a state folder without changing it; an agent may be using it
// meanwhile.
func Summarise(dir string) (Summary, error) {
	f := Folder{dir: filepath.Clean(dir)}
	var s Summary
	id := new(identity)
	err := f.read(identityFile, id)
	if err == nil {
		err = id.check()
	}
	switch {
	case err == nil:
		s.AgentID, s.CertificateEnds, s.RenewalSequence, s.RenewalDue = id.AgentID, id.ends(), id.Sequence, id.RenewAt
	case !errors.Is(err, fs.ErrNotExist):
		return s, fmt.Errorf("read the agent's identity: %w", err)
	}
	var m memory
	if err := f.read(statusFile, &m); err == nil {
		s.LastContact, s.LastReport, s.LastError, s.LastErrorAt = m.LastContact, m.LastReport, m.LastError, m.LastErrorAt
		s.Generation, s.SectionsReported = m.Generation, len(m.Stated)
		if m.Collection != nil {
			s.Collection = *m.Collection
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("read the agent's status: %w", err)
	}
	s.AwaitsAnswer = f.read(pendingFile, new(pending)) == nil
	return s, nil
}
