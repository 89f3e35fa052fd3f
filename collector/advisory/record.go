package advisory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of one record, well above the largest that there are.
const (
	// MaxRecord is the largest record, in bytes.
	MaxRecord    = 16 << 20
	maxID        = 128
	maxAliases   = 500
	maxSummary   = 300
	maxAffected  = 20_000
	maxName      = 256
	maxVersion   = 256
	maxEvents    = 100
	maxVersions  = 500
	maxEcosystem = 128
)

// Reasons for which a record, or a package of it, is left out.
const (
	skipBroken    = "not a record of OSV"
	skipLarge     = "larger than 16 MiB"
	skipWithdrawn = "withdrawn"
	skipElsewhere = "of an ecosystem that is not matched"
	skipModular   = "of a module, whose streams are not in one order"
	skipRange     = "without versions in the distribution's order"
	skipCrowded   = "more than is kept of one package"
)

// osvRecord is a record of OSV as far as it is used:
// https://ossf.github.io/osv-schema/
type osvRecord struct {
	ID        string        `json:"id"`
	Modified  string        `json:"modified"`
	Published string        `json:"published"`
	Withdrawn string        `json:"withdrawn"`
	Aliases   []string      `json:"aliases"`
	Upstream  []string      `json:"upstream"`
	Related   []string      `json:"related"`
	Summary   string        `json:"summary"`
	Details   string        `json:"details"`
	Severity  []osvSeverity `json:"severity"`
	Affected  osvPackages   `json:"affected"`
	// Databases write here what they like.
	DatabaseSpecific json.RawMessage `json:"database_specific"`
}

type osvSeverity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

type osvAffected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
		PURL      string `json:"purl"`
	} `json:"package"`
	Ranges []struct {
		Type   string     `json:"type"`
		Events []osvEvent `json:"events"`
	} `json:"ranges"`
	Versions          []string        `json:"versions"`
	Severity          []osvSeverity   `json:"severity"`
	EcosystemSpecific json.RawMessage `json:"ecosystem_specific"`
}

type osvEvent struct {
	Introduced   string `json:"introduced"`
	Fixed        string `json:"fixed"`
	LastAffected string `json:"last_affected"`
	Limit        string `json:"limit"`
}

// osvPackages are a list that is refused before it takes much more memory than
// its text: an empty object of three bytes is some hundred bytes once it is read.
type osvPackages []osvAffected

// UnmarshalJSON implements json.Unmarshaler.
func (p *osvPackages) UnmarshalJSON(data []byte) error {
	return elements(data, maxAffected, "packages", func(dec *json.Decoder) error {
		*p = append(*p, osvAffected{})
		return dec.Decode(&(*p)[len(*p)-1])
	})
}

