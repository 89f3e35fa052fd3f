// Package advisory reads what makers say of vulnerabilities (OSV records and
// CISA's list of those that are exploited), keeps it in files of its own, and
// tells which packages it is said of.
//
// Nothing is matched by a name alone: an advisory names the release of a
// distribution and a package of it, and versions are ordered as that
// distribution orders them.
package advisory

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// The severities, the gravest first; empty where nobody tells.
const (
	Critical = "critical"
	High     = "high"
	Medium   = "medium"
	Low      = "low"
)

// Severities lists the severities, the gravest first, and the one of what nobody
// rated.
var Severities = []string{Critical, High, Medium, Low, ""}

// Rank orders severities: the gravest is 0.
func Rank(severity string) int {
	if i := slices.Index(Severities, severity); i >= 0 {
		return i
	}
	return len(Severities) - 1
}

// Advisory is what somebody says of one vulnerability, or of several that one
// update fixes.
type Advisory struct {
	ID string `json:"id"`
	// Aliases are other names of the same, and the CVE ids that it is about.
	Aliases []string `json:"aliases,omitempty"`
	Summary string   `json:"summary,omitempty"`
	// Severity is one of Severities.
	Severity string `json:"severity,omitempty"`
	// Published and Modified are zero where they are not told.
	Published time.Time `json:"published,omitzero"`
	Modified  time.Time `json:"modified,omitzero"`
}

// CVEs returns the CVE ids of the advisory, its own among them.
func (a *Advisory) CVEs() []string {
	var out []string
	for _, id := range append([]string{a.ID}, a.Aliases...) {
		if strings.HasPrefix(id, "CVE-") {
			out = append(out, id)
		}
	}
	return out
}

// Exploited is what CISA's catalog of known exploited vulnerabilities says of one.
type Exploited struct {
	CVE   string `json:"cve"`
	Name  string `json:"name,omitempty"`
	Added string `json:"added,omitempty"`
	// Due is the day, as in 2026-11-25, until which agencies of the United States
	// must have fixed it.
	Due        string `json:"due,omitempty"`
	Ransomware bool   `json:"ransomware,omitempty"`
}

// Match is one advisory that is said of an installed package, with all that it
// follows from.
type Match struct {
	Advisory *Advisory
	// Ecosystem and Package are as the advisory names them.
	Ecosystem, Package string
	// Installed is the version that was compared, and Fixed the first later one
	// that is not affected; empty where none is known.
	Installed, Fixed string
	// Exploited is nil where the catalog does not list the vulnerability.
	Exploited *Exploited
}

// compareMatches orders matches: what is exploited first, then by severity.
func compareMatches(a, b Match) int {
	exploited := func(m Match) int {
		if m.Exploited != nil {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(exploited(a), exploited(b)), cmp.Compare(Rank(a.Advisory.Severity), Rank(b.Advisory.Severity)),
		strings.Compare(a.Advisory.ID, b.Advisory.ID), strings.Compare(a.Package, b.Package))
}

// event is one point of a range of versions.
type event struct {
	kind    byte // one of the kinds below
	version string
}

const (
	introduced   = 'i'
	fixed        = 'f'
	lastAffected = 'l'
	// limit is where what a range says ends.
	limit = 'm'
)

// affected is one package that an advisory is about, by one range of versions:
// several ranges each stand alone.
type affected struct {
	// scope is the release of a distribution, by our name, and ecosystem what the
	// record calls it.
	scope, ecosystem, name string
	events                 []event
	// versions are the only ones where there is no range.
	versions []string
}

// key is what an affected package is found by.
func key(scope, name string) string { return scope + "\x00" + name }
