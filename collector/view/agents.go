package view

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// States of an enrolled agent, the first that holds of it.
const (
	AgentRevoked    = "revoked"
	AgentConflicted = "conflicted"
	AgentExpired    = "expired"
	AgentActive     = "active"
)

// recountAfter is how old a count of agents may be. Enrolments are no change of
// the catalog, and reading 100,000 of them takes longer than a scrape should.
const recountAfter = time.Minute

// Agents counts the enrolled agents. It is safe for use by several goroutines.
type Agents struct {
	store *store.Store
	now   func() time.Time

	mu     sync.Mutex
	at     time.Time
	counts map[string]int
}

// NewAgents returns a count of the agents of a store; now is its clock.
func NewAgents(st *store.Store, now func() time.Time) *Agents { return &Agents{store: st, now: now} }

// Counts returns the number of agents in each state as it was at most a minute
// ago. The map is shared and must not be modified.
func (a *Agents) Counts(ctx context.Context) (map[string]int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if a.counts != nil && now.Sub(a.at) < recountAfter {
		return a.counts, nil
	}
	counts := map[string]int{AgentRevoked: 0, AgentConflicted: 0, AgentExpired: 0, AgentActive: 0}
	err := a.store.View(ctx, func(tx *store.Tx) error {
		return tx.ScanEnrolments("", func(e *storagepb.EnrolmentRecord) error {
			counts[agentState(e, now)]++
			return ctx.Err()
		})
	})
	if err != nil {
		return nil, fmt.Errorf("count the agents: %w", err)
	}
	a.counts, a.at = counts, now
	return counts, nil
}

func agentState(e *storagepb.EnrolmentRecord, now time.Time) string {
	switch {
	case e.GetRevokedAt() != nil:
		return AgentRevoked
	case e.GetConflicted():
		return AgentConflicted
	case e.GetCertificateExpiresAt() != nil && now.After(e.GetCertificateExpiresAt().AsTime()):
		return AgentExpired
	}
	return AgentActive
}