// elements calls fn to read each element of a list, of which there may be so many.
func elements(data []byte, most int, what string, fn func(*json.Decoder) error) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	begin, err := dec.Token()
	if err != nil {
		return err
	}
	if begin == nil { // null is a list of nothing
		return nil
	}
	if begin != json.Delim('[') {
		return fmt.Errorf("the %s are not a list", what)
	}
	for n := 0; dec.More(); n++ {
		if n == most {
			return fmt.Errorf("there are more than %d %s", most, what)
		}
		if err := fn(dec); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// parsed is a record that was understood.
type parsed struct {
	advisory Advisory
	affected []affected
	// skipped tells why the record, or packages of it, are left out.
	skipped []string
}

// parseRecord reads one record. An error says that it is none.
func parseRecord(data []byte) (parsed, error) {
	var in osvRecord
	if err := json.Unmarshal(data, &in); err != nil {
		return parsed{}, err
	}
	if in.ID == "" || len(in.ID) > maxID || !printable(in.ID) {
		return parsed{}, errors.New("it has no id")
	}
	var p parsed
	p.advisory = Advisory{ID: in.ID, Summary: summary(in.Summary, in.Details), Published: day(in.Published), Modified: day(in.Modified)}
	if !day(in.Withdrawn).IsZero() {
		p.skipped = append(p.skipped, skipWithdrawn)
		return p, nil
	}
	for i := range in.Affected {
		found, why := in.Affected[i].affected()
		if p.affected = append(p.affected, found...); why != "" {
			p.skipped = append(p.skipped, why)
		}
	}
	p.advisory.Severity = in.severity()
	for _, id := range slices.Concat(in.Aliases, in.Upstream, in.cves()) {
		if id != in.ID && len(p.advisory.Aliases) < maxAliases && len(id) <= maxID && printable(id) && !slices.Contains(p.advisory.Aliases, id) {
			p.advisory.Aliases = append(p.advisory.Aliases, id)
		}
	}
	return p, nil
}

// cves returns the CVE ids among what is related: distributions whose records
// are about an update, which is a fix of several vulnerabilities, name them there.
func (in *osvRecord) cves() []string {
	update := false
	for _, prefix := range []string{"ALSA-", "RLSA-", "RHSA-", "SUSE-", "openSUSE-", "DSA-", "DLA-", "USN-"} {
		update = update || strings.HasPrefix(in.ID, prefix)
	}
	if !update {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(in.Related), func(id string) bool { return !strings.HasPrefix(id, "CVE-") })
}

// severity returns how grave the distribution holds it to be, else what the score
// says.
func (in *osvRecord) severity() string {
	all := slices.Clone(in.Severity)
	stated := ""
	for i := range in.Affected {
		all = append(all, in.Affected[i].Severity...)
		var said struct{ Urgency, Severity string }
		// What is written here in another form says nothing of severity.
		if json.Unmarshal(in.Affected[i].EcosystemSpecific, &said) == nil {
			stated = graver(stated, graver(severityWord(said.Severity), severityWord(said.Urgency)))
		}
	}
	var said struct{ Severity string }
	if json.Unmarshal(in.DatabaseSpecific, &said) == nil {
		stated = graver(stated, severityWord(said.Severity))
	}
	scored := ""
	for _, s := range all {
		if score, ok := cvss3(s.Score); ok {
			scored = graver(scored, ofScore(score))
		} else {
			stated = graver(stated, severityWord(s.Score))
		}
	}
	// "Important: kernel security update"
	first, _, _ := strings.Cut(in.Summary, ":")
	if stated = graver(stated, severityWord(first)); stated != "" {
		return stated
	}
	return scored
}

func graver(a, b string) string {
	if Rank(b) < Rank(a) {
		return b
	}
	return a
}

// affected returns the packages of one entry, and why some are left out.
func (in *osvAffected) affected() (out []affected, why string) {
	scope := scopeOfEcosystem(in.Package.Ecosystem)
	if scope == "" || len(in.Package.Ecosystem) > maxEcosystem || foreign(scope, in.Package.PURL) {
		return nil, skipElsewhere
	}
	about := affected{scope: scope, ecosystem: in.Package.Ecosystem, name: in.Package.Name}
	for _, a := range in.ranged(about) {
		if wrong := a.wrong(); wrong != "" {
			why = wrong
			continue
		}
		out = append(out, a)
	}
	if binaries := in.binaries(scope); len(binaries) > 0 && len(out) > 0 {
		return about.of(binaries), why
	}
	return out, why
}

// ranged returns one of each range of versions in the distribution's order or,
// where there is none, one of the versions that are listed.
func (in *osvAffected) ranged(about affected) (out []affected) {
	for _, r := range in.Ranges {
		if r.Type != "ECOSYSTEM" {
			continue
		}
		a := about
		for _, e := range r.Events {
			for kind, version := range map[byte]string{introduced: e.Introduced, fixed: e.Fixed, lastAffected: e.LastAffected, limit: e.Limit} {
				if version != "" && version != "*" { // as a limit: there is none
					a.events = append(a.events, event{kind, version})
				}
			}
		}
		out = append(out, a)
	}
	if len(out) == 0 {
		about.versions = in.Versions
		out = append(out, about)
	}
	return out
}

// foreign tells of packages that lie beside a distribution's own: Rocky's special
// interest groups build other versions under the same names.
func foreign(scope, purl string) bool {
	return strings.HasPrefix(scope, "Rocky Linux:") && strings.Contains(purl, "-sig-")
}

// wrong tells why an affected package cannot be compared with; empty if it can.
func (a *affected) wrong() string {
	if a.name == "" || len(a.name) > maxName || !printable(a.name) || len(a.events) > maxEvents || len(a.versions) > maxVersions || len(a.events)+len(a.versions) == 0 {
		return skipRange
	}
	begins := len(a.versions) > 0
	for _, e := range a.events {
		if e.version == "" || len(e.version) > maxVersion || !printable(e.version) {
			return skipRange
		}
		if distributionOf(a.scope).kind == "rpm" && modular(e.version) {
			return skipModular
		}
		begins = begins || e.kind == introduced
	}
	for _, v := range a.versions {
		if v == "" || len(v) > maxVersion || !printable(v) {
			return skipRange
		}
	}
	if !begins {
		return skipRange
	}
	return ""
}

// binaries returns the installed packages with their fixed versions that SUSE
// names beside the source package, nil where there are none.
func (in *osvAffected) binaries(scope string) map[string]string {
	if !strings.HasPrefix(scope, "SUSE:") && !strings.HasPrefix(scope, "openSUSE:") {
		return nil
	}
	var said struct{ Binaries []map[string]string }
	if json.Unmarshal(in.EcosystemSpecific, &said) != nil {
		return nil
	}
	out := make(map[string]string)
	for _, some := range said.Binaries {
		for name, version := range some {
			if len(out) < maxAffected {
				out[name] = version
			}
		}
	}
	return out
}

// of returns the same of each binary, which is fixed in a version of its own.
func (a *affected) of(binaries map[string]string) []affected {
	var out []affected
	for name, version := range binaries {
		b := *a
		b.name = name
		b.events = []event{{introduced, "0"}, {fixed, version}}
		if b.wrong() == "" {
			out = append(out, b)
		}
	}
	return out
}

// day reads a time; zero for one that is not told or that nobody means.
func day(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Year() < 1990 || t.Year() > 2200 {
		return time.Time{}
	}
	return t.UTC()
}

// summary is one line of what is said.
func summary(short, long string) string {
	if short == "" {
		short, _, _ = strings.Cut(strings.TrimSpace(long), "\n")
	}
	short = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, short)
	if len(short) > maxSummary {
		short = strings.ToValidUTF8(short[:maxSummary], "") + " ..."
	}
	return strings.TrimSpace(short)
}

// printable tells of text that can stand in a key and in a line.
func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}
