package advisory

import (
	"math"
	"strings"
)

// words are how distributions and databases call severities.
var words = map[string]string{
	"critical": Critical, "high": High, "important": High, "medium": Medium, "moderate": Medium,
	"low": Low, "negligible": Low, "unimportant": Low, "minor": Low,
}

// severityWord returns the severity that a word names, empty for none.
func severityWord(s string) string { return words[strings.ToLower(strings.TrimSpace(s))] }

// ofScore returns the severity of a CVSS base score, by the qualitative scale of
// CVSS v3.1, section 5.
func ofScore(score float64) string {
	switch {
	case score >= 9:
		return Critical
	case score >= 7:
		return High
	case score >= 4:
		return Medium
	case score > 0:
		return Low
	}
	return ""
}

// Weights of CVSS v3.1, section 7.4.
var (
	attackVector     = map[string]float64{"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2}
	attackComplexity = map[string]float64{"L": 0.77, "H": 0.44}
	privileges       = map[string]float64{"N": 0.85, "L": 0.62, "H": 0.27}
	privilegesWider  = map[string]float64{"N": 0.85, "L": 0.68, "H": 0.5}
	interaction      = map[string]float64{"N": 0.85, "R": 0.62}
	impact           = map[string]float64{"H": 0.56, "L": 0.22, "N": 0}
)

// cvss3 returns the base score of a CVSS v3.0 or v3.1 vector, and false for what
// is none. https://www.first.org/cvss/v3.1/specification-document, section 7.1
func cvss3(vector string) (float64, bool) {
	rest, ok := strings.CutPrefix(vector, "CVSS:3.")
	if !ok {
		return 0, false
	}
	m := make(map[string]string)
	for part := range strings.SplitSeq(rest, "/") {
		if name, value, ok := strings.Cut(part, ":"); ok {
			m[name] = value
		}
	}
	wider := m["S"] == "C"
	pr := privileges
	if wider {
		pr = privilegesWider
	}
	weight := func(in map[string]float64, metric string) float64 {
		w, known := in[m[metric]]
		ok = ok && known
		return w
	}
	ease := 8.22 * weight(attackVector, "AV") * weight(attackComplexity, "AC") * weight(pr, "PR") * weight(interaction, "UI")
	base := 1 - (1-weight(impact, "C"))*(1-weight(impact, "I"))*(1-weight(impact, "A"))
	if !ok || m["S"] != "U" && m["S"] != "C" {
		return 0, false
	}
	harm, factor := 6.42*base, 1.0
	if wider {
		harm, factor = 7.52*(base-0.029)-3.25*math.Pow(base-0.02, 15), 1.08
	}
	if harm <= 0 {
		return 0, true
	}
	return roundUp(min(factor*(harm+ease), 10)), true
}

// roundUp is Roundup of CVSS v3.1, appendix A.
func roundUp(x float64) float64 {
	n := int(math.Round(x * 100_000))
	if n%10_000 == 0 {
		return float64(n) / 100_000
	}
	return (math.Floor(float64(n)/10_000) + 1) / 10
}
