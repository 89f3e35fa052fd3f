package updates

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/rollcall-itam/rollcall/pkg/release"
)

// RingLabel is the label of an enrolment token that says in which ring its
// agents are.
const RingLabel = "ring"

// Ring is a part of the fleet.
type Ring struct {
	Name string `yaml:"name"`
	// Percent of it is offered the releases of the ring, from 0 to 100; nil for
	// all of it.
	Percent *int `yaml:"percent,omitempty"`
}

// DefaultRings are those where none are configured.
func DefaultRings() []Ring { return []Ring{{Name: "canary"}, {Name: "broad"}} }

func checkRings(rings []Ring) error {
	seen := make(map[string]bool)
	for _, r := range rings {
		if err := release.CheckRing(r.Name); err != nil {
			return err
		}
		if seen[r.Name] {
			return fmt.Errorf("ring %s is there twice", r.Name)
		}
		seen[r.Name] = true
		if r.Percent != nil && (*r.Percent < 0 || *r.Percent > 100) {
			return fmt.Errorf("ring %s: percent %d: want 0 to 100", r.Name, *r.Percent)
		}
	}
	if len(rings) == 0 {
		return errors.New("there are no rings")
	}
	return nil
}

// position returns the place of a ring, -1 for one that is not known.
func position(rings []Ring, name string) int {
	return slices.IndexFunc(rings, func(r Ring) bool { return r.Name == name })
}

// Agent is who may be offered an update.
type Agent struct {
	ID string
	// Version is the one it runs, Platform its GOOS/GOARCH.
	Version, Platform string
	Labels            map[string]string
}

// offer returns the newest version that an agent can take and is meant to have,
// empty for none. A release is for its ring and for those before it. An agent
// that is in no ring, or in one that is not known, is in the last.
func offer(m release.Manifest, rings []Ring, a Agent) string {
	running, err := release.ParseVersion(a.Version)
	if err != nil {
		return ""
	}
	own := position(rings, a.Labels[RingLabel])
	if own < 0 {
		own = len(rings) - 1
	}
	best := running
	for _, r := range m.Releases {
		v, err := release.ParseVersion(r.Version)
		if err != nil || v.Compare(best) <= 0 {
			continue
		}
		ring := position(rings, r.Ring)
		if ring < own || ring == own && !chosen(rings[ring], r.Version, a.ID) {
			continue
		}
		if least, err := release.ParseVersion(r.MinimumAgent); r.MinimumAgent != "" && (err != nil || running.Compare(least) < 0) {
			continue
		}
		if _, _, err := m.Find(r.Version, a.Platform); err == nil {
			best = v
		}
	}
	if best == running {
		return ""
	}
	return best.String()
}

// chosen tells whether an agent is among the part of its ring that is offered a
// version. Who is stays so when the part grows; and other versions begin with
// other agents, so that it is not the same ones that always go first.
func chosen(r Ring, version, agent string) bool {
	if r.Percent == nil {
		return true
	}
	sum := sha256.Sum256([]byte(version + "\x00" + agent))
	return binary.BigEndian.Uint64(sum[:8])%100 < uint64(*r.Percent)
}
